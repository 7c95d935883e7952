/** What rows have to reach on one H200 through Dawn, at least. */
import type { Bar } from "../row.js";

const onMemory: Bar = { limitFraction: 0.85 };
export const bars: Readonly<Record<string, Bar>> = {
  "chain8-1gb": onMemory,
  "softmax-1gb": onMemory,
  "layernorm-1gb": onMemory,
  "matmul-4096-f32": { least: 22 },
  "gpt2-6l-decode": { least: 1500 },
  "llama1b-decode": { least: 700 },
  "matmul-2048-f32@jax-js": { ratio: 3 },
  "softmax@jax-js": { ratio: 3 },
  "mlp-train@jax-js": { ratio: 3 },
};
