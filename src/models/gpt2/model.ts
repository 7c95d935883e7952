/** GPT-2 (Radford et al. 2019): learned positions, pre-norm blocks. Keys and layouts are the checkpoints'. */
import type { DType } from "../../core/dtype.js";
import { Dropout, Embedding, init, LayerNorm, Linear, Module, ModuleList, type Parameter, parameter } from "../../nn/index.js";
import { F, noGrad, type Tensor, zeros } from "../../tensor/index.js";
import { type Attend, activations, CausalModel } from "../pretrained.js";
import type { GPT2Config } from "./config.js";

/** x W + b with W [in, out], as GPT-2's checkpoints store it. */
export class Conv1D extends Module {
  weight: Parameter;
  bias: Parameter;
  constructor(inFeatures: number, outFeatures: number) {
    super();
    this.weight = parameter(zeros([inFeatures, outFeatures]));
    this.bias = parameter(zeros([outFeatures]));
  }
  forward(x: Tensor): Tensor {
    const [inFeatures, outFeatures] = this.weight.shape as [number, number];
    return F.addmm(this.bias, x.reshape([-1, inFeatures]), this.weight).reshape([...x.shape.slice(0, -1), outFeatures]);
  }
  protected override describe(): string {
    return this.weight.shape.join(", ");
  }
}

/** Causal self-attention with one projection for queries, keys and values. */
export class GPT2Attention extends Module {
  cAttn: Conv1D;
  cProj: Conv1D;
  residDropout: Dropout;
  readonly heads: number;
  readonly scale: number;
  readonly dropout: number;

  constructor(c: GPT2Config, layer: number) {
    super();
    this.heads = c.heads;
    this.scale = (c.scaled ? 1 / Math.sqrt(c.width / c.heads) : 1) / (c.scaledByLayer ? layer + 1 : 1);
    this.dropout = c.dropout.attention;
    this.cAttn = new Conv1D(c.width, 3 * c.width);
    this.cProj = new Conv1D(c.width, c.width);
    this.residDropout = new Dropout(c.dropout.residual);
  }
  forward(x: Tensor, layer: number, attention: Attend): Tensor {
    const [b, t, d] = x.shape as [number, number, number];
    const [q, k, v] = this.cAttn
      .forward(x)
      .reshape([b, t, 3, this.heads, d / this.heads])
      .permute([2, 0, 3, 1, 4])
      .unbind(0) as [Tensor, Tensor, Tensor];
    const p = this.dropout;
    const y = attention(layer, q, k, v, { scale: this.scale, dropout: this.training && p > 0 ? () => p : undefined });
    return this.residDropout.forward(this.cProj.forward(y.transpose(1, 2).reshape([b, t, d])));
  }
}

/** Two layers with an activation between. */
export class GPT2MLP extends Module {
  cFc: Conv1D;
  cProj: Conv1D;
  dropout: Dropout;
  readonly activation: GPT2Config["activation"];
  constructor(c: GPT2Config) {
    super();
    this.activation = c.activation;
    this.cFc = new Conv1D(c.width, c.inner);
    this.cProj = new Conv1D(c.inner, c.width);
    this.dropout = new Dropout(c.dropout.residual);
  }
  forward(x: Tensor): Tensor {
    return this.dropout.forward(this.cProj.forward(activations[this.activation](this.cFc.forward(x))));
  }
}

/** Attention and a perceptron, each behind a norm and beside a residual. */
export class GPT2Block extends Module {
  ln1: LayerNorm;
  attn: GPT2Attention;
  ln2: LayerNorm;
  mlp: GPT2MLP;
  constructor(c: GPT2Config, layer: number) {
    super();
    this.ln1 = new LayerNorm(c.width, { eps: c.eps });
    this.attn = new GPT2Attention(c, layer);
    this.ln2 = new LayerNorm(c.width, { eps: c.eps });
    this.mlp = new GPT2MLP(c);
  }
  protected override stateKey(field: string): string {
    return field === "ln1" ? "ln_1" : field === "ln2" ? "ln_2" : super.stateKey(field);
  }
  forward(x: Tensor, layer: number, attention: Attend): Tensor {
    const y = x.add(this.attn.forward(this.ln1.forward(x), layer, attention));
    return y.add(this.mlp.forward(this.ln2.forward(y)));
  }
}

/** The decoder without its head. */
export class GPT2Model extends Module {
  wte: Embedding;
  wpe: Embedding;
  drop: Dropout;
  h: ModuleList<GPT2Block>;
  lnF: LayerNorm;
  constructor(c: GPT2Config) {
    super();
    this.wte = new Embedding(c.vocabulary, c.width);
    this.wpe = new Embedding(c.context, c.width);
    this.drop = new Dropout(c.dropout.embedding);
    this.h = new ModuleList(Array.from({ length: c.layers }, (_, i) => new GPT2Block(c, i)));
    this.lnF = new LayerNorm(c.width, { eps: c.eps });
  }
  forward(tokens: Tensor, positions: Tensor, attention: Attend): Tensor {
    let x = this.drop.forward(this.wte.forward(tokens).add(this.wpe.forward(positions)));
    for (const [i, block] of [...this.h].entries()) x = block.forward(x, i, attention);
    return this.lnF.forward(x);
  }
}

/** GPT-2 as a language model (GPT2LMHeadModel). */
export class GPT2 extends CausalModel {
  transformer: GPT2Model;
  /** Null where the embedding is the head, too. */
  lmHead: Linear | null;
  readonly config: GPT2Config;

  constructor(config: GPT2Config) {
    super();
    this.config = config;
    this.transformer = new GPT2Model(config);
    this.lmHead = config.tied ? null : new Linear(config.width, config.vocabulary, { bias: false });
    const std = config.initializerRange;
    noGrad(() => {
      for (const [name, m] of this.namedModules()) {
        // What leaves a residual branch starts smaller the more of them there are.
        if (m instanceof Conv1D) init.normal_(m.weight, 0, name.endsWith("c_proj") ? std / Math.sqrt(2 * config.layers) : std);
        else if (m instanceof Embedding || m instanceof Linear) init.normal_(m.weight, 0, std);
      }
    });
  }
  get vocabulary(): number {
    return this.config.vocabulary;
  }
  get context(): number {
    return this.config.context;
  }
  get dtype(): DType {
    return this.transformer.wte.weight.dtype;
  }
  protected get cacheShape(): { readonly layers: number; readonly heads: number; readonly width: number } {
    return { layers: this.config.layers, heads: this.config.heads, width: this.config.width / this.config.heads };
  }
  /** Published checkpoints have no `transformer.` before their keys, and hold the causal mask. */
  checkpointKey(key: string): string | null {
    if (/(^|\.)attn\.(bias|masked_bias)$/.test(key) || (this.config.tied && key === "lm_head.weight")) return null;
    return /^(wte|wpe|h|ln_f)\./.test(key) ? `transformer.${key}` : key;
  }
  protected hidden(tokens: Tensor, positions: Tensor, attention: Attend): Tensor {
    return this.transformer.forward(tokens, positions, attention);
  }
  protected logits(hidden: Tensor): Tensor {
    return F.linear(hidden, (this.lmHead ?? this.transformer.wte).weight);
  }
}
