import { expect, test } from "vitest";
import { onState } from "../../../test/support/device-contract.js";
import { hasCompiler } from "../../../test/support/kernels-in-c.js";
import { namedSteps, profiling, runOnZeros } from "../../../test/support/profiled.js";
import type { KernelCode } from "../../runtime/program.js";
import { cKey } from "./key.js";

test.skipIf(!hasCompiler())("TREEPIE_PROFILE counts and names the steps of a program", async () => {
  const { module, printed } = await profiling(() => import("./device.js"));
  const count: KernelCode = {
    entry: "count",
    source:
      "void count(void* const* args, const long long* dims, long long begin, long long end, char* scratch) { for (long long p = begin; p < end; p++) __atomic_fetch_add((int*)args[0], 1, 5); }",
    threads: 1,
    sharedBytes: 0,
    writes: [true],
  };
  const device = await module.openC(cKey(), { threads: 2 });
  const counted = await runOnZeros(device, onState(cKey(), "profiled", [count], namedSteps(3)), 5);
  expect(counted.getInt32(0, true)).toBe(30);
  const text = printed();
  expect(text).toMatch(/^profile of profiled: 5 calls, [\d.]+ ms each, in 2 steps\n/);
  expect(text).toMatch(/ 5 +[\d.]+ +[\d.]+ +0 {2}first/);
  expect(text).toMatch(/ 5 +[\d.]+ +[\d.]+ +1 {2}second/);
});
