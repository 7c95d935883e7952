import { afterEach, expect, test, vi } from "vitest";
import { launch, onState } from "../../../test/support/device-contract.js";
import type { KernelCode, Step } from "../../runtime/program.js";
import { access, drop, i32 } from "./asm/code.js";
import { Module } from "./asm/module.js";
import { wasmKey } from "./key.js";

afterEach(() => {
  vi.unstubAllEnvs();
  vi.resetModules();
});

test("TREEPIE_PROFILE counts and names the steps of a program", async () => {
  vi.stubEnv("TREEPIE_PROFILE", "1");
  vi.resetModules();
  const before = process.listeners("exit");
  const { openWasm } = await import("./device.js");
  const print = process.listeners("exit").find((l) => !before.includes(l))!;
  process.off("exit", print);
  const module = new Module();
  module.add("k", { takes: ["i32", "i32", "i32", "i32"], gives: undefined }, (f) => {
    f.push(drop(access("i32.atomic.rmw.add", 0, access("i32.load", 0, f.read(0)), i32(1))));
    return undefined;
  });
  const count: KernelCode = { entry: "count", source: module.encode(), threads: 1, sharedBytes: 0, writes: [true] };
  const step = (label: string): Step => ({ ...launch(0, 1), note: { tier: "generated", label, ops: [], why: [], bytes: 16 } });
  const program = onState(wasmKey(false), "profiled", [count], [step("first"), step("second")]);
  const device = await openWasm(wasmKey(false), { threads: 2 });
  const state = device.alloc(16);
  device.write(state, 0, new Uint8Array(16));
  const loaded = await device.load(program);
  for (let i = 0; i < 5; i++) await device.submit(loaded, { dims: [], buffers: [state] });
  const counted = await device.read(state, 0, 4);
  expect(new Int32Array(counted.buffer, counted.byteOffset, 1)[0]).toBe(10);
  await device.close();
  const written = vi.spyOn(process.stderr, "write").mockReturnValue(true);
  (print as () => void)();
  const text = String(written.mock.calls[0]![0]);
  written.mockRestore();
  expect(text).toMatch(/^profile of profiled: 5 calls, [\d.]+ ms each, in 2 steps\n/);
  expect(text).toMatch(/ 5 +[\d.]+ +[\d.]+ +0 {2}first/);
  expect(text).toMatch(/ 5 +[\d.]+ +[\d.]+ +1 {2}second/);
});
