import { describe, expect, test } from "vitest";
import { compileKernels, hasCompiler } from "../../src/backends/c/testing.js";
import { cudaCodegen } from "../../src/backends/cuda/codegen.js";
import { nvrtcFlags } from "../../src/backends/cuda/target.js";
import { findNvrtc, openNvrtc } from "../../src/backends/cuda/testing.js";
import { webgpuCodegen } from "../../src/backends/webgpu/codegen.js";
import { compileWgsl, withoutDawn } from "../../src/backends/webgpu/testing.js";
import type { DType } from "../../src/core/dtype.js";
import type { Dim } from "../../src/core/expr.js";
import { variable } from "../../src/core/expr.js";
import type { Node } from "../../src/ir/node.js";
import type { Codegen } from "../../src/kernel/codegen.js";
import type { Kernel } from "../../src/kernel/kernel.js";
import { serial } from "../../src/kernel/serial.js";
import { eachStmt } from "../../src/kernel/walk.js";
import * as ops from "../../src/ops/index.js";
import { input } from "../../src/ops/source.js";
import { type Case, errorOf, interpretKernels, lowerCase, type Lowered, runCases, tolerance } from "../groups.js";

/**
 * Kernels that were lowered for GPUs, as text of both GPU languages: compared with files, compiled where the compilers are, and the
 * very same kernels run on the CPU.
 */
const leaf = (shape: readonly Dim[], dtype: DType): Node => input({ shape, dtype }, "x");
const n = variable("n", 0, 4096);

function matmul(name: string, m: number, k: number, columns: number, dtype: DType, b: "kn" | "nk" = "kn"): Case {
  const x = leaf([m, k], dtype);
  const w = leaf(b === "kn" ? [k, columns] : [columns, k], dtype);
  const bias = leaf([columns], dtype);
  const y = ops.matmul(x, b === "kn" ? w : ops.permute(w, [1, 0]));
  return { name, inputs: [x, w, bias], outputs: [ops.relu(ops.add(y, bias))] };
}
function softmax(name: string, rows: Dim, columns: Dim, dtype: DType, dims?: Record<string, number>): Case {
  const x = leaf([rows, columns], dtype);
  return { name, inputs: [x], outputs: [ops.softmax(x, 1)], ...(dims && { dims }) };
}
function sum(name: string, size: number, dtype: DType): Case {
  const x = leaf([size], dtype);
  return { name, inputs: [x], outputs: [ops.sum(x, [0])] };
}
const everywhere: readonly Case[] = [
  matmul("matmul-f32", 128, 64, 128, "f32"),
  matmul("matmul-f32-ragged", 100, 50, 90, "f32"),
  softmax("softmax-f32", 37, 300, "f32"),
  softmax("softmax-bf16", 6, 2048, "bf16"),
  softmax("softmax-symbolic", n, n, "f32", { n: 77 }),
  sum("sum-split", 1 << 17, "f32"),
];
const sm80 = cudaCodegen({ sm: 80 });
const sm90 = cudaCodegen({ sm: 90 });
const web = webgpuCodegen();
const units: readonly (readonly [string, Codegen, Case])[] = [
  ["mma", sm80, matmul("matmul-bf16", 256, 128, 256, "bf16")],
  ["mma-nk", sm80, matmul("matmul-bf16", 128, 128, 128, "bf16", "nk")],
  ["wgmma", sm90, matmul("matmul-bf16", 256, 256, 256, "bf16", "nk")],
];

const lowered = (c: Case, codegen: Codegen): Lowered => lowerCase(c, undefined, codegen.target);
const kernelsOf = (l: Lowered): Kernel[] => l.groups.flatMap((g) => g.kernels.map((k, i) => ({ ...k, name: `${k.name}_${i}z` })));
function textOf(l: Lowered, codegen: Codegen): { readonly text: string; readonly entries: readonly string[] } {
  const codes = kernelsOf(l).map((k) => codegen.render(k));
  return { text: `${codegen.prelude(codes)}\n${codes.map((k) => k.source).join("")}`, entries: codes.map((k) => k.entry) };
}
const statements = (l: Lowered): Set<string> => {
  const found = new Set<string>();
  for (const k of kernelsOf(l)) eachStmt(k.body, (s) => found.add(s.kind));
  return found;
};

