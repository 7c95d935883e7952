import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { nvrtcFlags } from "../../src/backends/cuda/key.js";
import type { Codegen } from "../../src/kernel/codegen.js";
import type { Kernel } from "../../src/kernel/kernel.js";
import { readKernel } from "../../src/kernel/save.js";
import { serial } from "../../src/kernel/serial.js";
import { eachStmt } from "../../src/kernel/walk.js";
import { findNvrtc, openNvrtc } from "../support/cuda.js";
import { errorOf, interpretKernels, type Lowered, runCases, tolerance } from "../support/groups.js";
import { compileKernels, hasCompiler } from "../support/kernels-in-c.js";
import { compileWgsl, withoutDawn } from "../support/wgsl.js";
import { everywhere, halves, kernelsOf, lowered, matrices, sm80, sm90, units, web, webHalves, webMatrices } from "./cases.js";

/**
 * Kernels that were lowered for GPUs, as text of both GPU languages: compiled where the compilers are, and the very same kernels
 * run on the CPU. Saved kernels (`npx tsx test/kernels/save.ts`) fix the text that the printers make of them.
 */
function textOf(kernels: readonly Kernel[], codegen: Codegen): string {
  const codes = kernels.map((k) => codegen.render(k));
  return `${codegen.prelude(codes)}\n${codes.map((k) => k.source).join("")}`;
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
    for (const [, codegen, c] of units) expect([...statements(lowered(c, codegen))], c.name).toContain("mma");
  });

  test("saved kernels keep their text", async () => {
    const folder = new URL("saved/", import.meta.url);
    for (const file of readdirSync(folder)) {
      const kernels = (JSON.parse(readFileSync(new URL(file, folder), "utf8")) as string[]).map(readKernel);
      const name = file.replace(/\.json$/, "");
      const codegen = {
        cu: name.includes("wgmma") ? sm90 : sm80,
        wgsl: name.includes("matrices") ? webMatrices : name.includes("f16") ? webHalves : web,
      }[name.split(".").at(-1)!]!;
      await expect(textOf(kernels, codegen)).toMatchFileSnapshot(`./text/${name}`);
    }
  });

  test("NVRTC takes the CUDA text", { timeout: 120_000 }, (context) => {
    const path = findNvrtc();
    if (!path) return context.skip("no NVRTC: pip install nvidia-cuda-nvrtc, or set TREEPIE_NVRTC");
    const compile = openNvrtc(path);
    for (const l of forCuda) expect(compile(textOf(kernelsOf(l), sm80), nvrtcFlags(80)).length).toBeGreaterThan(1000);
    for (const [, codegen, c] of units)
      expect(compile(textOf(kernelsOf(lowered(c, codegen)), codegen), nvrtcFlags(codegen === sm90 ? 90 : 80)).length).toBeGreaterThan(1000);
  });

  test("Dawn takes the WGSL, at the limits that every device has", { timeout: 60_000 }, (context) => {
    const missing = withoutDawn();
    if (missing) return context.skip(missing);
    const modulesOf = (list: readonly Lowered[], codegen: Codegen) =>
      list.flatMap((l) =>
        kernelsOf(l).map((k) => {
          const code = codegen.render(k);
          return { name: `${l.case.name} ${k.name}`, entry: code.entry, source: `${codegen.prelude([code])}\n${code.source as string}` };
        }),
      );
    const forHalves = modulesOf(
      halves.map((c) => lowered(c, webHalves)),
      webHalves,
    );
    for (const { source } of forHalves) expect(source).toMatch(/^\s*enable f16;[\s\S]*: array<(vec4<)?f16>/);
    const forMatrices = modulesOf(
      matrices.map((c) => lowered(c, webMatrices)),
      webMatrices,
    );
    for (const { source } of forMatrices) expect(source).toContain("subgroupMatrixMultiplyAccumulate");
    const modules = [...modulesOf(forWeb, web), ...forHalves, ...forMatrices];
    for (const [i, problem] of compileWgsl(modules).entries()) expect(problem, modules[i]!.name).toBe("");
  });

  test.runIf(hasCompiler())("the same kernels, run on the CPU, are right", { timeout: 120_000 }, () => {
    for (const list of [forCuda, forWeb])
      for (const r of runCases(list, (kernels) => compileKernels(kernels.map(serial))))
        for (const [i, g] of r.got.entries())
          expect(errorOf(g, r.want[i]!), `${r.name} output ${i}`).toBeLessThanOrEqual(tolerance(r.dtypes[i]!));
  });
  test("the same kernels, thread by thread in the kernel interpreter", { timeout: 120_000 }, () => {
    const some = [...forCuda, ...forWeb].filter((l) => ["softmax-f32", "softmax-symbolic"].includes(l.case.name));
    const opaque = matrices.map((c) => lowered(c, webMatrices));
    for (const l of opaque) expect([...statements(l)]).toContain("mma");
    for (const r of runCases([...some, ...opaque], interpretKernels))
      for (const [i, g] of r.got.entries())
        expect(errorOf(g, r.want[i]!), `${r.name} output ${i}`).toBeLessThanOrEqual(tolerance(r.dtypes[i]!));
  });
});
