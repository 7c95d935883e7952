/** What the rows of whole models have to reach on one H200: the bounds that were set for them, ahead of the best peer of the same run. */
import type { Bar } from "../row.js";

const tokens = (least: number): Bar => ({ least, ratio: 1 });
const milliseconds = (most: number): Bar => ({ most, ratio: 1 });

export const bars: Readonly<Record<string, Bar>> = {
  "bert-6l-train-bf16": milliseconds(2.3),
  "bert-6l-train-f32": milliseconds(3.8),
  "gpt2-6l-decode-bf16": tokens(5000),
  "gpt2-6l-decode-f32": tokens(2200),
  "gpt2-6l-prefill128-bf16": milliseconds(0.3),
  "gpt2-6l-prefill128-f32": milliseconds(0.45),
  "llama1b-decode-bf16": tokens(1250),
  "llama1b-prefill32-bf16": milliseconds(1.2),
  "llama1b-prefill2048-bf16": milliseconds(9),
  "llama1b-prefill100k-bf16": milliseconds(1800),
  "llama1b-start-cold": { limitFraction: 1 },
  "llama1b-start-warm": { limitFraction: 1 },
};
