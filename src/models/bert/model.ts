/** BERT (Devlin et al. 2018) with its masked-language-model head. Keys are the checkpoints'. */
import { ArgumentError } from "../../core/errors.js";
import { attend, Dropout, Embedding, init, LayerNorm, Linear, Module, ModuleList, type Parameter, parameter } from "../../nn/index.js";
import { arange, F, noGrad, type Tensor, zeros, zerosLike } from "../../tensor/index.js";
import { activations, PretrainedModel } from "../pretrained.js";
import type { BertConfig } from "./config.js";

/** A module whose layer norm is called `LayerNorm` in checkpoints. */
abstract class Normed extends Module {
  layerNorm: LayerNorm;
  constructor(c: BertConfig) {
    super();
    this.layerNorm = new LayerNorm(c.width, { eps: c.eps });
  }
  protected override stateKey(field: string): string {
    return field === "layerNorm" ? "LayerNorm" : super.stateKey(field);
  }
}

/** Token, position and type embeddings, added and normalised. */
export class BertEmbeddings extends Normed {
  wordEmbeddings: Embedding;
  positionEmbeddings: Embedding;
  tokenTypeEmbeddings: Embedding;
  dropout: Dropout;
  constructor(c: BertConfig) {
    super(c);
    this.wordEmbeddings = new Embedding(c.vocabulary, c.width, c.paddingToken === null ? {} : { paddingIdx: c.paddingToken });
    this.positionEmbeddings = new Embedding(c.context, c.width);
    this.tokenTypeEmbeddings = new Embedding(c.tokenTypes, c.width);
    this.dropout = new Dropout(c.dropout.hidden);
  }
  forward(tokens: Tensor, types: Tensor): Tensor {
    const positions = this.positionEmbeddings.forward(arange(tokens.size(1), { dtype: "i64" }));
    const x = this.wordEmbeddings.forward(tokens).add(this.tokenTypeEmbeddings.forward(types)).add(positions);
    return this.dropout.forward(this.layerNorm.forward(x));
  }
}

/** The three projections and the attention between them. */
export class BertSelfAttention extends Module {
  query: Linear;
  key: Linear;
  value: Linear;
  readonly heads: number;
  readonly dropout: number;
  constructor(c: BertConfig) {
    super();
    this.heads = c.heads;
    this.dropout = c.dropout.attention;
    this.query = new Linear(c.width, c.width);
    this.key = new Linear(c.width, c.width);
    this.value = new Linear(c.width, c.width);
  }
  forward(x: Tensor, mask: Tensor | null): Tensor {
    const [b, t, d] = x.shape as [number, number, number];
    const heads = (y: Tensor): Tensor => y.reshape([b, t, this.heads, d / this.heads]).transpose(1, 2);
    const p = this.dropout;
    const y = attend(heads(this.query.forward(x)), heads(this.key.forward(x)), heads(this.value.forward(x)), {
      ...(mask && { mask }),
      ...(this.training && p > 0 && { dropout: () => p }),
    });
    return y.transpose(1, 2).reshape([b, t, d]);
  }
}

/** A projection, added to what came in, and normalised. */
export class BertOutput extends Normed {
  dense: Linear;
  dropout: Dropout;
  constructor(c: BertConfig, inFeatures: number) {
    super(c);
    this.dense = new Linear(inFeatures, c.width);
    this.dropout = new Dropout(c.dropout.hidden);
  }
  forward(x: Tensor, residual: Tensor): Tensor {
    return this.layerNorm.forward(this.dropout.forward(this.dense.forward(x)).add(residual));
  }
}

/** Self-attention with its output projection. */
export class BertAttention extends Module {
  self: BertSelfAttention;
  output: BertOutput;
  constructor(c: BertConfig) {
    super();
    this.self = new BertSelfAttention(c);
    this.output = new BertOutput(c, c.width);
  }
  forward(x: Tensor, mask: Tensor | null): Tensor {
    return this.output.forward(this.self.forward(x, mask), x);
  }
}

/** The first layer of the perceptron, with its activation. */
export class BertIntermediate extends Module {
  dense: Linear;
  readonly activation: BertConfig["activation"];
  constructor(c: BertConfig) {
    super();
    this.activation = c.activation;
    this.dense = new Linear(c.width, c.intermediate);
  }
  forward(x: Tensor): Tensor {
    return activations[this.activation](this.dense.forward(x));
  }
}

/** Attention, then a perceptron, each normalised after its residual. */
export class BertLayer extends Module {
  attention: BertAttention;
  intermediate: BertIntermediate;
  output: BertOutput;
  constructor(c: BertConfig) {
    super();
    this.attention = new BertAttention(c);
    this.intermediate = new BertIntermediate(c);
    this.output = new BertOutput(c, c.intermediate);
  }
  forward(x: Tensor, mask: Tensor | null): Tensor {
    const y = this.attention.forward(x, mask);
    return this.output.forward(this.intermediate.forward(y), y);
  }
}

