/** Rows of prefill and decoding: what `generateTokens` runs, with logits to compare. */
import { compile, evaluate, llm, models, noGrad, type Tensor, tensor } from "#treepie/index.js";
import type { Case } from "../row.js";
import { type Checkpoint, checkpointFolder, countWeights, gpt2, llama1b } from "./checkpoint.js";
import { contest, type Runner } from "./contest.js";
import { integers, tensorOf, valuesOf } from "./inputs.js";
import { joined } from "./runner.js";

type DType = "f32" | "bf16";
interface Shape {
  readonly layers: number;
  readonly width: number;
  readonly kvWidth: number;
  readonly vocabulary: number;
  /** Weights of the layers, which every token meets. */
  readonly inner: number;
}
const gpt2Shape: Shape = { layers: 6, width: 768, kvWidth: 768, vocabulary: 50257, inner: countWeights(gpt2, (k) => k.includes(".h.")) };
const llamaShape: Shape = {
  layers: 16,
  width: 2048,
  kvWidth: 512,
  vocabulary: 128256,
  inner: countWeights(llama1b, (k) => k.includes(".layers.")),
};
/** Positions of the cache. */
const length = 256;
const bytesOf = (dtype: DType): number => (dtype === "f32" ? 4 : 2);

/** Bytes of weights that one token reads: the layers, and the embedding, which is the head. */
const weightBytes = (s: Shape, dtype: DType): number => (s.inner + s.vocabulary * s.width) * bytesOf(dtype);

/** Our programs for one model. */
async function programs(
  folder: string,
  dtype: DType,
): Promise<{
  readonly prefill: (tokens: Tensor) => readonly Tensor[];
  readonly decode: (token: Tensor, position: number) => readonly Tensor[];
}> {
  const { model } = await llm.loadPretrained(folder, { dtype, weights: "copied" });
  if (!(model instanceof models.CausalModel)) throw new Error(`${folder} is no language model`);
  const cache = noGrad(() => model.makeCache(length));
  const results = (logits: Tensor): readonly Tensor[] => [logits, logits.to("f32").argmax(-1)];
  const prefill = compile((tokens: Tensor) => results(model.prefill(tokens, cache)), { dynamic: [{ 1: { min: 1, max: length } }] });
  const decode = compile((token: Tensor, position: Tensor) => results(model.decode(token, position, cache)));
  return {
    prefill: (tokens) => noGrad(() => prefill(tokens)),
    decode: (token, position) => noGrad(() => decode(token, tensor(position, { dtype: "i64" }))),
  };
}

function decodeCase(name: string, kind: string, c: Checkpoint, s: Shape, dtype: DType, prompt: number): Case {
  const cached = 2 * s.layers * s.kvWidth * bytesOf(dtype) * prompt;
  return contest({
    name,
    metric: `greedy decoding after ${prompt} tokens, ${dtype} weights`,
    unit: "tokens/s",
    work: 1,
    limit: (m) => m.read / (weightBytes(s, dtype) + cached),
    limitNote: "read bandwidth, weights and cache read once a token",
    tolerance: dtype === "f32" ? 1e-3 : 0.05,
    job: {
      kind,
      get spec() {
        return { folder: checkpointFolder(c), dtype, length };
      },
      inputs: () => [integers(30, [prompt], s.vocabulary), integers(31, [4], s.vocabulary)],
    },
    variants: ["eager", "compile", "freeze"],
    async ours([tokens, given]): Promise<Runner> {
      const { prefill, decode } = await programs(checkpointFolder(c), dtype);
      const forced = [...valuesOf(given!)];
      return {
        async values() {
          await evaluate(...prefill(tensorOf(tokens!).reshape([1, prompt])));
          const logits = forced.map((t, i) => decode(tensor([t], { dtype: "i64" }), prompt + i)[0]!);
          return joined(logits);
        },
        async run(calls) {
          let token = tensor([forced[0]!], { dtype: "i64" });
          for (let i = 0; i < calls; i++) {
            const [logits, next] = decode(token, prompt + i) as [Tensor, Tensor];
            await next.item();
            logits.dispose();
            token = next;
          }
        },
      };
    },
  });
}

function prefillCase(name: string, kind: string, c: Checkpoint, s: Shape, dtype: DType, prompt: number): Case {
  const operations = 2 * prompt * s.inner + 2 * s.vocabulary * s.width + 2 * prompt * prompt * s.width * s.layers;
  return contest({
    name,
    metric: `prompt of ${prompt} tokens, ${dtype} weights`,
    unit: "tokens/s",
    work: prompt,
    limit: (m) => prompt / Math.max(operations / m[dtype], weightBytes(s, dtype) / m.read),
    limitNote: "products at the peak rate, or weights read once",
    tolerance: dtype === "f32" ? 1e-3 : 0.05,
    job: {
      kind,
      get spec() {
        return { folder: checkpointFolder(c), dtype, length };
      },
      inputs: () => [integers(30, [prompt], s.vocabulary)],
    },
    variants: ["eager", "compile", "freeze"],
    async ours([tokens]): Promise<Runner> {
      const { prefill } = await programs(checkpointFolder(c), dtype);
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
  ...(["f32", "bf16"] as const).map((d) => decodeCase(`gpt2-6l-decode-${d}`, "gpt2-decode", gpt2, gpt2Shape, d, 128)),
  ...(["f32", "bf16"] as const).map((d) => prefillCase(`gpt2-6l-prefill128-${d}`, "gpt2-prefill", gpt2, gpt2Shape, d, 128)),
];
export const llamaRows: readonly Case[] = [
  decodeCase("llama1b-decode-bf16", "llama-decode", llama1b, llamaShape, "bf16", 32),
  prefillCase("llama1b-prefill32-bf16", "llama-prefill", llama1b, llamaShape, "bf16", 32),
];
