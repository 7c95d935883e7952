/** Rows that JavaScript peers can run too: the jobs of `--suite cpu`, on WebAssembly. */
import { F, type Tensor } from "#treepie";
import { gpt2 } from "../cpu/checkpoint.js";
import { contest, type ScriptPeer, type Site } from "../cpu/contest.js";
import { gpt2Shape, prefillCase } from "../cpu/generation.js";
import { noise, tensorOf } from "../cpu/inputs.js";
import { measureMachine } from "../cpu/machine.js";
import { mlp } from "../cpu/mlp.js";
import { pure } from "../cpu/runner.js";
import type { Case } from "../row.js";
import { bars } from "./bars.js";

/** WebAssembly on this processor, against scripts alone. */
const site: Site = { suite: "web", backend: "wasm", measure: async () => measureMachine(), bars };
const all: readonly ScriptPeer[] = ["jax-js", "tfjs-wasm", "onnxruntime-web"];

const n = 1024;
const matmul = contest({
  name: "wasm-matmul-1024-f32",
  site,
  metric: "a · b",
  unit: "GFLOP/s",
  work: (2 * n ** 3) / 1e9,
  tolerance: 1e-5,
  job: { kind: "matmul", spec: { packed: false }, inputs: () => [noise(1, [n, n]), noise(2, [n, n])] },
  variants: [],
  scripts: all,
  ours: async (inputs) => pure((x, y) => x!.matmul(y!), inputs.map(tensorOf)),
});

const [rows, columns] = [4096, 1024];
const rowCase = (name: string, kind: string, affine: boolean, f: (...x: Tensor[]) => Tensor, scripts: readonly ScriptPeer[]): Case =>
  contest({
    name,
    site,
    metric: `${rows} rows of ${columns}`,
    unit: "GB/s",
    work: (2 * 4 * rows * columns) / 1e9,
    tolerance: 1e-5,
    job: { kind, inputs: () => [noise(3, [rows, columns]), ...(affine ? [noise(4, [columns]), noise(5, [columns])] : [])] },
    variants: [],
    scripts,
    ours: async (inputs) => pure(f, inputs.map(tensorOf)),
  });
const chain = (x: Tensor): Tensor => x.mul(1.25).add(0.75).relu().sub(0.375).mul(0.8).abs().add(x).mul(0.6).clamp(undefined, 3.5);

export const kernels: readonly Case[] = [
  matmul,
  rowCase("wasm-softmax", "softmax", false, (x) => x!.softmax(-1), all),
  rowCase("wasm-layernorm", "layernorm", true, (x, w, b) => F.layerNorm(x!, [columns], w!, b!), all),
  rowCase("wasm-chain8", "chain8", false, (x) => chain(x!), ["jax-js", "tfjs-wasm"]),
  mlp("wasm-mlp-train", site),
  prefillCase({
    name: "wasm-gpt2-6l-prefill128",
    site,
    kind: "gpt2-prefill",
    checkpoint: gpt2,
    shape: gpt2Shape,
    dtype: "f32",
    prompt: 128,
    variants: [],
    // The only one that has a GPT-2 as it stands: it reads ONNX.
    scripts: ["onnxruntime-web"],
  }),
];
