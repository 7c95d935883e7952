/** In Node, what also happens in a page: repeated work holds no more, and a device that takes times computes the same. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { beforeAll, expect, test } from "vitest";
import { openWasm } from "../../src/backends/wasm/device.js";
import { wasm } from "../../src/backends/wasm/index.js";
import { Session, StepTimes, timed } from "../../src/runtime/public.js";
import { regionsOf } from "../../src/runtime/steps.js";
import { useDevice } from "../support/devices.js";
import { llamaFile, longFile, nextFile } from "./files.js";
import { failures, failuresWanted } from "./page/failures.js";
import { decode, openRunClose } from "./page/steady.js";

beforeAll(() => useDevice("js"));
setFlagsFromString("--expose-gc");
const gc = runInNewContext("gc") as () => void;
async function heap(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    gc();
    await new Promise((done) => setTimeout(done, 20));
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

test.each([
  ["1,000 sessions that open, run and close", openRunClose, nextFile, 1000],
  ["10,000 decoded tokens", decode, llamaFile, 10_000],
] as const)("%s hold no more than the first tenth", async (_, work, file, rounds) => {
  const { heap: bytes, held } = await work({
    file: await file([wasm.codegen({ threads: 2 })]),
    rounds,
    open: () => openWasm(undefined, { threads: 2 }),
    heap,
  });
  expect(held[1]).toEqual(held[0]);
  expect(bytes[1] - bytes[0]).toBeLessThan(1 << 20);
});

test("after a failure, which is a typed error, the next session works", async () => {
  const found = await failures(await longFile([wasm.codegen({ threads: 2 })]));
  expect(Object.keys(found).sort()).toEqual(Object.keys(failuresWanted).sort());
  for (const [name, [kind, message]] of Object.entries(failuresWanted)) {
    expect(found[name]![0], name).toBe(kind);
    expect(found[name]![1], name).toMatch(message);
  }
});

test.each([true, false])("each step takes its time on a device that waits by blocking: %s", async (blocking) => {
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
