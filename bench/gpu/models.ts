/** Rows of whole models: the jobs of `--suite cpu` on the GPU, with graphs among the peers. */

import { bert, gpt2, llama1b } from "../cpu/checkpoint.js";
import type { Site, Variant } from "../cpu/contest.js";
import { decodeCase, gpt2Shape, llamaShape, prefillCase } from "../cpu/generation.js";
import { startCase } from "../cpu/start.js";
import { trainCase } from "../cpu/training.js";
import type { Case } from "../row.js";
import { bars } from "./bars.js";
import { matrixRate } from "./matmul.js";
import { bench, closeBench } from "./run.js";

let measured: ReturnType<Site["measure"]> | undefined;
/** The GPU: bandwidth is the driver's own copy, rates are those of a product of 4096, half as much in tf32. */
const site: Site = {
  suite: "gpu",
  backend: "cuda",
  torch: { threads: 8, device: "cuda" },
  warm: 0.5,
  wake: 0.02,
  measure: () => {
    measured ??= measure();
    return measured;
  },
  bars,
};
async function measure(): ReturnType<Site["measure"]> {
  const { copy } = await bench();
  const bf16 = await matrixRate(4096, "bf16");
  await closeBench();
  return { copy, read: copy, bf16, f32: bf16 / 2, bf16Unit: "tensor cores" };
}

const variants: readonly Variant[] = ["eager", "compile", "reduce-overhead"];
const gpt2Rows = (["bf16", "f32"] as const).flatMap((dtype): Case[] => {
  const of = { checkpoint: gpt2, shape: gpt2Shape, dtype, prompt: 128, site, variants } as const;
  return [
    decodeCase({ ...of, name: `gpt2-6l-decode-${dtype}`, kind: "gpt2-decode" }),
    prefillCase({ ...of, name: `gpt2-6l-prefill128-${dtype}`, kind: "gpt2-prefill", milliseconds: true }),
  ];
});
const llama = { checkpoint: llama1b, shape: llamaShape, dtype: "bf16", site } as const;
const promptRow = (prompt: number, name: string, peers: readonly Variant[]): Case =>
  prefillCase({
    ...llama,
    name: `llama1b-prefill${name}-bf16`,
    kind: "llama-prefill",
    prompt,
    length: prompt,
    variants: peers,
    milliseconds: true,
  });

/** The rows. */
export const modelCases: readonly Case[] = [
  ...(["bf16", "f32"] as const).map((d) => trainCase(bert, "bert-train", d, false, 30522, 6, site, variants)),
  ...gpt2Rows,
  decodeCase({ ...llama, name: "llama1b-decode-bf16", kind: "llama-decode", prompt: 32, variants: [...variants, "fused"] }),
  promptRow(32, "32", variants),
  promptRow(2048, "2048", variants),
  promptRow(100_000, "100k", ["eager"]),
  startCase("llama1b-start", "token", llama1b, "the first token after 32", { suite: "gpu", backend: "cuda", bars }),
];
