/** What each row has to reach, at least (2 threads). */
import type { Bar } from "../row.js";

const peers = ["jax-js", "tfjs-wasm", "onnxruntime-web"];
const against = (name: string): Record<string, Bar> => Object.fromEntries(peers.map((p) => [`${name}@${p}`, { ratio: 1.5 }]));

export const bars: Readonly<Record<string, Bar>> = {
  "wasm-matmul-1024-f32@onnxruntime-web": { ratio: 1.1 },
  "wasm-matmul-1024-f32@jax-js": { ratio: 2.2 },
  ...against("wasm-softmax"),
  ...against("wasm-layernorm"),
  ...against("wasm-chain8"),
  ...against("wasm-mlp-train"),
  "wasm-gpt2-6l-prefill128@onnxruntime-web": { ratio: 1.5 },
  "wasm-gpt2-6l-decode-f32": { ratio: 0.6 },
  "wasm-compile-gpt12": { limitFraction: 1 },
};
