/** Rows of prefill and decoding: what `generateTokens` runs, with logits to compare. */
import { compile, evaluate, float32MatmulPrecision, llm, models, noGrad, setFloat32MatmulPrecision, type Tensor, tensor } from "#treepie";
import { Decoder } from "#treepie/llm/decoder.js";
import { rulesOf } from "#treepie/llm/sampling.js";
import type { Case } from "../row.js";
import { type Checkpoint, checkpointFolder, countWeights, gpt2, llama1b } from "./checkpoint.js";
import { contest, type Runner, type ScriptPeer, type Site, type Variant } from "./contest.js";
import { integers, tensorOf, valuesOf } from "./inputs.js";
import { joined } from "./runner.js";

type DType = "f32" | "bf16";
/** Sizes of a language model. */
export interface Shape {
  readonly layers: number;
  readonly width: number;
  readonly kvWidth: number;
  readonly vocabulary: number;
  /** Weights of the layers, which every token meets. */
  readonly inner: number;
}
export const shapeOfGpt2 = (c: Checkpoint, layers: number): Shape => ({
  layers,
  width: 768,
  kvWidth: 768,
  vocabulary: 50257,
  inner: countWeights(c, (k) => k.includes(".h.")),
});
export const gpt2Shape: Shape = shapeOfGpt2(gpt2, 6);
export const llamaShape: Shape = {
  layers: 16,
  width: 2048,
  kvWidth: 512,
  vocabulary: 128256,
  inner: countWeights(llama1b, (k) => k.includes(".layers.")),
};
/** Positions of a cache where nothing else is said. */
const defaultLength = 256;

/** A row of generation. */
export interface Generation {
  readonly name: string;
  /** The peers' job. */
  readonly kind: string;
  readonly checkpoint: Checkpoint;
  readonly shape: Shape;
  readonly dtype: DType;
  /** Tokens of the prompt. */
  readonly prompt: number;
  /** Where it takes place, if not on the processor: there sizes are fixed. */
  readonly site?: Site;
  readonly variants?: readonly Variant[];
  readonly scripts?: readonly ScriptPeer[];
  /** Positions of the cache. */
  readonly length?: number;
  /** A row of times. */
  readonly milliseconds?: true;
}
const bytesOf = (dtype: DType): number => (dtype === "f32" ? 4 : 2);

/** Bytes of weights that one token reads: the layers, and the embedding, which is the head. */
const weightBytes = (s: Shape, dtype: DType): number => (s.inner + s.vocabulary * s.width) * bytesOf(dtype);

/** Our programs for one model; `tf32`: f32 products of a prompt may round their operands. */
async function programs(
  folder: string,
  dtype: DType,
  length: number,
  { symbolic, tf32 }: { readonly symbolic: boolean; readonly tf32: boolean },
): Promise<{
  readonly prefill: (tokens: Tensor) => readonly Tensor[];
  readonly decode: (token: Tensor, position: number) => readonly Tensor[];
  readonly model: models.CausalModel;
}> {
  const { model } = await llm.loadPretrained(folder, { dtype, weights: "copied" });
  if (!(model instanceof models.CausalModel)) throw new Error(`${folder} is no language model`);
  const cache = noGrad(() => model.makeCache(length));
  const results = (logits: Tensor): readonly Tensor[] => [logits, logits.to("f32").argmax(-1)];
  const prefill = compile(
    (tokens: Tensor) => results(model.prefill(tokens, cache)),
    symbolic ? { dynamic: [{ 1: { min: 1, max: length } }] } : {},
  );
  const decode = compile((token: Tensor, position: Tensor) => results(model.decode(token, position, cache)));
  return {
    model,
    prefill: (tokens) => {
      const before = float32MatmulPrecision();
      setFloat32MatmulPrecision(tf32 ? "high" : "highest");
      try {
        return noGrad(() => prefill(tokens));
      } finally {
        setFloat32MatmulPrecision(before);
      }
    },
    decode: (token, position) => noGrad(() => decode(token, tensor(position, { dtype: "i64" }))),
  };
}

/** What a generation does behind its prompt. */
async function following(model: models.CausalModel, length: number, first: number, prompt: number): Promise<Runner["run"]> {
  const decoder = new Decoder(model, length);
  const { rules, numbers, seed } = rulesOf({});
  const run = await decoder.begin(numbers, rules, seed);
  const go = async (calls: number): Promise<void> => {
    decoder.resume(first, prompt, run);
    const all = decoder.batches(run, calls);
    while (!(await all.next()).done);
  };
  // Its programs are compiled here: a first turn of seconds would be taken for what a token takes.
  await go(1);
  return go;
}

