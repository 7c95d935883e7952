/** Sizes of a BERT, as its config.json says. */
import { ArgumentError, UnsupportedError } from "../../core/errors.js";
import { booleanOf, type ConfigJson, numberOf, sizeOf, wordOf } from "../json.js";
import { type Activation, activationNames } from "../pretrained.js";

/** Sizes of a BERT. `width` is a multiple of `heads`. */
export interface BertConfig {
  readonly vocabulary: number;
  readonly width: number;
  readonly intermediate: number;
  readonly layers: number;
  readonly heads: number;
  readonly context: number;
  readonly tokenTypes: number;
  readonly eps: number;
  readonly activation: Activation;
  readonly dropout: { readonly hidden: number; readonly attention: number };
  /** This token's embedding gets no gradient from where it stands. */
  readonly paddingToken: number | null;
  readonly tied: boolean;
  readonly initializerRange: number;
}

/** Reads a config.json of model type bert. */
export function bertConfig(json: ConfigJson): BertConfig {
  const width = sizeOf(json, "hidden_size", 768);
  const heads = sizeOf(json, "num_attention_heads", 12);
  if (width % heads) throw new ArgumentError(`config.json: a width of ${width} does not split into ${heads} heads`);
  const positions = json["position_embedding_type"] ?? "absolute";
  if (positions !== "absolute" || booleanOf(json, "is_decoder", false))
    throw new UnsupportedError("config.json: only BERT encoders with absolute positions are supported");
  return {
    vocabulary: sizeOf(json, "vocab_size", 30522),
    width,
    intermediate: sizeOf(json, "intermediate_size", 3072),
    layers: sizeOf(json, "num_hidden_layers", 12),
    heads,
    context: sizeOf(json, "max_position_embeddings", 512),
    tokenTypes: sizeOf(json, "type_vocab_size", 2),
    eps: numberOf(json, "layer_norm_eps", 1e-12),
    activation: wordOf(json, "hidden_act", activationNames, "gelu"),
    dropout: {
      hidden: numberOf(json, "hidden_dropout_prob", 0.1),
      attention: numberOf(json, "attention_probs_dropout_prob", 0.1),
    },
    paddingToken: json["pad_token_id"] === null ? null : numberOf(json, "pad_token_id", 0),
    tied: booleanOf(json, "tie_word_embeddings", true),
    initializerRange: numberOf(json, "initializer_range", 0.02),
  };
}
