import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { judge } from "../../../test/conformance/judge.js";
import { runAll } from "../../../test/conformance/run.js";
import { attentionCases } from "../../../test/gpu/attention.js";
import { findNvrtc, openNvrtc } from "../../../test/support/cuda.js";
import { buildFakeGpu } from "../../../test/support/fake-gpu/build.js";
import { compile } from "../../compile/index.js";
import type { Node } from "../../ir/node.js";
import { templates } from "../../kernel/templates/index.js";
import { input, scaledDotProductAttention } from "../../ops/index.js";
import { cudaCodegen } from "./codegen.js";
import { cuda } from "./index.js";
import { nvrtcFlags } from "./key.js";

// What `node check.mjs attention` runs on a GPU, a part of it here on a GPU made of the CPU.
const fake = buildFakeGpu();
const cache = mkdtempSync(join(tmpdir(), "treepie-test-"));
const folder = process.env["TREEPIE_CUDA_PATH"];
afterAll(() => {
  rmSync(cache, { recursive: true, force: true });
});
const cases = attentionCases();
// The GPU made of the CPU has no tf32; the kernel interpreter has it (tf32.test.ts).
const inTf32 = cases.filter((c) => c.name.includes('"dtype":"f32"') && c.name.includes("derivatives"));
const some = cases.filter(
  (c, i) => !inTf32.includes(c) && (i % 8 === 1 || (c.name.includes("derivatives") && !c.name.includes('"heads":22'))),
);

describe("attention on GPUs", () => {
  test.skipIf(!fake)("is right on a GPU made of the CPU", { timeout: 300_000 }, async () => {
    Object.assign(process.env, { TREEPIE_CUDA_PATH: fake, TREEPIE_CACHE_DIR: cache, FAKE_GPU_MEMORY_MIB: "256" });
    const device = await cuda.open();
    const { results, broken } = await runAll(some, cuda.codegen(), device, 100);
    await device.close();
    if (folder === undefined) delete process.env["TREEPIE_CUDA_PATH"];
    expect(broken).toEqual([]);
    expect([...results].flatMap(([c, got]) => judge(c, got, true).wrong)).toEqual([]);
  });
  test("needs one kernel without derivatives, two where long caches are shared out", () => {
    const codegen = cudaCodegen({ sm: 90, multiprocessors: 132 }, templates);
    for (const c of cases.filter((c) => !c.name.includes("derivatives"))) {
      const p = compile({ inputs: [...c.feeds.keys()], state: [], outputs: c.roots, updates: [] }, codegen, { name: "attention" });
      expect(
        p.steps.map((s) => s.note?.tier),
        c.name,
      ).toEqual(c.name.includes('"keys":5000') ? ["claimed", "claimed"] : ["claimed"]);
    }
  });
  test("needs two kernels for derivatives, and what sums them is in the first", () => {
    const codegen = cudaCodegen({ sm: 90, multiprocessors: 132 }, templates);
    for (const c of cases.filter((c) => c.name.includes("derivatives"))) {
      const p = compile({ inputs: [...c.feeds.keys()], state: [], outputs: c.roots, updates: [] }, codegen, { name: "attention" });
      // f32 results are exact enough for sums of their own kernel.
      const sums = c.name.includes("f32") ? ["generated"] : [];
      expect(p.steps.map((s) => s.note?.tier).sort(), c.name).toEqual(["claimed", "claimed", "claimed", ...sums]);
    }
  });
  test("NVRTC takes the text", { timeout: 300_000 }, (context) => {
    const path = findNvrtc();
    if (!path) return context.skip("no NVRTC: pip install nvidia-cuda-nvrtc, or set TREEPIE_NVRTC");
    const nvrtc = openNvrtc(path);
    for (const sm of [80, 90])
      for (const c of [...some, ...inTf32]) {
        const p = compile({ inputs: [...c.feeds.keys()], state: [], outputs: c.roots, updates: [] }, cudaCodegen({ sm }, templates), {
          name: "attention",
        });
        expect(nvrtc([p.prelude, ...p.kernels.map((k) => k.source)].join("\n"), nvrtcFlags(sm)).length).toBeGreaterThan(1000);
      }
  });
  test("long prompts and wide heads on sm_90 are multiplied in the background", { timeout: 300_000 }, (context) => {
    const sources = ([64, 128] as const).map((size) => {
      const [q, k, v] = [32, 8, 8].map((heads) => input({ shape: [1, heads, 2050, size], dtype: "bf16" })) as [Node, Node, Node];
      const y = scaledDotProductAttention(q, k, v, null, { isCausal: true, enableGqa: true });
      const p = compile(
        { inputs: [q, k, v], state: [], outputs: [y], updates: [] },
        cudaCodegen({ sm: 90, multiprocessors: 132 }, templates),
        {
          name: "attention",
          verify: true,
        },
      );
      expect(p.kernels.map((k) => k.threads)).toEqual([size === 64 ? 512 : 384]);
      return [p.prelude, ...p.kernels.map((k) => k.source)].join("\n");
    });
    for (const text of sources) expect(text).toContain("wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16");
    const path = findNvrtc();
    if (!path) return context.skip("no NVRTC: pip install nvidia-cuda-nvrtc, or set TREEPIE_NVRTC");
    const nvrtc = openNvrtc(path);
    for (const text of sources) expect(nvrtc(text, nvrtcFlags(90)).length).toBeGreaterThan(1000);
  });
});
