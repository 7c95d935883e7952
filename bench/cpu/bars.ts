/** What each row has to reach, at least (2 cores). */
import type { Bar } from "../row.js";

const ratio = (r: number, limitFraction?: number): Bar => ({ ratio: r, ...(limitFraction !== undefined && { limitFraction }) });
/** Rows against a JavaScript peer. */
const scripts = (names: readonly string[], peers: readonly string[], r: number): Record<string, Bar> =>
  Object.fromEntries(names.flatMap((n) => peers.map((p) => [`${n}@${p}`, ratio(r)])));

export const bars: Readonly<Record<string, Bar>> = {
  "matmul-2048-f32": ratio(1),
  "matmul-1024-f32": ratio(1),
  "matmul-2048-bf16": ratio(0.9),
  "matmul-1024-bf16": ratio(0.9),
  "matmul-2048-f32-packed": ratio(1.05),
  "matmul-1024-f32-packed": ratio(1.05),
  "matmul-2048-bf16-packed": ratio(1.3),
  "matmul-1024-bf16-packed": ratio(1.3),
  "chain8-64mb": ratio(1.1, 0.85),
  "layernorm-64mb": ratio(1.1),
  "softmax-64mb": ratio(1.1),
  "attention-8x2048x64-fwd": ratio(1.4),
  "attention-8x2048x64-fwdbwd": ratio(1.1),
  "gpt2-6l-decode-f32": ratio(0.95, 0.9),
  "gpt2-6l-decode-bf16": ratio(1.6, 0.8),
  "gpt2-6l-prefill128-f32": ratio(0.95),
  "gpt2-6l-prefill128-bf16": ratio(1.1),
  "gpt2-6l-train-f32": ratio(0.95),
  "gpt2-6l-train-bf16": ratio(1.2),
  "bert-6l-train-f32": ratio(0.95),
  "bert-6l-train-bf16": ratio(1.2),
  "llama1b-decode-bf16": ratio(1.3, 0.8),
  "llama1b-prefill32-bf16": ratio(1),
  "llama1b-memory": { limitFraction: 1 },
  "llama1b-compile-cold": { limitFraction: 1 },
  "llama1b-compile-warm": { limitFraction: 1 },
  ...scripts(
    ["matmul-2048-f32", "matmul-1024-f32", "chain8-64mb", "layernorm-64mb", "softmax-64mb", "attention-8x2048x64-fwd", "mlp-train"],
    ["jax-js", "tfjs-wasm"],
    3,
  ),
  "matmul-2048-f32@onnxruntime": ratio(1.2),
  ...scripts(["resnet18-infer", "softmax-64mb", "layernorm-64mb"], ["onnxruntime"], 1.5),
};
