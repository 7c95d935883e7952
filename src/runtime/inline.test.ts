import { beforeAll, describe, expect, test } from "vitest";
import { deviceContract, floatsOf, launch, onState } from "../../test/support/device-contract.js";
import { tripled } from "../../test/support/programs.js";
import { openInterp } from "../backends/interp/device.js";
import { openJs } from "../backends/js/device.js";
import { openNull } from "../backends/null/device.js";
import { ArgumentError, CompileError, ShapeError } from "../core/errors.js";
import { variable } from "../core/expr.js";
import type { Device } from "./device.js";
import { bindDims, outputTypes, prepare } from "./execute.js";
import { blockSize } from "./memory.js";
import type { KernelCode, Program } from "./program.js";

const key = { backend: "js", arch: "any", features: [], format: 1 };
const kernel = (entry: string, body: string): KernelCode => ({
  entry,
  source: `function ${entry}(args, dims, begin, end, scratch) { const s = new Float32Array(args[0].buffer, args[0].byteOffset, 4); ${body} }`,
  threads: 1,
  sharedBytes: 0,
  writes: [true],
});
const busy = kernel(
  "busy",
  "for (let p = begin; p < end; p++) { const until = performance.now() + 1; while (performance.now() < until); s[0]++; }",
);

describe("the js device", () => {
  const shared = deviceContract({
    key,
    open: (options) => openJs(undefined, options),
    increment: kernel("inc", "for (let i = 0; i < 4; i++) s[i] += 1;"),
    outside: kernel("outside", "new Float32Array(args[0].buffer)[args[0].byteOffset / 4 + 4] = 1;"),
    broken: { ...busy, source: "function (" },
  });
  let device: Device;
  beforeAll(() => {
    device = shared.device();
  });

  test("timers tick while a program runs, also inside a kernel, and an abort ends it", async () => {
    const s = device.alloc(16);
    for (const steps of [[launch(0, 400)], Array.from({ length: 200 }, () => launch(0, 2))]) {
      device.write(s, 0, new Uint8Array(16));
      const loaded = await device.load(onState(key, "busy", [busy], steps));
      const stop = new AbortController();
      let ticks = 0;
      const timer = setInterval(() => ++ticks === 4 && stop.abort(new Error("enough")), 2);
      await expect(device.submit(loaded, { buffers: [s], dims: [] }, stop.signal)).rejects.toThrow("enough");
      clearInterval(timer);
      expect(floatsOf(await device.read(s, 0, 4))[0]).toBeLessThan(400);
      // A blocking call finishes what runs first.
      const slow = device.submit(loaded, { buffers: [s], dims: [] });
      device.write(s, 0, new Uint8Array(16));
      expect(floatsOf(device.readSync(s, 0, 4))[0]).toBe(0);
      await slow;
      loaded.unload();
    }
    device.free(s);
  });

  test("a kernel that throws, and one whose name is code", async () => {
    const s = device.alloc(16);
    await expect(device.load(onState(key, "named", [{ ...busy, entry: "alert(1)" }], []))).rejects.toThrow(CompileError);
    const throws = await device.load(onState(key, "throws", [kernel("throws", 'throw new Error("inside");')], [launch(0, 1)]));
    await expect(device.submit(throws, { buffers: [s], dims: [] })).rejects.toThrow("inside");
    throws.unload();
    device.free(s);
  });
});

test("null counts what it would run, interp refuses kernels", async () => {
  const device = await openNull();
  const program = { ...tripled({ ...key, backend: "null" }) };
  const loaded = await device.load(program);
  const [x, calls] = [device.alloc(400), device.alloc(4)];
  const p = prepare(device, program, bindDims(program, [{ dtype: "f32", shape: [100] }]), [x], [calls]);
  expect(outputTypes(program, p.call.dims)).toEqual([{ dtype: "f32", shape: [100] }]);
  await device.submit(loaded, p.call);
  expect(device.counters).toMatchObject({ launches: 3, submissions: 1 });
  await device.close();
  const interp = await openInterp({ ...key, backend: "interp" });
  await expect(interp.load(program)).rejects.toThrow(ArgumentError);
  await interp.close();
});

test("dims come from the shapes that determine them; whatever does not fit names the input", () => {
  const [n, m] = [variable("n", 1, 8), variable("m", 0, 100)];
  const port = (name: string, ...shape: (number | typeof n)[]) => ({ name, type: { dtype: "f32", shape } as const, buffer: 0 });
  const p: Program = {
    ...tripled(key),
    dims: [
      { name: "n", min: 1, max: 8 },
      { name: "m", min: 0, max: 100 },
    ],
    inputs: [port("a", n, 3), port("b", m, n)],
  };
  const given = (...shapes: number[][]) => shapes.map((shape) => ({ dtype: "f32" as const, shape }));
  expect(bindDims(p, given([2, 3], [5, 2]))).toEqual([2, 5]);
  expect(() => bindDims(p, given([2, 3], [5, 3]))).toThrow(/b takes shape \[m, n\] and was given \[5, 3\]: dim 1 must be n = 2/);
  expect(() => bindDims(p, given([9, 3], [5, 9]))).toThrow(/a takes shape \[n, 3\].*n = 9 is outside \[1, 8\]/);
  expect(() => bindDims(p, given([2, 4], [5, 2]))).toThrow(/dim 1 must be 3/);
  expect(() => bindDims(p, given([2, 3]))).toThrow(ShapeError);
});

test("block sizes waste at most an eighth and are their own block size", () => {
  for (let bytes = 1; bytes < 2 ** 40; bytes = Math.ceil(bytes * 1.37)) {
    const size = blockSize(bytes);
    expect(size).toBeGreaterThanOrEqual(bytes);
    expect(size).toBeLessThanOrEqual(Math.max(64, bytes * 1.125 + 63));
    expect(blockSize(size)).toBe(size);
  }
});
