/** Normalisations. */
import type { DType } from "../core/dtype.js";
import { ArgumentError } from "../core/errors.js";
import { F, noGrad, ones, type Tensor, zeros } from "../tensor/index.js";
import { type Buffer, buffer, Module, type Parameter, parameter } from "./module.js";

interface NormOptions {
  readonly eps?: number;
  readonly dtype?: DType;
}
const typed = (o: { readonly dtype?: DType }): { dtype?: DType } => (o.dtype ? { dtype: o.dtype } : {});

/** Mean 0 and variance 1 over the last axes (torch.nn.LayerNorm). */
export class LayerNorm extends Module {
  readonly normalizedShape: readonly number[];
  eps: number;
  weight: Parameter | null;
  bias: Parameter | null;
  constructor(
    normalizedShape: number | readonly number[],
    options: NormOptions & { readonly elementwiseAffine?: boolean; readonly bias?: boolean } = {},
  ) {
    super();
    this.normalizedShape = Object.freeze(typeof normalizedShape === "number" ? [normalizedShape] : [...normalizedShape]);
    this.eps = options.eps ?? 1e-5;
    const affine = options.elementwiseAffine ?? true;
    this.weight = affine ? parameter(ones(this.normalizedShape, typed(options))) : null;
    this.bias = affine && options.bias !== false ? parameter(zeros(this.normalizedShape, typed(options))) : null;
  }
  forward(x: Tensor): Tensor {
    return F.layerNorm(x, this.normalizedShape, this.weight, this.bias, { eps: this.eps });
  }
  protected override describe(): string {
    return `[${this.normalizedShape.join(", ")}], eps=${this.eps}`;
  }
}
/** Divides by the root of the mean square (torch.nn.RMSNorm). */
export class RMSNorm extends Module {
  readonly normalizedShape: readonly number[];
  eps: number | null;
  weight: Parameter | null;
  constructor(normalizedShape: number | readonly number[], options: NormOptions & { readonly elementwiseAffine?: boolean } = {}) {
    super();
    this.normalizedShape = Object.freeze(typeof normalizedShape === "number" ? [normalizedShape] : [...normalizedShape]);
    this.eps = options.eps ?? null;
    this.weight = (options.elementwiseAffine ?? true) ? parameter(ones(this.normalizedShape, typed(options))) : null;
  }
  forward(x: Tensor): Tensor {
    return F.rmsNorm(x, this.normalizedShape, this.weight, { eps: this.eps });
  }
  protected override describe(): string {
    return `[${this.normalizedShape.join(", ")}], eps=${this.eps}`;
  }
}
/** Normalises groups of channels (torch.nn.GroupNorm). */
export class GroupNorm extends Module {
  readonly numGroups: number;
  readonly numChannels: number;
  eps: number;
  weight: Parameter | null;
  bias: Parameter | null;
  constructor(numGroups: number, numChannels: number, options: NormOptions & { readonly affine?: boolean } = {}) {
    super();
    if (numChannels % numGroups)
      throw new ArgumentError(`GroupNorm: ${numChannels} channels do not split into ${numGroups} groups; choose a divisor`);
    this.numGroups = numGroups;
    this.numChannels = numChannels;
    this.eps = options.eps ?? 1e-5;
    const affine = options.affine ?? true;
    this.weight = affine ? parameter(ones([numChannels], typed(options))) : null;
    this.bias = affine ? parameter(zeros([numChannels], typed(options))) : null;
  }
  forward(x: Tensor): Tensor {
    return F.groupNorm(x, this.numGroups, this.weight, this.bias, { eps: this.eps });
  }
  protected override describe(): string {
    return `${this.numGroups}, ${this.numChannels}, eps=${this.eps}`;
  }
}

/** Options of batch norms. */
export interface BatchNormOptions extends NormOptions {
  /** Weight of the newest batch in the running statistics; null: plain average of all. */
  readonly momentum?: number | null;
  readonly affine?: boolean;
  readonly trackRunningStats?: boolean;
}
class BatchNorm extends Module {
  readonly numFeatures: number;
  eps: number;
  momentum: number | null;
  weight: Parameter | null;
  bias: Parameter | null;
  runningMean: Buffer | null;
  runningVar: Buffer | null;
  numBatchesTracked: Buffer | null;
  constructor(numFeatures: number, options: BatchNormOptions = {}) {
    super();
    this.numFeatures = numFeatures;
    this.eps = options.eps ?? 1e-5;
    this.momentum = options.momentum === undefined ? 0.1 : options.momentum;
    const affine = options.affine ?? true;
    const track = options.trackRunningStats ?? true;
    this.weight = affine ? parameter(ones([numFeatures], typed(options))) : null;
    this.bias = affine ? parameter(zeros([numFeatures], typed(options))) : null;
    this.runningMean = track ? buffer(zeros([numFeatures], typed(options))) : null;
    this.runningVar = track ? buffer(ones([numFeatures], typed(options))) : null;
    this.numBatchesTracked = track ? buffer(zeros([], { dtype: "i64" })) : null;
  }
  forward(x: Tensor): Tensor {
    const { runningMean, runningVar, weight, bias, eps } = this;
    if (!this.training && runningMean && runningVar) return F.batchNorm(x, runningMean, runningVar, weight, bias, { eps });
    const [output, mean, variance] = F.batchNormTraining(x, weight, bias, { eps });
    if (this.training && runningMean && runningVar) {
      noGrad(() => {
        this.numBatchesTracked?.add_(1);
        const m: Tensor | number = this.momentum ?? this.numBatchesTracked!.to(runningMean.dtype).reciprocal();
        runningMean.add_(mean.detach().sub(runningMean).mul(m));
        runningVar.add_(variance.detach().sub(runningVar).mul(m));
      });
    }
    return output;
  }
  protected override describe(): string {
    return `${this.numFeatures}, eps=${this.eps}, momentum=${this.momentum}`;
  }
}
/** Normalises channels over batch and length, [N, C] or [N, C, L] (torch.nn.BatchNorm1d). */
export class BatchNorm1d extends BatchNorm {}
/** Normalises channels over batch, height and width, [N, C, H, W] (torch.nn.BatchNorm2d). */
export class BatchNorm2d extends BatchNorm {}
/** Normalises channels over batch and space, [N, C, D, H, W] (torch.nn.BatchNorm3d). */
export class BatchNorm3d extends BatchNorm {}
