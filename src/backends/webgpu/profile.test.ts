import { expect, test } from "vitest";
import { floatsOf, onState } from "../../../test/support/device-contract.js";
import { namedSteps, profiling } from "../../../test/support/profiled.js";
import { withoutWebGpu } from "../../../test/support/webgpu.js";
import type { KernelCode } from "../../runtime/program.js";
import { StepTimes, timed } from "../../runtime/timed.js";
import { webgpuKey } from "./key.js";

test.skipIf(await withoutWebGpu())("dispatches are timed by timestamps, for TREEPIE_PROFILE and for whoever listens", async (context) => {
  const { module, printed } = await profiling(() => import("./device.js"));
  const { openGpu } = await import("./gpu.js");
  const { device: gpu } = await openGpu();
  const stamped = gpu.features.has("timestamp-query");
  gpu.destroy();
  if (!stamped) return context.skip("the adapter has no timestamps");
  const count: KernelCode = {
    entry: "count",
    source: [
      "@group(0) @binding(0) var<storage, read_write> s: array<f32>;",
      // A step far above what drivers round timestamps to.
      "@compute @workgroup_size(1) fn count() { s[0] += 1.0; for (var i = 0u; i < 1000000u; i++) { s[1] += 1.0; } }",
    ].join("\n"),
    threads: 1,
    sharedBytes: 0,
    writes: [true],
  };
  const device = await module.openWebGpu();
  const state = device.alloc(16);
  device.write(state, 0, new Uint8Array(16));
  const loaded = await device.load(onState(webgpuKey, "profiled", [count], namedSteps(1)));
  for (let i = 0; i < 3; i++) await device.submit(loaded, { dims: [], buffers: [state] });
  expect(floatsOf(await device.read(state, 0, 4))[0]).toBe(6);
  const times = new StepTimes();
  const listening = timed(device, times);
  const again = await listening.load(onState(webgpuKey, "timed", [count], namedSteps(1)));
  const { submissions } = device.counters;
  for (let i = 0; i < 3; i++) await listening.submit(again, { dims: [], buffers: [state] });
  expect(device.counters.submissions - submissions).toBe(3);
  expect(floatsOf(await device.read(state, 0, 4))[0]).toBe(12);
  expect(times.steps.map((s) => [s.program, s.label, s.calls, s.bytes]).sort()).toEqual(
    ["first", "second"].map((label) => ["timed", label, 3, 48]),
  );
  expect(times.steps.every((s) => s.milliseconds > 0)).toBe(true);
  await device.close();
  const text = printed();
  expect(text).toMatch(/^profile of profiled: 3 calls, [\d.]+ ms each, in 2 steps\n/);
  expect(text).toMatch(/ 3 +[\d.]+ +[\d.]+ +0 {2}first/);
});
