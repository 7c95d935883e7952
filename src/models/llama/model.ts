/** Llama 2, 3 and 3.1 (Touvron et al. 2023): rotary positions, grouped queries, RMS norms, gated perceptrons. Keys are the checkpoints'. */
import type { DType } from "../../core/dtype.js";
import { type Buffer, buffer, Embedding, init, Linear, Module, ModuleList, RMSNorm } from "../../nn/index.js";
import { cat, F, noGrad, type Tensor, tensor } from "../../tensor/index.js";
import { type Attend, activations, CausalModel } from "../pretrained.js";
import { type LlamaConfig, ropeFrequencies } from "./config.js";

/** Cosines and sines of the angles at some positions, [time, width of a head / 2]. */
interface Turn {
  readonly cos: Tensor;
  readonly sin: Tensor;
}
/** Turns the halves of each head against each other; x is [batch, heads, time, width of a head]. */
function rotate(x: Tensor, { cos, sin }: Turn): Tensor {
  const [a, b] = x.to("f32").chunk(2, -1) as [Tensor, Tensor];
  return cat([a.mul(cos).sub(b.mul(sin)), b.mul(cos).add(a.mul(sin))], -1).to(x.dtype);
}

/** Self-attention in which runs of query heads share a key and a value head. */
export class LlamaAttention extends Module {
  qProj: Linear;
  kProj: Linear;
  vProj: Linear;
  oProj: Linear;
  readonly headWidth: number;

  constructor(c: LlamaConfig) {
    super();
    this.headWidth = c.headWidth;
    const bias = c.attentionBias;
    this.qProj = new Linear(c.width, c.heads * c.headWidth, { bias });
    this.kProj = new Linear(c.width, c.kvHeads * c.headWidth, { bias });
    this.vProj = new Linear(c.width, c.kvHeads * c.headWidth, { bias });
    this.oProj = new Linear(c.heads * c.headWidth, c.width, { bias });
  }
  forward(x: Tensor, turn: Turn, layer: number, attention: Attend): Tensor {
    const [b, t] = x.shape as [number, number];
    const heads = (proj: Linear): Tensor =>
      proj
        .forward(x)
        .reshape([b, t, proj.outFeatures / this.headWidth, this.headWidth])
        .transpose(1, 2);
    const y = attention(layer, rotate(heads(this.qProj), turn), rotate(heads(this.kProj), turn), heads(this.vProj));
    return this.oProj.forward(y.transpose(1, 2).reshape([b, t, this.oProj.inFeatures]));
  }
}

/** down(act(gate(x)) * up(x)). */
export class LlamaMLP extends Module {
  gateProj: Linear;
  upProj: Linear;
  downProj: Linear;
  readonly activation: LlamaConfig["activation"];

  constructor(c: LlamaConfig) {
    super();
    this.activation = c.activation;
    this.gateProj = new Linear(c.width, c.intermediate, { bias: c.mlpBias });
    this.upProj = new Linear(c.width, c.intermediate, { bias: c.mlpBias });
    this.downProj = new Linear(c.intermediate, c.width, { bias: c.mlpBias });
  }
  forward(x: Tensor): Tensor {
    return this.downProj.forward(activations[this.activation](this.gateProj.forward(x)).mul(this.upProj.forward(x)));
  }
}

/** Attention and a perceptron, each behind a norm and beside a residual. */
export class LlamaLayer extends Module {
  selfAttn: LlamaAttention;
  mlp: LlamaMLP;
  inputLayernorm: RMSNorm;
  postAttentionLayernorm: RMSNorm;

  constructor(c: LlamaConfig) {
    super();
    this.selfAttn = new LlamaAttention(c);
    this.mlp = new LlamaMLP(c);
    this.inputLayernorm = new RMSNorm(c.width, { eps: c.eps });
    this.postAttentionLayernorm = new RMSNorm(c.width, { eps: c.eps });
  }
  forward(x: Tensor, turn: Turn, layer: number, attention: Attend): Tensor {
    const y = x.add(this.selfAttn.forward(this.inputLayernorm.forward(x), turn, layer, attention));
    return y.add(this.mlp.forward(this.postAttentionLayernorm.forward(y)));
  }
}

/** The decoder without its head. */
export class LlamaModel extends Module {
  embedTokens: Embedding;
  layers: ModuleList<LlamaLayer>;
  norm: RMSNorm;
  frequencies: Buffer;

  constructor(c: LlamaConfig) {
    super();
    this.embedTokens = new Embedding(c.vocabulary, c.width);
    this.layers = new ModuleList(Array.from({ length: c.layers }, () => new LlamaLayer(c)));
    this.norm = new RMSNorm(c.width, { eps: c.eps });
    this.frequencies = buffer(tensor(ropeFrequencies(c)), { persistent: false });
  }
  forward(tokens: Tensor, positions: Tensor, attention: Attend): Tensor {
    const angle = positions.to("f32").unsqueeze(-1).mul(this.frequencies.to("f32"));
    const turn = { cos: angle.cos(), sin: angle.sin() };
    let x = this.embedTokens.forward(tokens);
    for (const [i, layer] of [...this.layers].entries()) x = layer.forward(x, turn, i, attention);
    return this.norm.forward(x);
  }
}

/** Llama as a language model (LlamaForCausalLM). */
export class Llama extends CausalModel {
  model: LlamaModel;
  /** Null where the embedding is the head, too. */
  lmHead: Linear | null;
  readonly config: LlamaConfig;

  constructor(config: LlamaConfig) {
    super();
    this.config = config;
    this.model = new LlamaModel(config);
    this.lmHead = config.tied ? null : new Linear(config.width, config.vocabulary, { bias: false });
    noGrad(() => {
      for (const m of this.modules()) {
        if (m instanceof Linear || m instanceof Embedding) init.normal_(m.weight, 0, config.initializerRange);
        if (m instanceof Linear && m.bias) init.zeros_(m.bias);
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
    return this.model.embedTokens.weight.dtype;
  }
  protected get cacheShape(): { readonly layers: number; readonly heads: number; readonly width: number } {
    return { layers: this.config.layers, heads: this.config.kvHeads, width: this.config.headWidth };
  }
  checkpointKey(key: string): string | null {
    if (key.endsWith("rotary_emb.inv_freq") || (this.config.tied && key === "lm_head.weight")) return null;
    return key;
  }
  protected hidden(tokens: Tensor, positions: Tensor, attention: Attend): Tensor {
    return this.model.forward(tokens, positions, attention);
  }
  protected logits(hidden: Tensor): Tensor {
    return F.linear(hidden, (this.lmHead ?? this.model.embedTokens).weight);
  }
}
