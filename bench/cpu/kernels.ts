/** Rows of single operations: products, chains, norms, attention. */
import { compile, evaluate, F, nn, type Tensor } from "#treepie";
import type { Case } from "../row.js";
import { contest, type Runner } from "./contest.js";
import { noise, tensorOf } from "./inputs.js";
import type { Machine } from "./machine.js";
import { joined, pure } from "./runner.js";

function matmul(n: number, dtype: "f32" | "bf16", packed: boolean): Case {
  return contest({
    name: `matmul-${n}-${dtype}${packed ? "-packed" : ""}`,
    metric: packed ? "x · wᵀ, w a weight" : "a · b",
    unit: "GFLOP/s",
    work: (2 * n ** 3) / 1e9,
    limit: (m) => m[dtype] / 1e9,
    limitNote: "peak rate",
    tolerance: dtype === "f32" ? 1e-5 : 0.01,
    job: { kind: "matmul", spec: { packed }, inputs: () => [noise(1, [n, n], dtype), noise(2, [n, n], dtype)] },
    variants: packed ? ["eager", "compile", "freeze"] : ["eager", "compile"],
    scripts: dtype === "f32" && !packed ? (n === 2048 ? ["jax-js", "tfjs-wasm", "onnxruntime"] : ["jax-js", "tfjs-wasm"]) : [],
    async ours(inputs) {
      const [a, b] = inputs.map(tensorOf) as [Tensor, Tensor];
      if (!packed) return pure((x, y) => x!.matmul(y!), [a, b]);
      const w = nn.parameter(b);
      await evaluate(w);
      return pure((x) => F.linear(x!, w), [a]);
    },
  });
}

const rows = 16384;
const columns = 1024;
const streamed = 2 * 4 * rows * columns;
const rowCase = (name: string, metric: string, kind: string, affine: boolean, f: (...x: Tensor[]) => Tensor, onnx: boolean): Case =>
  contest({
    name,
    metric,
    unit: "GB/s",
    work: streamed / 1e9,
    limit: (m: Machine) => m.copy / 1e9,
    limitNote: "copy bandwidth, 64 MiB read and 64 MiB written",
    traffic: { how: "copy", bytes: streamed },
    tolerance: 1e-5,
    job: {
      kind,
      inputs: () => [noise(3, [rows, columns]), ...(affine ? [noise(4, [columns]), noise(5, [columns])] : [])],
    },
    variants: ["eager", "compile"],
    scripts: ["jax-js", "tfjs-wasm", ...(onnx ? (["onnxruntime"] as const) : [])],
    ours: async (inputs) => pure(f, inputs.map(tensorOf)),
  });
const chain = rowCase(
  "chain8-64mb",
  "8 elementwise operations",
  "chain8",
  false,
  (x) => x!.mul(1.25).add(0.75).relu().sub(0.375).mul(0.8).abs().add(x!).mul(0.6).clamp(undefined, 3.5),
  false,
);
const layernorm = rowCase("layernorm-64mb", "rows of 1024", "layernorm", true, (x, w, b) => F.layerNorm(x!, [columns], w!, b!), true);
const softmax = rowCase("softmax-64mb", "rows of 1024", "softmax", false, (x) => x!.softmax(-1), true);

function attention(backward: boolean, causal: boolean): Case {
  const [heads, time, width] = [8, 2048, 64];
  const products = backward ? 4 + 10 : 4;
  return contest({
    name: `attention-${heads}x${time}x${width}-${causal ? "" : "full-"}${backward ? "fwdbwd" : "fwd"}`,
    metric: `f32, ${causal ? "causal" : "all keys"}, ${heads} heads`,
    unit: "GFLOP/s",
    work: (products * heads * time * time * width * (causal ? 0.5 : 1)) / 1e9,
    limit: (m) => m.f32 / 1e9,
    limitNote: "peak f32 rate",
    tolerance: 1e-4,
    job: {
      kind: backward ? "attention-train" : "attention",
      spec: { causal },
      inputs: () => [6, 7, 8, ...(backward ? [9] : [])].map((seed) => noise(seed, [1, heads, time, width])),
    },
    variants: ["eager", "compile"],
    scripts: backward || !causal ? [] : ["jax-js", "tfjs-wasm"],
    async ours(inputs): Promise<Runner> {
      const [q, k, v, ct] = inputs.map(tensorOf) as [Tensor, Tensor, Tensor, Tensor];
      const attend = (a: Tensor, b: Tensor, c: Tensor): Tensor => F.scaledDotProductAttention(a, b, c, null, { isCausal: causal });
      if (!backward) return pure((a, b, c) => attend(a!, b!, c!), [q, k, v]);
      const step = compile((a: Tensor, b: Tensor, c: Tensor, g: Tensor): Tensor[] => {
        const leaves = [a, b, c].map((x) => x.detach().requiresGrad_()) as [Tensor, Tensor, Tensor];
        const y = attend(...leaves);
        y.backward({ gradient: g });
        return [y.detach(), ...leaves.map((x) => x.grad!)];
      });
      const once = async (): Promise<Tensor[]> => {
        const all = step(q, k, v, ct);
        await evaluate(...all);
        return all;
      };
      return {
        values: async () => joined(await once()),
        async run(calls) {
          for (let i = 0; i < calls; i++) for (const t of await once()) t.dispose();
        },
      };
    },
  });
}

export const kernels: readonly Case[] = [
  ...([2048, 1024] as const).flatMap((n) =>
    (["f32", "bf16"] as const).flatMap((dtype) => [matmul(n, dtype, false), matmul(n, dtype, true)]),
  ),
  chain,
  layernorm,
  softmax,
  attention(false, true),
  attention(true, true),
  attention(false, false),
  attention(true, false),
];