/** Tokens one after another. */
export function decodeCase(g: Generation): Case {
  const { name, kind, checkpoint: c, shape: s, dtype, prompt, site } = g;
  const length = g.length ?? defaultLength;
  const cached = 2 * s.layers * s.kvWidth * bytesOf(dtype) * prompt;
  return contest({
    name,
    ...(site && { site }),
    metric: `greedy decoding after ${prompt} tokens, ${dtype} weights`,
    unit: "tokens/s",
    work: 1,
    limit: (m) => m.read / (weightBytes(s, dtype) + cached),
    limitNote: "read bandwidth, weights and cache read once a token",
    traffic: { how: "read", bytes: weightBytes(s, dtype) + cached },
    tolerance: dtype === "f32" ? 1e-3 : 0.05,
    job: {
      kind,
      get spec() {
        return { folder: checkpointFolder(c), dtype, length };
      },
      inputs: () => [integers(30, [prompt], s.vocabulary), integers(31, [4], s.vocabulary)],
    },
    variants: g.variants ?? ["eager", "compile", "freeze"],
    async ours([tokens, given]): Promise<Runner> {
      const { prefill, decode, model } = await programs(checkpointFolder(c), dtype, length, { symbolic: !site, tf32: false });
      const forced = [...valuesOf(given!)];
      return {
        async values() {
          await evaluate(...prefill(tensorOf(tokens!).reshape([1, prompt])));
          const logits = forced.map((t, i) => decode(tensor([t], { dtype: "i64" }), prompt + i)[0]!);
          return joined(logits);
        },
        run: await following(model, length, forced[0]!, prompt),
      };
    },
  });
}

/** A whole prompt. */
export function prefillCase(g: Generation): Case {
  const { name, kind, checkpoint: c, shape: s, dtype, prompt, site } = g;
  const length = g.length ?? defaultLength;
  const tf32 = dtype === "f32" && site?.backend === "cuda";
  const operations = 2 * prompt * s.inner + 2 * s.vocabulary * s.width + 2 * prompt * prompt * s.width * s.layers;
  return contest({
    name,
    ...(site && { site }),
    ...(g.milliseconds && { milliseconds: true }),
    metric: `prompt of ${prompt} tokens, ${dtype} weights${tf32 ? ", tf32 products" : ""}`,
    unit: g.milliseconds ? "ms" : "tokens/s",
    work: prompt,
    limit: (m) => {
      const least = Math.max(operations / m[dtype], weightBytes(s, dtype) / m.read);
      return g.milliseconds ? least * 1000 : prompt / least;
    },
    limitNote: "products at the peak rate, or weights read once",
    tolerance: tf32 ? 5e-3 : dtype === "f32" ? 1e-3 : 0.05,
    job: {
      kind,
      get spec() {
        return { folder: checkpointFolder(c), dtype, length };
      },
      inputs: () => [integers(30, [prompt], s.vocabulary)],
    },
    variants: g.variants ?? ["eager", "compile", "freeze"],
    ...(g.scripts && { scripts: g.scripts }),
    async ours([tokens]): Promise<Runner> {
      const { prefill } = await programs(checkpointFolder(c), dtype, length, { symbolic: !site, tf32 });
      const given = tensorOf(tokens!).reshape([1, prompt]);
      await evaluate(given);
      const once = async (): Promise<Tensor> => {
        const [logits, next] = prefill(given) as [Tensor, Tensor];
        await next.item();
        return logits;
      };
      return {
        async values() {
          await once();
          return joined([await once()]);
        },
        async run(calls) {
          for (let i = 0; i < calls; i++) (await once()).dispose();
        },
      };
    },
  });
}

export const generation: readonly Case[] = [
  ...(["f32", "bf16"] as const).map((dtype) =>
    decodeCase({ name: `gpt2-6l-decode-${dtype}`, kind: "gpt2-decode", checkpoint: gpt2, shape: gpt2Shape, dtype, prompt: 128 }),
  ),
  ...(["f32", "bf16"] as const).map((dtype) =>
    prefillCase({ name: `gpt2-6l-prefill128-${dtype}`, kind: "gpt2-prefill", checkpoint: gpt2, shape: gpt2Shape, dtype, prompt: 128 }),
  ),
];
export const llamaRows: readonly Case[] = [
  decodeCase({ name: "llama1b-decode-bf16", kind: "llama-decode", checkpoint: llama1b, shape: llamaShape, dtype: "bf16", prompt: 32 }),
  prefillCase({ name: "llama1b-prefill32-bf16", kind: "llama-prefill", checkpoint: llama1b, shape: llamaShape, dtype: "bf16", prompt: 32 }),
];
