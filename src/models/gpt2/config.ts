/** Sizes of a GPT-2, as its config.json says. */
import { ArgumentError, UnsupportedError } from "../../core/errors.js";
import { booleanOf, type ConfigJson, numberOf, sizeOf, wordOf } from "../json.js";
import { type Activation, activationNames } from "../pretrained.js";

/** Sizes of a GPT-2. `width` is a multiple of `heads`. */
export interface GPT2Config {
  readonly vocabulary: number;
  readonly width: number;
  readonly inner: number;
  readonly layers: number;
  readonly heads: number;
  readonly context: number;
  readonly eps: number;
  readonly activation: Activation;
  readonly tied: boolean;
  /** Divides scores by the root of a head's width. */
  readonly scaled: boolean;
  /** Divides them by the layer's number, too. */
  readonly scaledByLayer: boolean;
  readonly dropout: { readonly embedding: number; readonly attention: number; readonly residual: number };
  readonly initializerRange: number;
}

/** Reads a config.json of model type gpt2. */
export function gpt2Config(json: ConfigJson): GPT2Config {
  const width = sizeOf(json, "n_embd", 768);
  const heads = sizeOf(json, "n_head", 12);
  if (width % heads) throw new ArgumentError(`config.json: a width of ${width} does not split into ${heads} heads`);
  if (booleanOf(json, "add_cross_attention", false))
    throw new UnsupportedError("config.json: a GPT-2 with cross-attention (add_cross_attention) is not supported");
  return {
    vocabulary: sizeOf(json, "vocab_size", 50257),
    width,
    inner: sizeOf(json, "n_inner", 4 * width),
    layers: sizeOf(json, "n_layer", 12),
    heads,
    context: sizeOf(json, "n_positions", 1024),
    eps: numberOf(json, "layer_norm_epsilon", 1e-5),
    activation: wordOf(json, "activation_function", activationNames, "gelu_new"),
    tied: booleanOf(json, "tie_word_embeddings", true),
    scaled: booleanOf(json, "scale_attn_weights", true),
    scaledByLayer: booleanOf(json, "scale_attn_by_inverse_layer_idx", false),
    dropout: {
      embedding: numberOf(json, "embd_pdrop", 0.1),
      attention: numberOf(json, "attn_pdrop", 0.1),
      residual: numberOf(json, "resid_pdrop", 0.1),
    },
    initializerRange: numberOf(json, "initializer_range", 0.02),
  };
}
