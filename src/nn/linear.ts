/** Layers that multiply by a weight. */
import type { DType } from "../core/dtype.js";
import { F, type Tensor, zeros } from "../tensor/index.js";
import { defaultInit, normal_, zeros_ } from "./init.js";
import { Module, type Parameter, parameter } from "./module.js";

/** Options of layers with a weight. */
export interface LayerOptions {
  readonly bias?: boolean;
  readonly dtype?: DType;
}
const typed = (o: { readonly dtype?: DType }): { dtype?: DType } => (o.dtype ? { dtype: o.dtype } : {});

/** x W^T + b (torch.nn.Linear). */
export class Linear extends Module {
  readonly inFeatures: number;
  readonly outFeatures: number;
  weight: Parameter;
  bias: Parameter | null;

  constructor(inFeatures: number, outFeatures: number, options: LayerOptions = {}) {
    super();
    this.inFeatures = inFeatures;
    this.outFeatures = outFeatures;
    this.weight = parameter(zeros([outFeatures, inFeatures], typed(options)));
    this.bias = options.bias === false ? null : parameter(zeros([outFeatures], typed(options)));
    this.resetParameters();
  }
  resetParameters(): void {
    defaultInit(this.weight, this.bias);
  }
  forward(x: Tensor): Tensor {
    return F.linear(x, this.weight, this.bias);
  }
  protected override describe(): string {
    return `inFeatures=${this.inFeatures}, outFeatures=${this.outFeatures}, bias=${this.bias !== null}`;
  }
}

/** Rows of a table, by number (torch.nn.Embedding). */
export class Embedding extends Module {
  readonly numEmbeddings: number;
  readonly embeddingDim: number;
  readonly paddingIdx: number | null;
  weight: Parameter;

  constructor(numEmbeddings: number, embeddingDim: number, options: { readonly paddingIdx?: number; readonly dtype?: DType } = {}) {
    super();
    this.numEmbeddings = numEmbeddings;
    this.embeddingDim = embeddingDim;
    const p = options.paddingIdx;
    this.paddingIdx = p === undefined ? null : p < 0 ? p + numEmbeddings : p;
    this.weight = parameter(zeros([numEmbeddings, embeddingDim], typed(options)));
    this.resetParameters();
  }
  resetParameters(): void {
    normal_(this.weight);
    if (this.paddingIdx !== null) zeros_(this.weight.detach().at(this.paddingIdx));
  }
  forward(index: Tensor): Tensor {
    return F.embedding(index, this.weight, this.paddingIdx === null ? {} : { paddingIdx: this.paddingIdx });
  }
  protected override describe(): string {
    return `${this.numEmbeddings}, ${this.embeddingDim}`;
  }
}

/** Gives its input back (torch.nn.Identity). */
export class Identity extends Module {
  forward(x: Tensor): Tensor {
    return x;
  }
}
/** Joins axes `startDim` to `endDim` (torch.nn.Flatten). */
export class Flatten extends Module {
  readonly startDim: number;
  readonly endDim: number;
  constructor(startDim = 1, endDim = -1) {
    super();
    this.startDim = startDim;
    this.endDim = endDim;
  }
  forward(x: Tensor): Tensor {
    return x.flatten(this.startDim, this.endDim);
  }
}
/** Splits one axis into several (torch.nn.Unflatten). */
export class Unflatten extends Module {
  readonly dim: number;
  readonly sizes: readonly number[];
  constructor(dim: number, sizes: readonly number[]) {
    super();
    this.dim = dim;
    this.sizes = sizes;
  }
  forward(x: Tensor): Tensor {
    return x.unflatten(this.dim, this.sizes);
  }
}