describe("kernels for CUDA and WebGPU", () => {
  const forCuda = everywhere.map((c) => lowered(c, sm80));
  const forWeb = everywhere.map((c) => lowered(c, web));

  test("use what the language has", () => {
    for (const list of [forCuda, forWeb]) {
      expect([...statements(list[0]!)]).toEqual(expect.arrayContaining(["barrier", "for"]));
      expect(list[0]!.groups.flatMap((g) => g.kernels.flatMap((k) => k.buffers.map((b) => b.space)))).toContain("shared");
      expect(list[5]!.groups.flatMap((g) => g.kernels)).toHaveLength(2);
      for (const c of [2, 3, 4, 5]) expect([...statements(list[c]!)]).toContain("combine");
    }
    for (const [, codegen, c] of units) expect([...statements(lowered(c, codegen))]).toContain("mma");
  });

  test("text", async () => {
    for (const l of forCuda) await expect(textOf(l, sm80).text).toMatchFileSnapshot(`./text/${l.case.name}.cu`);
    for (const l of forWeb) await expect(textOf(l, web).text).toMatchFileSnapshot(`./text/${l.case.name}.wgsl`);
    for (const [name, codegen, c] of units)
      await expect(textOf(lowered(c, codegen), codegen).text).toMatchFileSnapshot(`./text/matmul-bf16-${name}.cu`);
  });

  test("NVRTC takes the CUDA text", { timeout: 120_000 }, (context) => {
    const path = findNvrtc();
    if (!path) return context.skip("no NVRTC: pip install nvidia-cuda-nvrtc, or set TREEPIE_NVRTC");
    const compile = openNvrtc(path);
    for (const l of forCuda) expect(compile(textOf(l, sm80).text, nvrtcFlags(80)).length).toBeGreaterThan(1000);
    for (const [, codegen, c] of units)
      expect(compile(textOf(lowered(c, codegen), codegen).text, nvrtcFlags(codegen === sm90 ? 90 : 80)).length).toBeGreaterThan(1000);
  });

  test("Dawn takes the WGSL, at the limits that every device has", { timeout: 60_000 }, (context) => {
    const missing = withoutDawn();
    if (missing) return context.skip(missing);
    const modules = forWeb.flatMap((l) =>
      kernelsOf(l).map((k) => {
        const code = web.render(k);
        return { name: `${l.case.name} ${k.name}`, entry: code.entry, source: `${web.prelude([code])}\n${code.source as string}` };
      }),
    );
    compileWgsl(modules).forEach((problem, i) => expect(problem, modules[i]!.name).toBe(""));
  });

  test.runIf(hasCompiler())("the same kernels, run on the CPU, are right", { timeout: 120_000 }, () => {
    for (const list of [forCuda, forWeb])
      for (const r of runCases(list, (kernels) => compileKernels(kernels.map(serial))))
        r.got.forEach((g, i) => expect(errorOf(g, r.want[i]!), `${r.name} output ${i}`).toBeLessThanOrEqual(tolerance(r.dtypes[i]!)));
  });
  test("the same kernels, thread by thread in the kernel interpreter", { timeout: 120_000 }, () => {
    const some = [...forCuda, ...forWeb].filter((l) => ["matmul-f32-ragged", "softmax-f32", "softmax-symbolic"].includes(l.case.name));
    for (const r of runCases(some, interpretKernels))
      r.got.forEach((g, i) => expect(errorOf(g, r.want[i]!), `${r.name} output ${i}`).toBeLessThanOrEqual(tolerance(r.dtypes[i]!)));
  });
});
