import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { onState } from "../../../test/support/device-contract.js";
import { buildFakeGpu } from "../../../test/support/fake-gpu/build.js";
import { namedSteps, profiling, runOnZeros } from "../../../test/support/profiled.js";
import type { KernelCode } from "../../runtime/program.js";
import { cudaKey } from "./key.js";

const fake = buildFakeGpu();

test.skipIf(!fake)("TREEPIE_PROFILE times the launches of a program on a GPU", async () => {
  const cache = mkdtempSync(join(tmpdir(), "treepie-test-"));
  Object.assign(process.env, { TREEPIE_CUDA_PATH: fake, TREEPIE_CACHE_DIR: cache });
  const { module, printed } = await profiling(() => import("./device.js"));
  const count: KernelCode = {
    entry: "count",
    source: 'extern "C" __global__ void __launch_bounds__(1) count(float* s) { s[0] += 1; }',
    threads: 1,
    sharedBytes: 0,
    writes: [true],
  };
  const counted = await runOnZeros(await module.openCuda(), onState(cudaKey(90), "profiled", [count], namedSteps(1)), 3);
  expect(counted.getFloat32(0, true)).toBe(6);
  const text = printed();
  rmSync(cache, { recursive: true, force: true });
  // The fake GPU says that every launch takes half a millisecond.
  expect(text).toMatch(/^profile of profiled: 3 calls, 1\.000 ms each, in 2 steps\n/);
  expect(text).toMatch(/ 3 +500\.0 +[\d.]+ +0 {2}first/);
});
