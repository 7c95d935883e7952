/** Small groups that between them need what GPU kernels are made of: shared memory, barriers, combines, matrix units. */
import { cudaCodegen } from "../../src/backends/cuda/codegen.js";
import { webgpuCodegen } from "../../src/backends/webgpu/codegen.js";
import type { DType } from "../../src/core/dtype.js";
import { type Dim, variable } from "../../src/core/expr.js";
import type { Node } from "../../src/ir/node.js";
import type { Codegen } from "../../src/kernel/codegen.js";
import type { Kernel } from "../../src/kernel/kernel.js";
import * as ops from "../../src/ops/index.js";
import { input } from "../../src/ops/source.js";
import { type Case, type Lowered, lowerCase } from "../support/groups.js";

const leaf = (shape: readonly Dim[], dtype: DType): Node => input({ shape, dtype }, "x");
const n = variable("n", 0, 4096);

function matmul(name: string, m: number, k: number, columns: number, dtype: DType, b: "kn" | "nk" = "kn"): Case {
  const x = leaf([m, k], dtype);
  const w = leaf(b === "kn" ? [k, columns] : [columns, k], dtype);
  const bias = leaf([columns], dtype);
  const y = ops.matmul(x, b === "kn" ? w : ops.permute(w, [1, 0]));
  return { name, inputs: [x, w, bias], outputs: [ops.relu(ops.add(y, bias))] };
}
/** silu(x g) * (x u). */
function gated(name: string, m: number, k: number, columns: number, dtype: DType): Case {
  const [x, gate, up] = [leaf([m, k], dtype), leaf([columns, k], dtype), leaf([columns, k], dtype)];
  const product = (w: Node): Node => ops.matmul(x, ops.permute(w, [1, 0]));
  return { name, inputs: [x, gate, up], outputs: [ops.mul(ops.silu(product(gate)), product(up))] };
}
function softmax(name: string, rows: Dim, columns: Dim, dtype: DType, dims?: Record<string, number>): Case {
  const x = leaf([rows, columns], dtype);
  return { name, inputs: [x], outputs: [ops.softmax(x, 1)], ...(dims && { dims }) };
}
function sum(name: string, size: number, dtype: DType): Case {
  const x = leaf([size], dtype);
  return { name, inputs: [x], outputs: [ops.sum(x, [0])] };
}
/** For every GPU. */
export const everywhere: readonly Case[] = [
  matmul("matmul-f32", 128, 64, 128, "f32"),
  matmul("matmul-f32-ragged", 100, 50, 90, "f32"),
  softmax("softmax-f32", 37, 300, "f32"),
  softmax("softmax-bf16", 6, 2048, "bf16"),
  softmax("softmax-symbolic", n, n, "f32", { n: 77 }),
  sum("sum-split", 1 << 17, "f32"),
  gated("gated-f32", 70, 40, 90, "f32"),
];
export const sm80: Codegen = cudaCodegen({ sm: 80, sharedBytes: 163 << 10 });
export const sm90: Codegen = cudaCodegen({ sm: 90 });
export const web: Codegen = webgpuCodegen();
export const webHalves: Codegen = webgpuCodegen({ f16: true });
export const webMatrices: Codegen = webgpuCodegen({
  f16: true,
  matrices: true,
  subgroup: 32,
  maxComputeInvocationsPerWorkgroup: 1024,
  maxComputeWorkgroupStorageSize: 49152,
});
/** For subgroup matrices. */
export const matrices: readonly Case[] = [matmul("matrices-f16", 64, 32, 128, "f16"), matmul("matrices-nk-f16", 128, 48, 64, "f16", "nk")];
/** Where f16 is the language's own. */
export const halves: readonly Case[] = [matmul("matmul-f16", 70, 64, 128, "f16"), softmax("softmax-f16", 5, 301, "f16")];
/** For matrix units: name, device, group. */
export const units: readonly (readonly [string, Codegen, Case])[] = [
  ["mma", sm80, matmul("matmul-bf16", 256, 128, 256, "bf16")],
  ["mma-nk", sm80, matmul("matmul-bf16", 128, 128, 128, "bf16", "nk")],
  ["wgmma", sm90, matmul("matmul-bf16", 256, 256, 256, "bf16", "nk")],
  ["mma-gated", sm80, gated("gated-bf16", 128, 128, 128, "bf16")],
  ["wgmma-gated", sm90, gated("gated-bf16", 256, 256, 256, "bf16")],
];

export const lowered = (c: Case, codegen: Codegen): Lowered => lowerCase(c, undefined, codegen.target);
export const kernelsOf = (l: Lowered): Kernel[] => l.groups.flatMap((g) => g.kernels.map((k, i) => ({ ...k, name: `${k.name}_${i}z` })));
