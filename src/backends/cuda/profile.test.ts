import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { launch, onState } from "../../../test/support/device-contract.js";
import { buildFakeGpu } from "../../../test/support/fake-gpu/build.js";
import type { KernelCode, Step } from "../../runtime/program.js";
import { cudaKey } from "./key.js";

const fake = buildFakeGpu();

test.skipIf(!fake)("TREEPIE_PROFILE times the launches of a program on a GPU", async () => {
  const cache = mkdtempSync(join(tmpdir(), "treepie-test-"));
  Object.assign(process.env, { TREEPIE_CUDA_PATH: fake, TREEPIE_CACHE_DIR: cache });
  vi.stubEnv("TREEPIE_PROFILE", "1");
  vi.resetModules();
  const before = process.listeners("exit");
  const { openCuda } = await import("./device.js");
  const print = process.listeners("exit").find((l) => !before.includes(l))!;
  process.off("exit", print);
  const step = (label: string): Step => ({ ...launch(0, 1), note: { tier: "generated", label, ops: [], why: [], bytes: 16 } });
  const count: KernelCode = {
    entry: "count",
    source: 'extern "C" __global__ void __launch_bounds__(1) count(float* s) { s[0] += 1; }',
    threads: 1,
    sharedBytes: 0,
    writes: [true],
  };
  const program = onState(cudaKey(90), "profiled", [count], [step("first"), step("second")]);
  const device = await openCuda();
  const state = device.alloc(16);
  device.write(state, 0, new Uint8Array(16));
  const loaded = await device.load(program);
  for (let i = 0; i < 3; i++) await device.submit(loaded, { dims: [], buffers: [state] });
  const counted = await device.read(state, 0, 4);
  expect(new Float32Array(counted.buffer, counted.byteOffset, 1)[0]).toBe(6);
  await device.close();
  const written = vi.spyOn(process.stderr, "write").mockReturnValue(true);
  (print as () => void)();
  const text = String(written.mock.calls[0]![0]);
  written.mockRestore();
  vi.unstubAllEnvs();
  rmSync(cache, { recursive: true, force: true });
  // The fake GPU says that every launch takes half a millisecond.
  expect(text).toMatch(/^profile of profiled: 3 calls, 1\.000 ms each, in 2 steps\n/);
  expect(text).toMatch(/ 3 +500\.0 +[\d.]+ +0 {2}first/);
});
