import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import type { Case } from "../../../../test/conformance/cases.js";
import { judge } from "../../../../test/conformance/judge.js";
import { runCases } from "../../../../test/conformance/run.js";
import { attentionCase, type Shape } from "../../../../test/gpu/attention.js";
import { blockCase } from "../../../../test/gpu/library.js";
import { buildFakeGpu } from "../../../../test/support/fake-gpu/build.js";
import { loadedAgain } from "../../../../test/support/loaded-again.js";
import { movingCalls } from "../../../../test/support/moving.js";
import { explain } from "../../../compile/explain.js";
import { compile } from "../../../compile/index.js";
import type { Codegen } from "../../../kernel/codegen.js";
import { templates } from "../../../kernel/templates/index.js";
import type { Device } from "../../../runtime/device.js";
import type { AttentionCall, Program } from "../../../runtime/program.js";
import { verifyProgram } from "../../../runtime/verify.js";
import { cudaCodegen } from "../codegen.js";
import { openCuda } from "../device.js";
import { attentionLibrary, findLibrary } from "../libraries.js";
import { whyNotCudnn } from "./index.js";

const fake = buildFakeGpu();
const cache = mkdtempSync(join(tmpdir(), "treepie-test-"));
if (fake) Object.assign(process.env, { TREEPIE_CUDA_PATH: fake, TREEPIE_CACHE_DIR: cache, FAKE_GPU_MEMORY_MIB: "256" });
afterAll(() => {
  rmSync(cache, { recursive: true, force: true });
});

// Matrix units that the fake GPU has, and a library that small calls are worth.
const plain = cudaCodegen({ sm: 80, multiprocessors: 4, sharedBytes: 227 << 10 }, templates);
const library = { library: "cudnn", alignment: 16, leastOperations: 0 } as const;
const codegen: Codegen = { ...plain, target: { ...plain.target, attention: library } };
const programOf = (c: Case, by: Codegen = codegen): Program =>
  compile({ inputs: [...c.feeds.keys()], state: [], outputs: [...c.roots], updates: [] }, by, { name: "p", verify: true });
const callsOf = (p: Program): readonly AttentionCall[] => p.steps.flatMap((s) => (s.kind === "launch" && s.attention ? [s.attention] : []));
const training: Shape = { batch: 2, heads: 4, keyHeads: 2, queries: 70, keys: 90, derivatives: true };
const short: Shape = { heads: 2, keyHeads: 1, queries: 17, keys: 18, depth: 16, derivatives: true };

describe("attention as a call of cuDNN", () => {
  test("forward: one step, its heads as they lie", () => {
    const p = programOf(attentionCase({ batch: 2, heads: 4, keyHeads: 2, queries: 70, keys: 90, isCausal: true }));
    verifyProgram(p);
    expect(p.steps).toHaveLength(1);
    const [call] = callsOf(p);
    expect(call).toMatchObject({
      library: "cudnn",
      also: [],
      ...{ batch: 2, heads: 4, keyHeads: 2, queries: 70, keys: 90, depth: 64, width: 64, causal: true, scale: 1 / 8 },
      q: { offset: 0, batch: 4 * 70 * 64, head: 70 * 64, row: 64 },
      k: { offset: 0, batch: 2 * 90 * 64, head: 90 * 64, row: 64 },
      out: { batch: 4 * 70 * 64, head: 70 * 64, row: 64 },
    });
    expect(explain(p)).toMatch(/kernel k\w+ or cuDNN, whichever is faster/);
  });
  test("derivatives: one call for both kernels, in the order in which results are read", () => {
    const p = programOf(attentionCase({ ...training, turned: true }));
    verifyProgram(p);
    expect(p.steps).toHaveLength(3);
    const [forward, backward] = callsOf(p);
    expect([forward!.also, backward!.also]).toEqual([[], [1]]);
    expect(backward!.rows).toBe(forward!.rows);
    expect(backward!.out).toEqual(forward!.out);
    expect(backward!.backward).toMatchObject({
      ct: { batch: 4 * 70 * 64, head: 70 * 64, row: 64 },
      dq: { batch: 4 * 70 * 64, head: 64, row: 4 * 64 },
      dk: { batch: 2 * 90 * 64, head: 64, row: 2 * 64 },
    });
    expect(explain(p)).toMatch(/or cuDNN \(with 1 more\), whichever is faster/);
  });
  test("parts of a product's rows are read where they lie", () => {
    const p = programOf(blockCase([2, 6, 2, 72, 64]));
    verifyProgram(p);
    const [forward, backward] = callsOf(p);
    const row = (6 + 2 * 2) * 64;
    const part = (from: number) => ({ offset: from * 64, batch: 72 * row, head: 64, row });
    for (const call of [forward, backward])
      expect(call).toMatchObject({ q: part(0), k: part(6), v: part(8), out: { head: 64, row: 6 * 64 } });
    expect(new Set([forward!.q.buffer, forward!.k.buffer, forward!.v.buffer]).size).toBe(1);
    // Others' steps may stand between its two kernels.
    const [at] = backward!.also;
    const step = p.steps.findIndex((s) => s.kind === "launch" && s.attention === backward);
    expect(p.steps[step + at!]!.note!.label).toBe("attentionBackward (part 2)");
  });
  test("what it does not take stays the kernels', and says why", () => {
    const why = (s: Shape, by?: Codegen): string => {
      const p = programOf(attentionCase(s), by);
      expect(callsOf(p)).toEqual([]);
      return explain(p);
    };
    expect(why({ queries: 33, keys: 90, mask: "bool" })).toMatch(/no mask but the causal one/);
    expect(why({ queries: 40, keys: 192, offset: [-7] })).toMatch(/no mask but the causal one/);
    expect(why({ queries: 64, keys: 64, scale: -0.3 })).toMatch(/a scale above 0/);
    const large = { ...library, leastOperations: 1e9 };
    expect(why({ queries: 64, keys: 64 }, { ...plain, target: { ...plain.target, attention: large } })).toMatch(
      /too small for a library's call/,
    );
    expect(why({ queries: 64, keys: 64 }, plain)).not.toMatch(/library/);
  });
  test("only GPUs on which it was measured have it", () => {
    const has = (sm: number): boolean => cudaCodegen({ sm, attention: true }, templates).target.attention !== undefined;
    expect([80, 90, 100].map(has)).toEqual([false, true, false]);
  });
  test("a program that lies about its heads is refused", () => {
    const p = programOf(attentionCase(training));
    const changed = (by: Partial<AttentionCall>): Program => ({
      ...p,
      steps: p.steps.map((s) => (s.kind === "launch" && s.attention?.backward ? { ...s, attention: { ...s.attention, ...by } } : s)),
    });
    const { q, backward } = callsOf(p)[1]!;
    const refused = (by: Partial<AttentionCall>) => expect(() => verifyProgram(changed(by)));
    refused({ queries: 71 }).toThrow(/q ends behind its buffer/);
    refused({ q: { ...q, row: 32 } }).toThrow(/q has wrong strides/);
    refused({ q: { ...q, buffer: 99 } }).toThrow(/has no buffer 99/);
    refused({ keyHeads: 3 }).toThrow(/its sizes or its scale are wrong/);
    refused({ scale: -1 }).toThrow(/its sizes or its scale are wrong/);
    refused({ rows: q.buffer }).toThrow(/logarithms are of bf16/);
    refused({ also: [] }).toThrow(/does not write what its kernels write/);
    refused({ also: [7] }).toThrow(/stands in for a wrong step/);
    refused({ backward: { ...backward!, dq: { ...q, offset: 8 } } }).toThrow(/dq ends behind its buffer/);
  });
});

