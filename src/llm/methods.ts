/** A language model as the two methods of a program file: a prompt whole, then token after token, with the cache as shared state. */
import type { CausalModel } from "../models/index.js";
import { noGrad, type Tensor, zeros } from "../tensor/index.js";

/** What `exportPie` takes: `exportPie(file, m.methods, m.options)`. */
export interface ModelMethods {
  readonly methods: {
    readonly prefill: {
      readonly fn: (tokens: Tensor) => { readonly logits: Tensor; readonly next: Tensor };
      readonly inputs: { readonly tokens: Tensor };
      readonly dynamic: { readonly tokens: Readonly<Record<number, { readonly min: number; readonly max: number }>> };
    };
    readonly decode: {
      readonly fn: (token: Tensor, position: Tensor) => { readonly logits: Tensor; readonly next: Tensor };
      readonly inputs: { readonly token: Tensor; readonly position: Tensor };
    };
  };
  readonly options: {
    readonly module: CausalModel;
    readonly state: Readonly<Record<string, Tensor>>;
    readonly metadata: Readonly<Record<string, string>>;
  };
}

/**
 * The methods of a model with a cache of `length` positions. `prefill` takes tokens [1, time] and starts a sequence; `decode` takes one
 * more token [1] and its position. Both give logits [1, vocabulary] in f32, and the likeliest token `next` [1].
 */
export function modelMethods(model: CausalModel, length: number): ModelMethods {
  const cache = noGrad(() => model.makeCache(length));
  const results = (logits: Tensor): { readonly logits: Tensor; readonly next: Tensor } => {
    const wide = logits.to("f32");
    return { logits: wide, next: wide.argmax(-1) };
  };
  const state: Record<string, Tensor> = {};
  for (const [i, { key, value }] of cache.layers.entries()) {
    state[`cache.${i}.key`] = key;
    state[`cache.${i}.value`] = value;
  }
  return {
    methods: {
      prefill: {
        fn: (tokens) => results(model.prefill(tokens, cache)),
        inputs: { tokens: zeros([1, Math.min(2, length)], { dtype: "i64" }) },
        dynamic: { tokens: { 1: { min: 1, max: length } } },
      },
      decode: {
        fn: (token, position) => results(model.decode(token, position, cache)),
        inputs: { token: zeros([1], { dtype: "i64" }), position: zeros([], { dtype: "i64" }) },
      },
    },
    options: {
      module: model,
      state,
      metadata: { kind: "language-model", vocabulary: String(model.vocabulary), positions: String(length) },
    },
  };
}
