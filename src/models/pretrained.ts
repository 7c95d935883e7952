/** What models with published checkpoints share: keys of checkpoints, activations, and language models with a cache. */

import type { DType } from "../core/dtype.js";
import { ArgumentError } from "../core/errors.js";
import { attend, type LoadResult, Module } from "../nn/index.js";
import { arange, F, fullLike, type Tensor, zeros } from "../tensor/index.js";

/** A module that takes the keys of Hugging Face checkpoints. */
export abstract class PretrainedModel extends Module {
  /** This model's key for a key of a checkpoint; null for what old checkpoints hold besides weights and what belongs to other heads. */
  abstract checkpointKey(key: string): string | null;

  override loadStateDict(dict: Readonly<Record<string, Tensor>>, options: { readonly strict?: boolean } = {}): LoadResult {
    const own: Record<string, Tensor> = {};
    for (const [key, value] of Object.entries(dict)) {
      const name = this.checkpointKey(key);
      if (name !== null) own[name] = value;
    }
    return super.loadStateDict(own, options);
  }
}

/** Names of activations in config.json. */
export const activations: Readonly<Record<Activation, (x: Tensor) => Tensor>> = {
  gelu: (x) => x.gelu(),
  gelu_new: (x) => x.gelu({ approximate: "tanh" }),
  gelu_pytorch_tanh: (x) => x.gelu({ approximate: "tanh" }),
  relu: (x) => x.relu(),
  silu: (x) => x.silu(),
  tanh: (x) => x.tanh(),
};
export type Activation = "gelu" | "gelu_new" | "gelu_pytorch_tanh" | "relu" | "silu" | "tanh";
export const activationNames: readonly Activation[] = ["gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "silu", "tanh"];

/** Keys and values of one layer, [heads, positions, width of a head] each. */
export interface CacheLayer {
  readonly key: Tensor;
  readonly value: Tensor;
}
/** Keys and values of one sequence of up to `length` positions. Programs write their rows in place. */
export interface KVCache {
  readonly length: number;
  readonly layers: readonly CacheLayer[];
}
/** How queries of a layer meet keys and values; all [batch, heads, time, width of a head]. */
export type Attend = (
  layer: number,
  q: Tensor,
  k: Tensor,
  v: Tensor,
  options?: { readonly scale?: number; readonly dropout?: (() => number) | undefined },
) => Tensor;

const plain = (options: Parameters<Attend>[4]): { scale?: number; dropout?: () => number } => ({
  ...(options?.scale !== undefined && { scale: options.scale }),
  ...(options?.dropout && { dropout: options.dropout }),
});
/** Every position sees itself and those before it. */
const causalAttention: Attend = (_, q, k, v, options) => attend(q, k, v, { ...plain(options), isCausal: true, enableGqa: true });

/** Writes keys or values [1, heads, time, width] where `positions` [time] says. */
function write(rows: Tensor, positions: Tensor, x: Tensor): void {
  rows.copy_(F.indexCopy(rows, 1, positions, x.at(0).to(rows.dtype)));
}
/**
 * Positions that go on with what a cache holds up to `first` (rank 0, read on the device), or that start a sequence. Their keys and
 * values go into the cache, and each sees what the cache then holds up to it; the rest of the cache is not read.
 */
function cachedAttention(cache: KVCache, positions: Tensor, first?: Tensor): Attend {
  return (layer, q, k, v, options) => {
    const { key, value } = cache.layers[layer]!;
    write(key, positions, k);
    write(value, positions, v);
    const [keys, values] = [key, value].map((x) => x.unsqueeze(0).to(q.dtype)) as [Tensor, Tensor];
    return attend(q, keys, values, { ...plain(options), isCausal: true, enableGqa: true, ...(first && { offset: first }) });
  };
}

/** A language model that predicts the next token. */
export abstract class CausalModel extends PretrainedModel {
  /** Number of tokens in the vocabulary. */
  abstract readonly vocabulary: number;
  /** The longest sequence. */
  abstract readonly context: number;
  /** Layers, and heads and their width in the cache. */
  protected abstract readonly cacheShape: { readonly layers: number; readonly heads: number; readonly width: number };
  /** The dtype that weights and activations have. */
  abstract get dtype(): DType;

  /** Final hidden states [batch, time, width] of tokens [batch, time] at `positions` [time]. */
  protected abstract hidden(tokens: Tensor, positions: Tensor, attention: Attend): Tensor;
  /** Logits of hidden states. */
  protected abstract logits(hidden: Tensor): Tensor;

  /** Logits [batch, time, vocabulary] of tokens [batch, time]. */
  forward(tokens: Tensor): Tensor {
    return this.logits(this.hidden(tokens, this.positions(tokens), causalAttention));
  }
  /** Mean cross-entropy in nats of each token given those before it. Labels are the tokens, with -100 where none counts. */
  loss(tokens: Tensor, labels: Tensor = tokens): Tensor {
    // The last position counts for nothing: with all of the logits, their derivative can be written over them.
    const next = F.cat([labels.at(":", [1, null]), fullLike(labels.at(":", [0, 1]), -100)], 1);
    return F.crossEntropy(this.forward(tokens).reshape([-1, this.vocabulary]), next.reshape([-1]));
  }
  /** An empty cache of `length` positions for `prefill` and `decode`. */
  makeCache(length: number = this.context): KVCache {
    if (!(Number.isSafeInteger(length) && length > 0)) throw new ArgumentError(`makeCache: a length of ${length}`);
    if (length > this.context) throw new ArgumentError(`makeCache: ${length} positions; this model has ${this.context}`);
    const { layers, heads, width } = this.cacheShape;
    const rows = (): Tensor => zeros([heads, length, width], { dtype: this.dtype }).clone();
    return { length, layers: Array.from({ length: layers }, () => ({ key: rows(), value: rows() })) };
  }
  /** Logits [1, vocabulary] after the prompt [1, time], whose keys and values the cache then holds. */
  prefill(tokens: Tensor, cache: KVCache): Tensor {
    const positions = this.positions(tokens);
    const x = this.hidden(tokens, positions, cachedAttention(cache, positions));
    return this.logits(x.at(":", -1));
  }
  /** Logits [1, vocabulary] after one more token [1], which stands at `position` (rank 0). */
  decode(token: Tensor, position: Tensor, cache: KVCache): Tensor {
    const at = position.reshape([1]);
    const x = this.hidden(token.reshape([1, 1]), at, cachedAttention(cache, at, position));
    return this.logits(x.at(":", 0));
  }
  private positions(tokens: Tensor): Tensor {
    const time = tokens.size(1);
    if (typeof time === "number" && time > this.context)
      throw new ArgumentError(`a sequence of ${time} tokens; this model takes up to ${this.context}`);
    return arange(time, { dtype: "i64" });
  }
}
