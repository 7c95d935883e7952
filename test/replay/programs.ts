/** A fixed set of small programs, and the text of every kernel that each kind of device gets for them. */
import { cCodegen } from "../../src/backends/c/codegen.js";
import { cudaCodegen } from "../../src/backends/cuda/codegen.js";
import { jsCodegen } from "../../src/backends/js/codegen.js";
import { webgpuCodegen } from "../../src/backends/webgpu/codegen.js";
import { compile } from "../../src/compile/index.js";
import type { DType } from "../../src/core/dtype.js";
import { type Dim, variable } from "../../src/core/expr.js";
import type { Graph } from "../../src/ir/graph.js";
import type { Node } from "../../src/ir/node.js";
import type { Codegen } from "../../src/kernel/codegen.js";
import { templates } from "../../src/kernel/templates/index.js";
import * as ops from "../../src/ops/index.js";
import { input } from "../../src/ops/source.js";

const wide = ["avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512dq", "avx512vl"];
/** Devices as data: nothing here depends on the machine that runs it. */
export const codegens: Readonly<Record<string, () => Codegen>> = {
  "c-avx512": () => cCodegen({ arch: "x86-64", features: wide, parallel: 8 }, templates),
  "c-neon": () => cCodegen({ arch: "arm64", features: ["neon"], parallel: 8 }, templates),
  js: () => jsCodegen(templates),
  "cuda-sm80": () => cudaCodegen({ sm: 80 }, templates),
  "cuda-sm90": () => cudaCodegen({ sm: 90 }, templates),
  webgpu: () => webgpuCodegen({}, templates),
};

const leaf = (shape: readonly Dim[], dtype: DType = "f32"): Node => input({ shape, dtype });
const graph = (inputs: readonly Node[], outputs: readonly Node[]): Graph => ({ inputs, state: [], outputs, updates: [] });
const n = variable("n", 0, 4096);

/** The programs by name. */
export const programs: Readonly<Record<string, () => Graph>> = {
  map: () => {
    const [a, b] = [leaf([64, 100]), leaf([100])];
    return graph([a, b], [ops.tanh(ops.add(ops.mul(a, b), 1))]);
  },
  "map-symbolic-bf16": () => {
    const a = leaf([n, 100], "bf16");
    return graph([a], [ops.gelu(a)]);
  },
  softmax: () => {
    const a = leaf([32, 1000]);
    return graph([a], [ops.softmax(a, 1)]);
  },
  "layer-norm": () => {
    const [a, w, b] = [leaf([n, 384]), leaf([384]), leaf([384])];
    return graph([a, w, b], [ops.layerNorm(a, [384], w, b)]);
  },
  "sum-all": () => {
    const a = leaf([1 << 18]);
    return graph([a], [ops.sum(a, [0])]);
  },
  "column-sums": () => {
    const a = leaf([500, 70]);
    return graph([a], [ops.sum(a, [0])]);
  },
  matmul: () => {
    const [a, b] = [leaf([100, 64]), leaf([64, 200])];
    return graph([a, b], [ops.matmul(a, b)]);
  },
  "linear-relu-bf16": () => {
    const [a, w, b] = [leaf([256, 256], "bf16"), leaf([256, 256], "bf16"), leaf([256], "bf16")];
    return graph([a, w, b], [ops.relu(ops.add(ops.matmul(a, ops.permute(w, [1, 0])), b))]);
  },
  embedding: () => {
    const [w, ids] = [leaf([1000, 64]), leaf([n], "i32")];
    return graph([w, ids], [ops.embedding(ids, w)]);
  },
  cumsum: () => {
    const a = leaf([20, 300]);
    return graph([a], [ops.cumsum(a, 1)]);
  },
  "int-arithmetic": () => {
    const [a, b] = [leaf([50, 33], "i32"), leaf([50, 33], "i32")];
    return graph([a, b], [ops.floorDivide(a, b), ops.bitwiseXor(a, b)]);
  },
};

/** Texts by "program/device/number". A device that cannot compile a program has the reason in its place. */
export function replay(): Map<string, string> {
  const out = new Map<string, string>();
  for (const [program, make] of Object.entries(programs))
    for (const [device, codegen] of Object.entries(codegens)) {
      try {
        for (const [i, k] of compile(make(), codegen()).kernels.entries()) out.set(`${program}/${device}/${i}`, `${k.source as string}`);
      } catch (e) {
        out.set(`${program}/${device}`, `${(e as Error).name}: ${(e as Error).message}`);
      }
    }
  return out;
}
