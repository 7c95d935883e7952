import { afterEach, expect, test, vi } from "vitest";
import { launch, onState } from "../../../test/support/device-contract.js";
import { hasCompiler } from "../../../test/support/kernels-in-c.js";
import type { KernelCode, Step } from "../../runtime/program.js";
import { cKey } from "./key.js";

afterEach(() => {
  vi.unstubAllEnvs();
  vi.resetModules();
});

test.skipIf(!hasCompiler())("TREEPIE_PROFILE counts and names the steps of a program", async () => {
  vi.stubEnv("TREEPIE_PROFILE", "1");
  vi.resetModules();
  const before = process.listeners("exit");
  const { openC } = await import("./device.js");
  const print = process.listeners("exit").find((l) => !before.includes(l))!;
  process.off("exit", print);
  const step = (label: string): Step => ({ ...launch(0, 3), note: { tier: "generated", label, ops: [], why: [], bytes: 16 } });
  const count: KernelCode = {
    entry: "count",
    source:
      "void count(void* const* args, const long long* dims, long long begin, long long end, char* scratch) { for (long long p = begin; p < end; p++) __atomic_fetch_add((int*)args[0], 1, 5); }",
    threads: 1,
    sharedBytes: 0,
    writes: [true],
  };
  const program = onState(cKey(), "profiled", [count], [step("first"), step("second")]);
  const device = await openC(cKey(), { threads: 2 });
  const state = device.alloc(16);
  device.write(state, 0, new Uint8Array(16));
  const loaded = await device.load(program);
  for (let i = 0; i < 5; i++) await device.submit(loaded, { dims: [], buffers: [state] });
  const counted = await device.read(state, 0, 4);
  expect(new Int32Array(counted.buffer, counted.byteOffset, 1)[0]).toBe(30);
  await device.close();
  const written = vi.spyOn(process.stderr, "write").mockReturnValue(true);
  (print as () => void)();
  const text = String(written.mock.calls[0]![0]);
  written.mockRestore();
  expect(text).toMatch(/^profile of profiled: 5 calls, [\d.]+ ms each, in 2 steps\n/);
  expect(text).toMatch(/ 5 +[\d.]+ +[\d.]+ +0 {2}first/);
  expect(text).toMatch(/ 5 +[\d.]+ +[\d.]+ +1 {2}second/);
});
