import { expect, test } from "vitest";
import { onState } from "../../../test/support/device-contract.js";
import { namedSteps, profiling, runOnZeros } from "../../../test/support/profiled.js";
import type { KernelCode } from "../../runtime/program.js";
import { access, drop, i32 } from "./asm/code.js";
import { Module } from "./asm/module.js";
import { wasmKey } from "./key.js";

test("TREEPIE_PROFILE counts and names the steps of a program", async () => {
  const { module: opener, printed } = await profiling(() => import("./device.js"));
  const module = new Module();
  module.add("k", { takes: ["i32", "i32", "i32", "i32"], gives: undefined }, (f) => {
    f.push(drop(access("i32.atomic.rmw.add", 0, access("i32.load", 0, f.read(0)), i32(1))));
    return undefined;
  });
  const count: KernelCode = { entry: "count", source: module.encode(), threads: 1, sharedBytes: 0, writes: [true] };
  const device = await opener.openWasm(wasmKey(false), { threads: 2 });
  const counted = await runOnZeros(device, onState(wasmKey(false), "profiled", [count], namedSteps(1)), 5);
  expect(counted.getInt32(0, true)).toBe(10);
  const text = printed();
  expect(text).toMatch(/^profile of profiled: 5 calls, [\d.]+ ms each, in 2 steps\n/);
  expect(text).toMatch(/ 5 +[\d.]+ +[\d.]+ +0 {2}first/);
  expect(text).toMatch(/ 5 +[\d.]+ +[\d.]+ +1 {2}second/);
});
