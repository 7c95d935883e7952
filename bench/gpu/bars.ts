/** What the rows of whole models have to reach on one H200, at least, as the bounds that were set for them. */
import type { Bar } from "../row.js";

/** How much better than the best peer of the same run a row is to be. */
const ratio = (r: number): Bar => ({ ratio: r });

export const bars: Readonly<Record<string, Bar>> = {
  "bert-6l-train-bf16": ratio(1.26),
  "bert-6l-train-f32": ratio(1.14),
  "gpt2-6l-decode-bf16": ratio(1.46),
  "gpt2-6l-decode-f32": ratio(2.24),
  "gpt2-6l-prefill128-bf16": ratio(1.54),
  "gpt2-6l-prefill128-f32": ratio(1.39),
  "llama1b-decode-bf16": ratio(1.45),
  "llama1b-prefill32-bf16": ratio(1.77),
  "llama1b-prefill2048-bf16": ratio(1.17),
  "llama1b-prefill100k-bf16": ratio(1.06),
  "llama1b-start-cold": { limitFraction: 1 },
  "llama1b-start-warm": { limitFraction: 1 },
};
