import { describe, expect, it } from "vitest";
import { type Case, errorOf, lowerCase, runCases, tolerance } from "../../../test/support/groups.js";
import { compileKernels, hasCompiler } from "../../../test/support/kernels-in-c.js";
import { cTarget } from "../../backends/c/target.js";
import { webgpuTarget } from "../../backends/webgpu/target.js";
import type { DType } from "../../core/dtype.js";
import type { Target } from "../../kernel/codegen.js";
import { serial } from "../../kernel/serial.js";
import { templates } from "../../kernel/templates/index.js";
import { add, dot, gelu, input, permute } from "../../ops/index.js";
import { cpu } from "../../runtime/cpu.js";

// Without matrix tiles, on which so small a product is too fast to be split.
const features = cpu().features.filter((f) => !f.startsWith("amx"));
const cores = (parallel: number): Target => cTarget({ arch: cpu().arch, features, parallel });
const wide = cTarget({ arch: "x86-64", features: ["avx512f", "avx512vl", "avx512bw", "avx512dq"], parallel: 2 });

/** gelu(aᵀ b + bias), as the gradient of a small weight is computed. */
function gradient(m: number, n: number, k: number, dtype: DType): Case {
  const [a, b, bias] = [input({ shape: [k, m], dtype }), input({ shape: [k, n], dtype }), input({ shape: [n], dtype })];
  const y = add(dot(permute(a, [1, 0]), b), bias);
  return { name: `${m}x${n}x${k} ${dtype}`, inputs: [a, b, bias], outputs: [dtype === "i32" ? y : gelu(y)] };
}
const names = (c: Case, target: Target): string[] => lowerCase(c, undefined, target).groups.map((g) => g.group.name);

describe("products of few results and a long inner dim", () => {
  it("become a product of parts and their sum with what follows it, where that is faster", () => {
    expect(names(gradient(64, 64, 65536, "f32"), wide)).toEqual(["dot", "sum_mul"]);
    expect(names(gradient(64, 64, 65536, "bf16"), wide)).toEqual(["wideDot", "sum_cast"]);
    expect(names(gradient(64, 64, 65536, "f32"), webgpuTarget())).toEqual(["dot", "sum_mul"]);
  });
  it("stay whole where their results keep every core busy, or the inner dim is short or has no divisor", () => {
    for (const [m, n, k] of [
      [1024, 1024, 65536],
      [64, 64, 1024],
      [64, 64, 65537],
    ] as const)
      expect(names(gradient(m, n, k, "f32"), wide)).toEqual(["dot_mul"]);
    expect(names(gradient(512, 768, 768, "f32"), webgpuTarget())).toEqual(["dot_mul"]);
    // Every part of 8200 that is long enough would end inside a tile of k.
    expect(names(gradient(48, 96, 8200, "f32"), webgpuTarget())).toEqual(["dot_mul"]);
  });
  it.skipIf(!hasCompiler())(
    "compute what the interpreter computes, half floats rounded once, integers exactly",
    { timeout: 120_000 },
    () => {
      const cases = (["f32", "bf16", "i32"] as const).map((dtype) => gradient(8, 64, 16384, dtype));
      const lists = [
        { lowered: cases.map((c) => lowerCase(c, templates, cores(32))), compile: compileKernels },
        { lowered: cases.map((c) => lowerCase(c, templates, webgpuTarget())), compile: serialized },
      ];
      for (const { lowered, compile } of lists) {
        for (const l of lowered)
          expect(
            l.groups.map((g) => g.kernels.length),
            l.case.name,
          ).toEqual([1, 1]);
        for (const r of runCases(lowered, compile))
          expect(errorOf(r.got[0]!, r.want[0]!), r.name).toBeLessThanOrEqual(tolerance(r.dtypes[0]!));
      }
    },
  );
});
const serialized: typeof compileKernels = (kernels) => compileKernels(kernels.map(serial));
