/** Sizes of a Llama, as its config.json says. */
import { ArgumentError, UnsupportedError } from "../../core/errors.js";
import { booleanOf, type ConfigJson, numberOf, objectOf, sizeOf, wordOf } from "../json.js";
import { type Activation, activationNames } from "../pretrained.js";

/** How rotary frequencies are stretched beyond the context of pretraining. */
export type RopeScaling =
  | { readonly type: "default" }
  | { readonly type: "linear"; readonly factor: number }
  | {
      readonly type: "llama3";
      readonly factor: number;
      readonly lowFreqFactor: number;
      readonly highFreqFactor: number;
      readonly originalContext: number;
    };

/** Sizes of a Llama. `heads` is a multiple of `kvHeads`. */
export interface LlamaConfig {
  readonly vocabulary: number;
  readonly width: number;
  readonly intermediate: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headWidth: number;
  readonly context: number;
  readonly eps: number;
  readonly activation: Activation;
  readonly attentionBias: boolean;
  readonly mlpBias: boolean;
  readonly tied: boolean;
  readonly ropeBase: number;
  readonly ropeScaling: RopeScaling;
  readonly initializerRange: number;
}

/** Reads a config.json of model type llama, of today's layout (`rope_parameters`) or the older (`rope_theta`, `rope_scaling`). */
export function llamaConfig(json: ConfigJson): LlamaConfig {
  const width = sizeOf(json, "hidden_size");
  const heads = sizeOf(json, "num_attention_heads");
  const kvHeads = sizeOf(json, "num_key_value_heads", heads);
  if (heads % kvHeads) throw new ArgumentError(`config.json: ${heads} attention heads do not share ${kvHeads} key-value heads evenly`);
  const headWidth = sizeOf(json, "head_dim", Math.floor(width / heads));
  if (headWidth % 2) throw new ArgumentError(`config.json: heads of width ${headWidth} have no halves to rotate; it must be even`);
  const context = sizeOf(json, "max_position_embeddings", 2048);
  const rope = objectOf(json, "rope_parameters") ?? objectOf(json, "rope_scaling") ?? {};
  return {
    vocabulary: sizeOf(json, "vocab_size"),
    width,
    intermediate: sizeOf(json, "intermediate_size"),
    layers: sizeOf(json, "num_hidden_layers"),
    heads,
    kvHeads,
    headWidth,
    context,
    eps: numberOf(json, "rms_norm_eps", 1e-6),
    activation: wordOf(json, "hidden_act", activationNames, "silu"),
    attentionBias: booleanOf(json, "attention_bias", false),
    mlpBias: booleanOf(json, "mlp_bias", false),
    tied: booleanOf(json, "tie_word_embeddings", false),
    ropeBase: numberOf(rope, "rope_theta", numberOf(json, "rope_theta", 10000)),
    ropeScaling: scalingOf(rope, context),
    initializerRange: numberOf(json, "initializer_range", 0.02),
  };
}
function scalingOf(rope: ConfigJson, context: number): RopeScaling {
  const type = rope["rope_type"] ?? rope["type"] ?? "default";
  switch (type) {
    case "default":
      return { type: "default" };
    case "linear":
      return { type: "linear", factor: numberOf(rope, "factor") };
    case "llama3":
      return {
        type: "llama3",
        factor: numberOf(rope, "factor"),
        lowFreqFactor: numberOf(rope, "low_freq_factor"),
        highFreqFactor: numberOf(rope, "high_freq_factor"),
        originalContext: sizeOf(rope, "original_max_position_embeddings", context),
      };
    default:
      throw new UnsupportedError(`config.json: rope scaling ${JSON.stringify(type)} is not supported; default, linear and llama3 are`);
  }
}

/** Frequencies of the rotary embedding, one for each pair of coordinates. */
export function ropeFrequencies(config: Pick<LlamaConfig, "headWidth" | "ropeBase" | "ropeScaling">): Float32Array {
  const { headWidth, ropeBase, ropeScaling: s } = config;
  return Float32Array.from({ length: headWidth / 2 }, (_, i) => {
    const f = 1 / ropeBase ** ((2 * i) / headWidth);
    switch (s.type) {
      case "default":
        return f;
      case "linear":
        return f / s.factor;
      case "llama3": {
        // Long waves are stretched, short ones stay, and between the two it goes smoothly.
        const turns = (s.originalContext * f) / (2 * Math.PI);
        if (turns > s.highFreqFactor) return f;
        if (turns < s.lowFreqFactor) return f / s.factor;
        const smooth = (turns - s.lowFreqFactor) / (s.highFreqFactor - s.lowFreqFactor);
        return ((1 - smooth) * f) / s.factor + smooth * f;
      }
      default:
        return s satisfies never;
    }
  });
}
