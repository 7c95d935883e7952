/** A trained GPT as the methods of a program file. */
import { type Tensor, tensor, zeros } from "../../tensor/index.js";
import { type GPT, type LayerCache, sample } from "./index.js";

/** What `exportPie` takes: `exportPie(file, m.methods, m.options)`. */
export interface GPTMethods {
  readonly methods: {
    readonly logits: {
      readonly fn: (tokens: Tensor) => { readonly logits: Tensor };
      readonly inputs: { readonly tokens: Tensor };
      readonly dynamic: { readonly tokens: Readonly<Record<number, { readonly min: number; readonly max: number }>> };
    };
    readonly decode: {
      readonly fn: (token: Tensor, position: Tensor, temperature: Tensor, noise: Tensor) => { readonly next: Tensor };
      readonly inputs: Readonly<Record<"token" | "position" | "temperature" | "noise", Tensor>>;
    };
  };
  readonly options: {
    readonly module: GPT;
    readonly state: Readonly<Record<string, Tensor>>;
    readonly metadata: Readonly<Record<string, string>>;
  };
}

/**
 * Two methods: `logits` of a whole window, and `decode`, which takes one token and its position, keeps keys and values as state, and
 * samples the next token.
 */
export function gptMethods(model: GPT): GPTMethods {
  const { vocabulary, width, heads, layers, context } = model.config;
  model.eval();
  const caches = Array.from(
    { length: layers },
    (): LayerCache => ({ key: zeros([1, heads, context, width / heads]), value: zeros([1, heads, context, width / heads]) }),
  );
  return {
    methods: {
      logits: {
        fn: (tokens) => ({ logits: model.forward(tokens) }),
        inputs: { tokens: tensor(new Array<number>(context).fill(0), [1, context], { dtype: "i64" }) },
        dynamic: { tokens: { 1: { min: 1, max: context } } },
      },
      decode: {
        fn: (token, position, temperature, noise) => ({
          next: sample(model.step(token, position, caches), temperature, noise.reshape([1, vocabulary])),
        }),
        inputs: {
          token: tensor([0], { dtype: "i64" }),
          position: tensor(0, { dtype: "i64" }),
          temperature: tensor(1, { dtype: "f32" }),
          noise: zeros([vocabulary]),
        },
      },
    },
    options: {
      module: model,
      state: Object.fromEntries(
        caches.flatMap((c, i) => [
          [`cache.${i}.key`, c.key],
          [`cache.${i}.value`, c.value],
        ]),
      ),
      metadata: { kind: "byte-language-model", vocabulary: `${vocabulary}`, context: `${context}` },
    },
  };
}
