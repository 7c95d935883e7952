/** Repeated work in Node: the same as in a page. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { beforeAll, expect, test } from "vitest";
import { openWasm } from "../../src/backends/wasm/device.js";
import { wasm } from "../../src/backends/wasm/index.js";
import { useDevice } from "../support/devices.js";
import { llamaFile, nextFile } from "./files.js";
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
