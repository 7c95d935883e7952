/** A device that takes each step's time computes what the device itself computes. */
import { beforeAll, expect, test } from "vitest";
import { openWasm } from "../../src/backends/wasm/device.js";
import { wasm } from "../../src/backends/wasm/index.js";
import { Session, StepTimes, timed } from "../../src/runtime/public.js";
import { regionsOf } from "../../src/runtime/steps.js";
import { useDevice } from "../support/devices.js";
import { llamaFile } from "./files.js";

beforeAll(() => useDevice("js"));

test.each([true, false])("waiting by blocking: %s", async (blocking) => {
  const file = await llamaFile([wasm.codegen({ threads: 2 })]);
  const device = await openWasm(undefined, { threads: 2 });
  const times = new StepTimes();
  const inner = blocking ? device : Object.assign(Object.create(device) as typeof device, { blocking: false });
  // Private fields are those of the device itself.
  for (const name of ["alloc", "free", "write", "read", "load", "submit", "sync", "close"] as const)
    Object.assign(inner, { [name]: (device[name] as (...a: unknown[]) => unknown).bind(device) });
  const plain = await Session.open(file, { device });
  const session = await Session.open(file, { device: timed(inner, times) });
  let token = 3;
  for (let position = 0; position < 5; position++) {
    const inputs = { token: [token], position };
    const [a, b] = [await plain.run("decode", inputs), await session.run("decode", inputs)];
    expect(b["logits"]!.bytes).toEqual(a["logits"]!.bytes);
    token = Number(a["next"]!.item());
  }
  const regions = regionsOf(session.program("decode").steps).length;
  expect(times.steps).toHaveLength(regions);
  expect(times.steps.every((s) => s.calls === 5 && s.milliseconds >= 0 && s.label.length > 0 && s.program === "decode")).toBe(true);
  expect(times.steps.map((s) => s.milliseconds)).toEqual(times.steps.map((s) => s.milliseconds).sort((a, b) => b - a));
  times.clear();
  expect(times.steps).toEqual([]);
  await Promise.all([plain.dispose(), session.dispose()]);
  await device.close();
});