/** The stack of layers. */
export class BertEncoder extends Module {
  layer: ModuleList<BertLayer>;
  constructor(c: BertConfig) {
    super();
    this.layer = new ModuleList(Array.from({ length: c.layers }, () => new BertLayer(c)));
  }
  forward(x: Tensor, mask: Tensor | null): Tensor {
    let y = x;
    for (const layer of this.layer) y = layer.forward(y, mask);
    return y;
  }
}

/** Options of a BERT's forward. */
export interface BertInputs {
  /** Which of the segments each token belongs to, [batch, time]; default: the first. */
  readonly tokenTypes?: Tensor;
  /** 1 or true where there is a token, 0 or false where there is padding, [batch, time]. */
  readonly attentionMask?: Tensor;
}

/** The encoder: hidden states [batch, time, width] of tokens [batch, time]. */
export class BertModel extends Module {
  embeddings: BertEmbeddings;
  encoder: BertEncoder;
  constructor(c: BertConfig) {
    super();
    this.embeddings = new BertEmbeddings(c);
    this.encoder = new BertEncoder(c);
  }
  forward(tokens: Tensor, { tokenTypes, attentionMask }: BertInputs = {}): Tensor {
    const [b, t] = tokens.shape as [number, number];
    const mask = attentionMask ? attentionMask.ne(0).reshape([b, 1, 1, t]) : null;
    return this.encoder.forward(this.embeddings.forward(tokens, tokenTypes ?? zerosLike(tokens)), mask);
  }
}

/** What prepares hidden states for the head. */
export class BertTransform extends Normed {
  dense: Linear;
  readonly activation: BertConfig["activation"];
  constructor(c: BertConfig) {
    super(c);
    this.activation = c.activation;
    this.dense = new Linear(c.width, c.width);
  }
  forward(x: Tensor): Tensor {
    return this.layerNorm.forward(activations[this.activation](this.dense.forward(x)));
  }
}
/** The head: logits by the word embeddings, with a bias of its own. */
export class BertPredictions extends Module {
  transform: BertTransform;
  bias: Parameter;
  /** Null where the word embeddings are the head, too. */
  decoder: Linear | null;
  constructor(c: BertConfig) {
    super();
    this.transform = new BertTransform(c);
    this.bias = parameter(zeros([c.vocabulary]));
    this.decoder = c.tied ? null : new Linear(c.width, c.vocabulary, { bias: false });
  }
  forward(x: Tensor, embeddings: Tensor): Tensor {
    return F.linear(this.transform.forward(x), this.decoder?.weight ?? embeddings, this.bias);
  }
}
/** What checkpoints call `cls`. */
export class BertHead extends Module {
  predictions: BertPredictions;
  constructor(c: BertConfig) {
    super();
    this.predictions = new BertPredictions(c);
  }
  forward(x: Tensor, embeddings: Tensor): Tensor {
    return this.predictions.forward(x, embeddings);
  }
}

/** BERT as a masked language model (BertForMaskedLM). */
export class Bert extends PretrainedModel {
  bert: BertModel;
  cls: BertHead;
  readonly config: BertConfig;

  constructor(config: BertConfig) {
    super();
    this.config = config;
    this.bert = new BertModel(config);
    this.cls = new BertHead(config);
    noGrad(() => {
      for (const m of this.modules()) {
        if (m instanceof Linear || m instanceof Embedding) init.normal_(m.weight, 0, config.initializerRange);
        if (m instanceof Linear && m.bias) init.zeros_(m.bias);
      }
      if (config.paddingToken !== null) init.zeros_(this.bert.embeddings.wordEmbeddings.weight.detach().at(config.paddingToken));
    });
  }
  /** Old checkpoints call a norm's weight gamma; the pooler and the next-sentence head are not part of this model. */
  checkpointKey(key: string): string | null {
    if (/(^|\.)embeddings\.position_ids$/.test(key) || /^(bert\.)?pooler\./.test(key) || key.startsWith("cls.seq_relationship."))
      return null;
    if (key === "cls.predictions.decoder.bias" || (this.config.tied && key === "cls.predictions.decoder.weight")) return null;
    const named = key.replace(/LayerNorm\.gamma$/, "LayerNorm.weight").replace(/LayerNorm\.beta$/, "LayerNorm.bias");
    return /^(embeddings|encoder)\./.test(named) ? `bert.${named}` : named;
  }
  /** Hidden states [batch, time, width]. */
  encode(tokens: Tensor, inputs: BertInputs = {}): Tensor {
    const time = tokens.size(1);
    if (typeof time === "number" && time > this.config.context)
      throw new ArgumentError(`a sequence of ${time} tokens; this model takes up to ${this.config.context}`);
    return this.bert.forward(tokens, inputs);
  }
  /** Logits [batch, time, vocabulary] of tokens [batch, time]. */
  forward(tokens: Tensor, inputs: BertInputs = {}): Tensor {
    return this.cls.forward(this.encode(tokens, inputs), this.bert.embeddings.wordEmbeddings.weight);
  }
  /** Mean cross-entropy in nats of the tokens at masked positions; labels are -100 elsewhere. */
  loss(tokens: Tensor, labels: Tensor, inputs: BertInputs = {}): Tensor {
    return F.crossEntropy(this.forward(tokens, inputs).reshape([-1, this.config.vocabulary]), labels.reshape([-1]));
  }
}