describe.skipIf(!fake)("cuDNN on a device", () => {
  let device: Device;
  beforeAll(async () => {
    // However long it takes.
    device = await openCuda({}, Infinity);
  });
  afterAll(() => device.close());
  afterEach(() => {
    vi.unstubAllEnvs();
  });

  test("computes every use", { timeout: 120_000 }, async () => {
    // Heads of `check.mjs library`, shorter: each is measured many times.
    const shapes: readonly Shape[] = [
      { queries: 16, keys: 24, depth: 32, width: 48, dtype: "f16" },
      { batch: 2, heads: 4, keyHeads: 2, queries: 18, keys: 18, depth: 16, isCausal: true, derivatives: true, turned: true },
      { heads: 4, keyHeads: 2, queries: 20, keys: 9, depth: 32, derivatives: true, scale: 0.3, dtype: "f16" },
    ];
    const cases = [...shapes.map(attentionCase), blockCase([2, 2, 1, 18, 16])];
    const results = await runCases(cases, codegen, device);
    for (const [i, c] of cases.entries()) expect(judge(c, results[i]!, true).wrong).toEqual([]);
  });

  test("a plan is made once; nothing is compiled for it; graphs follow buffers that move", async () => {
    const c = attentionCase(short);
    const p = programOf(c);
    // All of its kernels are spare.
    const loaded = await loadedAgain(device, p, cache);
    for await (const got of movingCalls(device, p, loaded, [...c.feeds.values()], 8)) expect(judge(c, got, true).wrong).toEqual([]);
    loaded.unload();
  });

  test("kernels compute what it has no engine for", async () => {
    vi.stubEnv("FAKE_CUDNN_REFUSES", "1");
    const c = attentionCase({ ...short, queries: 19 });
    const [got] = await runCases([c], codegen, device);
    expect(judge(c, got!, true).wrong).toEqual([]);
  });

  test("a version with faults is not used, and says so", () => {
    const path = findLibrary(attentionLibrary)!;
    expect(whyNotCudnn(path)).toBeUndefined();
    vi.stubEnv("FAKE_CUDNN_VERSION", "91001");
    expect(whyNotCudnn(path)).toMatch(/version 9\.10\.1 has known faults in attention/);
    expect(whyNotCudnn(join(cache, "none.so"))).toMatch(/none\.so/);
  });
  test("a variable names it or turns it off", () => {
    for (const off of ["none", "0", "", "/nowhere/libcudnn.so.9"]) {
      vi.stubEnv("TREEPIE_CUDNN_PATH", off);
      expect(findLibrary(attentionLibrary)).toBeUndefined();
    }
    vi.stubEnv("TREEPIE_CUDNN_PATH", join(fake!, "libcudnn.so.9"));
    expect(findLibrary(attentionLibrary)).toBe(join(fake!, "libcudnn.so.9"));
  });
});
