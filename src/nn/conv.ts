/** Convolutions and pools. */
import type { DType } from "../core/dtype.js";
import { F, type Functions, type Tensor, zeros } from "../tensor/index.js";
import { defaultInit } from "./init.js";
import { Module, type Parameter, parameter } from "./module.js";

/** One number for all spatial axes, or one for each. */
export type PerAxis = number | readonly number[];
/** Options of convolutions. */
export interface ConvOptions {
  readonly stride?: PerAxis;
  readonly padding?: PerAxis | "same" | "valid";
  readonly dilation?: PerAxis;
  readonly groups?: number;
  readonly bias?: boolean;
  readonly dtype?: DType;
}
const each = (x: PerAxis, n: number): readonly number[] => (typeof x === "number" ? new Array<number>(n).fill(x) : x);

abstract class Conv extends Module {
  readonly inChannels: number;
  readonly outChannels: number;
  readonly kernelSize: readonly number[];
  stride: PerAxis;
  padding: PerAxis | "same" | "valid";
  dilation: PerAxis;
  groups: number;
  weight: Parameter;
  bias: Parameter | null;

  constructor(n: number, inChannels: number, outChannels: number, kernelSize: PerAxis, options: ConvOptions) {
    super();
    this.inChannels = inChannels;
    this.outChannels = outChannels;
    this.kernelSize = each(kernelSize, n);
    this.stride = options.stride ?? 1;
    this.padding = options.padding ?? 0;
    this.dilation = options.dilation ?? 1;
    this.groups = options.groups ?? 1;
    const typed = options.dtype ? { dtype: options.dtype } : {};
    this.weight = parameter(zeros([outChannels, inChannels / this.groups, ...this.kernelSize], typed));
    this.bias = options.bias === false ? null : parameter(zeros([outChannels], typed));
    this.resetParameters();
  }
  resetParameters(): void {
    defaultInit(this.weight, this.bias);
  }
  protected get settings(): { stride: PerAxis; padding: PerAxis | "same" | "valid"; dilation: PerAxis; groups: number } {
    return { stride: this.stride, padding: this.padding, dilation: this.dilation, groups: this.groups };
  }
  protected override describe(): string {
    return `${this.inChannels}, ${this.outChannels}, kernelSize=[${this.kernelSize.join(", ")}], stride=${this.stride}, padding=${this.padding}`;
  }
}
/** Convolution over length, [N, C, L] (torch.nn.Conv1d). */
export class Conv1d extends Conv {
  constructor(inChannels: number, outChannels: number, kernelSize: PerAxis, options: ConvOptions = {}) {
    super(1, inChannels, outChannels, kernelSize, options);
  }
  forward(x: Tensor): Tensor {
    return F.conv1d(x, this.weight, this.bias, this.settings);
  }
}
/** Convolution over height and width, [N, C, H, W] (torch.nn.Conv2d). */
export class Conv2d extends Conv {
  constructor(inChannels: number, outChannels: number, kernelSize: PerAxis, options: ConvOptions = {}) {
    super(2, inChannels, outChannels, kernelSize, options);
  }
  forward(x: Tensor): Tensor {
    return F.conv2d(x, this.weight, this.bias, this.settings);
  }
}

type PoolFunction = (x: Tensor, kernelSize: PerAxis, options: object) => Tensor;
abstract class Pool<O extends object> extends Module {
  readonly kernelSize: PerAxis;
  readonly options: O;
  private readonly name: string;
  constructor(name: string, kernelSize: PerAxis, options: O) {
    super();
    this.name = name;
    this.kernelSize = kernelSize;
    this.options = options;
  }
  forward(x: Tensor): Tensor {
    return (F as unknown as Record<string, PoolFunction>)[this.name]!(x, this.kernelSize, this.options);
  }
  protected override describe(): string {
    return `kernelSize=${this.kernelSize}`;
  }
}
type OptionsOf<K extends keyof Functions> = NonNullable<Parameters<Functions[K]>[2 & keyof Parameters<Functions[K]>]> & object;
/** Greatest of each window (torch.nn.MaxPool1d). */
export class MaxPool1d extends Pool<OptionsOf<"maxPool1d">> {
  constructor(kernelSize: PerAxis, options: OptionsOf<"maxPool1d"> = {}) {
    super("maxPool1d", kernelSize, options);
  }
}
/** Greatest of each window (torch.nn.MaxPool2d). */
export class MaxPool2d extends Pool<OptionsOf<"maxPool2d">> {
  constructor(kernelSize: PerAxis, options: OptionsOf<"maxPool2d"> = {}) {
    super("maxPool2d", kernelSize, options);
  }
}
/** Mean of each window (torch.nn.AvgPool1d). */
export class AvgPool1d extends Pool<OptionsOf<"avgPool1d">> {
  constructor(kernelSize: PerAxis, options: OptionsOf<"avgPool1d"> = {}) {
    super("avgPool1d", kernelSize, options);
  }
}
/** Mean of each window (torch.nn.AvgPool2d). */
export class AvgPool2d extends Pool<OptionsOf<"avgPool2d">> {
  constructor(kernelSize: PerAxis, options: OptionsOf<"avgPool2d"> = {}) {
    super("avgPool2d", kernelSize, options);
  }
}
/** Means of windows that give an output of the given size (torch.nn.AdaptiveAvgPool2d). */
export class AdaptiveAvgPool2d extends Module {
  readonly outputSize: number | readonly number[];
  constructor(outputSize: number | readonly number[]) {
    super();
    this.outputSize = outputSize;
  }
  forward(x: Tensor): Tensor {
    return F.adaptiveAvgPool2d(x, this.outputSize);
  }
}
/** Means of windows that give an output of the given size (torch.nn.AdaptiveAvgPool1d). */
export class AdaptiveAvgPool1d extends Module {
  readonly outputSize: number | readonly number[];
  constructor(outputSize: number | readonly number[]) {
    super();
    this.outputSize = outputSize;
  }
  forward(x: Tensor): Tensor {
    return F.adaptiveAvgPool1d(x, this.outputSize);
  }
}
