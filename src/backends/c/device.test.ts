import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { add, ceilDiv, mul, variable } from "../../core/expr.js";
import { cpu } from "../../runtime/cpu.js";
import type { Allocation, Device } from "../../runtime/device.js";
import type { Program } from "../../runtime/program.js";
import { openC } from "./device.js";

const key = { backend: "c", arch: cpu().arch, features: [], format: 1 };
const n = variable("n", 0, 1 << 26);
const block = 4096;
const f32 = (...shape: (number | typeof n)[]) => ({ dtype: "f32", shape }) as const;

/** y = (x + x) * k, by way of a temporary; count of calls in `calls`. */
const doubled: Program = {
  version: 1,
  name: "doubled",
  key,
  dims: [{ name: "n", min: 0, max: 1 << 26 }],
  inputs: [{ name: "x", type: f32(n), buffer: 0 }],
  outputs: [{ name: "y", type: f32(n), buffer: 1 }],
  state: [{ name: "calls", type: f32(1), buffer: 4 }],
  buffers: [
    { role: "input", dtype: "f32", size: n },
    { role: "output", dtype: "f32", size: n },
    { role: "temp", dtype: "f32", size: n, offset: 64 },
    { role: "constant", dtype: "f32", size: 1, data: new Uint8Array(new Float32Array([3]).buffer) },
    { role: "state", dtype: "f32", size: 1 },
  ],
  arena: add(mul(n, 4), 64),
  prelude: "#define N (dims[0])\n",
  kernels: [
    {
      entry: "twice",
      source: `void twice(void* const* args, const long long* dims, long long begin, long long end, char* scratch) {
        const float* x = args[0]; float* t = args[1]; float* s = (float*)scratch;
        for (long long p = begin; p < end; p++) for (long long i = p * ${block}; i < (p + 1) * ${block} && i < N; i++) { s[i % ${block}] = x[i]; t[i] = x[i] + s[i % ${block}]; } }`,
      threads: 1,
      sharedBytes: block * 4,
      writes: [false, true],
    },
    {
      entry: "scale",
      source: `void scale(void* const* args, const long long* dims, long long begin, long long end, char* scratch) {
        const float* t = args[0]; const float* k = args[1]; float* y = args[2];
        for (long long p = begin; p < end; p++) for (long long i = p * ${block}; i < (p + 1) * ${block} && i < N; i++) y[i] = t[i] * k[0]; }`,
      threads: 1,
      sharedBytes: 0,
      writes: [false, false, true],
    },
    {
      entry: "count",
      source:
        "void count(void* const* args, const long long* dims, long long begin, long long end, char* scratch) { ((float*)args[0])[0] += 1; }",
      threads: 1,
      sharedBytes: 0,
      writes: [true],
    },
  ],
  steps: [
    { kind: "launch", kernel: 0, buffers: [0, 2], dims: [n], grid: ceilDiv(n, block) },
    { kind: "launch", kernel: 1, buffers: [2, 3, 1], dims: [n], grid: ceilDiv(n, block) },
    { kind: "launch", kernel: 2, buffers: [4], dims: [], grid: 1 },
  ],
};

const bytes = (a: Float32Array): Uint8Array => new Uint8Array(a.buffer, a.byteOffset, a.byteLength);
const floats = (b: Uint8Array): Float32Array => new Float32Array(b.buffer, b.byteOffset, b.byteLength / 4);

describe("the c device", () => {
  let device: Device;
  beforeAll(async () => {
    device = await openC(key, { guard: true, threads: 2 });
  });
  afterAll(async () => {
    await device.sync();
    await device.close();
    expect(device.counters.bytes).toBe(0);
  });

  test("runs a program of any size, in order, sync and async", async () => {
    const loaded = await device.load(doubled);
    const calls = device.alloc(4);
    device.write(calls, 0, bytes(new Float32Array([0])));
    let expected = 0;
    for (const size of [0, 1, 7, 4096, 4097, 100_003, 1_000_000]) {
      const x = Float32Array.from({ length: size }, (_, i) => i % 1000);
      const [a, b] = [device.alloc(size * 4), device.alloc(size * 4)];
      device.write(a, 0, bytes(x));
      const call = { buffers: [a, b, undefined, undefined, calls], dims: [size] };
      const slow = device.submit(loaded, call);
      device.submitSync(loaded, call);
      const y = floats(device.readSync(b, 0, size * 4));
      await slow;
      expected += 2;
      expect(y.every((v, i) => v === x[i]! * 6)).toBe(true);
      expect(floats(await device.read(calls, 0, 4))[0]).toBe(expected);
      device.free(a);
      device.free(b);
    }
    await device.sync();
    device.free(calls);
    loaded.unload();
  });

  test("1,000 calls in steady state take nothing from the system", async () => {
    const loaded = device.loadSync(doubled);
    const calls = device.alloc(4);
    const x: Allocation = device.alloc(4 * 5000);
    const step = async (): Promise<void> => {
      const y = device.alloc(4 * 5000);
      await device.submit(loaded, { buffers: [x, y, undefined, undefined, calls], dims: [5000] });
      device.free(y);
    };
    await step();
    const before = { ...device.counters };
    for (let i = 0; i < 1000; i++) await step();
    expect(device.counters.allocations).toBe(before.allocations);
    expect(device.counters.bytes).toBe(before.bytes);
    expect(device.counters.launches).toBe(before.launches + 3000);
    loaded.unload();
    device.free(x);
    device.free(calls);
  });
});
