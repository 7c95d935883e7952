/** Convolutions made ready for inference: batch norms folded in, weights in the order in which kernels read them. */
import { ArgumentError } from "../core/errors.js";
import { F, noGrad, type Tensor, zeros } from "../tensor/index.js";
import type { Conv2d } from "./conv.js";
import { type Buffer, buffer, Module } from "./module.js";
import type { BatchNorm2d } from "./norm.js";

/** Output channels that lie together in memory. */
const panel = 32;

/** How a convolution is computed: as it stands, or in tiles of 2 x 2 or 4 x 4 results by Winograd's minimal filtering. */
export type ConvForm = "direct" | "winograd2" | "winograd4";

/** [N, H, W, C] to [N, H, W, O]: a Conv2d and the batch norm (of running statistics) that follows it, as one convolution with a bias. */
export class PreparedConv2d extends Module {
  readonly form: ConvForm;
  readonly kernelSize: readonly number[];
  readonly stride: number | readonly number[];
  readonly padding: number | readonly number[];
  readonly dilation: number | readonly number[];
  readonly groups: number;
  readonly inChannels: number;
  readonly outChannels: number;
  weight: Buffer;
  bias: Buffer;

  /** Winograd's forms are for 3 x 3 weights, stride 1: they take a half or a third of the time, and let an infinity reach a whole tile. */
  constructor(conv: Conv2d, norm: BatchNorm2d | null = null, form: ConvForm = "direct") {
    super();
    this.form = form;
    const { kernelSize, stride, dilation, groups, inChannels, outChannels } = conv;
    if (typeof conv.padding === "string")
      throw new ArgumentError(`PreparedConv2d: padding "${conv.padding}" is not supported; give it as numbers`);
    if (form !== "direct" && !takesWinograd(conv))
      throw new ArgumentError(`PreparedConv2d: ${form} is for 3 x 3 weights with stride 1, dilation 1 and one group, not for ${conv}`);
    this.kernelSize = kernelSize;
    this.stride = stride;
    this.padding = conv.padding;
    this.dilation = dilation;
    this.groups = groups;
    this.inChannels = inChannels;
    this.outChannels = outChannels;
    const [weight, bias] = noGrad(() => folded(conv, norm));
    const dtype = conv.weight.dtype;
    this.weight = buffer(noGrad(() => this.ordered(weight).to(dtype)));
    this.bias = buffer(bias.to(dtype));
  }

  private get whole(): boolean {
    return (this.outChannels / this.groups) % panel === 0;
  }
  /** A folded weight [O, C / groups, R, S] as it is kept. */
  private ordered(w: Tensor): Tensor {
    const { outChannels: o, inChannels: c, kernelSize } = this;
    if (this.form !== "direct") {
      const formed = F.winogradWeight(w, this.form === "winograd4" ? 4 : 2);
      return this.whole ? formed.reshape([-1, c, o / panel, panel]).permute([2, 0, 1, 3]) : formed;
    }
    const [r, s] = kernelSize as [number, number];
    if (this.pointwise) return w.reshape([o, c]).permute([1, 0]);
    return this.whole ? w.reshape([o / panel, panel, c / this.groups, r, s]).permute([0, 3, 4, 2, 1]) : w;
  }
  private get pointwise(): boolean {
    return [...this.kernelSize, this.stride, this.groups].flat().every((d) => d === 1);
  }
  forward(x: Tensor): Tensor {
    const { outChannels: o, inChannels: c, groups, kernelSize, weight, bias, padding } = this;
    if (this.form !== "direct") {
      const u = this.whole ? weight.permute([1, 2, 0, 3]).reshape([-1, c, o]) : weight;
      const low = typeof padding === "number" ? [padding, padding] : padding;
      return F.winograd(x, u, bias, { size: this.form === "winograd4" ? 4 : 2, low, high: low });
    }
    const shape = [o, c / groups, ...kernelSize];
    let w: Tensor = weight;
    if (this.pointwise) w = weight.permute([1, 0]).reshape(shape);
    else if (this.whole) w = weight.permute([0, 4, 3, 1, 2]).reshape(shape);
    return F.conv2d(x, w, bias, { stride: this.stride, padding, dilation: this.dilation, groups, channelsLast: true });
  }
  protected override describe(): string {
    return `${this.inChannels}, ${this.outChannels}, kernelSize=[${this.kernelSize.join(", ")}], stride=${this.stride}, ${this.form}`;
  }
}
/** Whether Winograd's forms compute a convolution. */
export function takesWinograd(conv: Conv2d): boolean {
  const { stride, dilation, groups } = conv;
  return conv.kernelSize.every((k) => k === 3) && [stride, dilation, groups].flat().every((d) => d === 1);
}
/** Weight and bias of a convolution with its norm, in f64. */
function folded(conv: Conv2d, norm: BatchNorm2d | null): [Tensor, Tensor] {
  const wide = (t: Tensor): Tensor => t.detach().to("f64");
  const weight = wide(conv.weight);
  const bias = conv.bias ? wide(conv.bias) : zeros([conv.outChannels], { dtype: "f64" });
  if (!norm) return [weight, bias];
  const { runningMean, runningVar, weight: gain, bias: shift, eps } = norm;
  if (!runningMean || !runningVar) throw new ArgumentError("PreparedConv2d: a batch norm without running statistics cannot be folded in");
  let scale = wide(runningVar).add(eps).rsqrt();
  if (gain) scale = scale.mul(wide(gain));
  const moved = bias.sub(wide(runningMean)).mul(scale);
  return [weight.mul(scale.reshape([-1, 1, 1, 1])), shift ? moved.add(wide(shift)) : moved];
}
