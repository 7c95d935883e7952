/** What every device keeps to, whatever runs its kernels; a device's own test adds what only it has. */
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  ArgumentError,
  CompileError,
  DeviceError,
  InternalError,
  OutOfMemoryError,
  ShapeError,
  UnsupportedError,
} from "../../src/core/errors.js";
import type { Allocation, Call, Device, DeviceOptions, Loaded } from "../../src/runtime/device.js";
import type { KernelCode, Program, Step, TargetKey } from "../../src/runtime/program.js";
import { tripled } from "./programs.js";

/** A device, and kernels in its language: a state buffer of four floats is their only argument. */
export interface Contract {
  readonly key: TargetKey;
  open(options: DeviceOptions): Promise<Device>;
  /** Adds 1 to each of the four floats, whatever the grid. */
  readonly increment: KernelCode;
  /** Writes the float after the last one. Absent where the device itself keeps kernels inside their buffers. */
  readonly outside?: KernelCode;
  /** Text that the language refuses. */
  readonly broken: KernelCode;
}

const bytesOf = (a: Float32Array): Uint8Array => new Uint8Array(a.buffer, a.byteOffset, a.byteLength);
export const floatsOf = (b: Uint8Array): Float32Array => new Float32Array(b.buffer, b.byteOffset, b.byteLength / 4);

/** A program on one state buffer of four floats. */
export const onState = (key: TargetKey, name: string, kernels: readonly KernelCode[], steps: readonly Step[]): Program => ({
  version: 1,
  name,
  key,
  dims: [],
  inputs: [],
  outputs: [],
  state: [{ name: "s", type: { dtype: "f32", shape: [4] }, buffer: 0 }],
  buffers: [{ role: "state", dtype: "f32", size: 4 }],
  arena: 0,
  prelude: "",
  kernels,
  steps,
});
export const launch = (kernel: number, grid: number): Step => ({ kind: "launch", kernel, buffers: [0], dims: [], grid });
const type = { dtype: "f32", shape: [4] } as const;
export const hostStep = (call: string): Step => ({
  kind: "host",
  call,
  payload: "p",
  inputs: [0],
  outputs: [0],
  inputTypes: [type],
  outputTypes: [type],
});

/** Registers the tests; the device that they opened is given to more of them by `device()`. */
export function deviceContract({ key, open, increment, outside, broken }: Contract): { device: () => Device } {
  let device: Device;
  let state: Allocation;
  let call: Call;
  beforeAll(async () => {
    device = await open({ guard: true });
    state = device.alloc(16);
    device.write(state, 0, new Uint8Array(16));
    call = { buffers: [state], dims: [] };
  });
  afterAll(async () => {
    device.free(state);
    await device.sync();
    await device.close();
    expect(device.counters.bytes).toBe(0);
    expect(device.counters.cachedBytes).toBe(0);
    expect(() => device.alloc(4)).toThrow(DeviceError);
  });

  /** Blocking where the device can. */
  const run = async (loaded: Loaded, c: Call): Promise<void> => (device.blocking ? device.submitSync(loaded, c) : device.submit(loaded, c));
  const load = async (p: Program): Promise<Loaded> => (device.blocking ? device.loadSync(p) : device.load(p));

  test("runs a program of any size, in order, blocking or not, at first and again", async () => {
    const loaded = await device.load(tripled(key));
    const calls = device.alloc(4);
    device.write(calls, 0, bytesOf(new Float32Array([0])));
    let expected = 0;
    for (const size of [0, 1, 7, 4096, 4097, 100_003, 1_000_000]) {
      const x = Float32Array.from({ length: size }, (_, i) => i % 1000);
      for (let round = 0; round < 2; round++) {
        const [a, b] = [device.alloc(size * 4), device.alloc(size * 4)];
        device.write(a, 0, bytesOf(x));
        const c = { buffers: [a, b, undefined, undefined, calls], dims: [size] };
        const slow = device.submit(loaded, c);
        const again = run(loaded, c);
        const y = floatsOf(device.blocking ? device.readSync(b, 0, size * 4) : await device.read(b, 0, size * 4));
        await slow;
        await again;
        expected += 2;
        expect(y.every((v, i) => v === x[i]! * 6)).toBe(true);
        expect(floatsOf(await device.read(calls, 0, 4))[0]).toBe(expected);
        device.free(a);
        device.free(b);
      }
    }
    device.free(calls);
    loaded.unload();
    await device.sync();
  });

  test("1,000 calls in steady state take nothing from the system", async () => {
    const loaded = await load(tripled(key));
    const calls = device.alloc(4);
    const x = device.alloc(4 * 5000);
    const step = async (i: number): Promise<void> => {
      const y = device.alloc(4 * 5000);
      const c = { buffers: [x, y, undefined, undefined, calls], dims: [5000] };
      await (i % 2 ? run(loaded, c) : device.submit(loaded, c));
      device.free(y);
    };
    await step(0);
    await step(1);
    const before = { ...device.counters };
    for (let i = 0; i < 1000; i++) await step(i);
    expect(device.counters).toEqual({ ...before, launches: before.launches + 3000, submissions: before.submissions + 1000 });
    loaded.unload();
    device.free(x);
    device.free(calls);
    await device.sync();
  });

  test("nothing that a program uses is freed or overwritten before it has run, and host steps have their turn", async () => {
    const steps = [launch(0, 1), hostStep("double"), launch(0, 1), launch(0, 1)];
    const mixed = onState(key, "mixed", [increment], steps);
    await expect(load(mixed)).rejects.toThrow(UnsupportedError);
    const loaded = await device.load(mixed, {
      host: (name) => (name === "double" ? (_, [x]) => [bytesOf(floatsOf(x!.bytes).map((v) => v * 2))] : undefined),
    });
    const s = device.alloc(16);
    device.write(s, 0, bytesOf(new Float32Array([1, 2, 3, 4])));
    const held = device.counters.bytes;
    const data = bytesOf(new Float32Array([5, 0, 0, 0]));
    const first = device.submit(loaded, { buffers: [s], dims: [] });
    const one = device.read(s, 0, 16);
    device.write(s, 0, data);
    data.fill(0);
    const second = device.submit(loaded, { buffers: [s], dims: [] });
    const two = device.read(s, 0, 4);
    device.free(s);
    expect([...floatsOf(await one)]).toEqual([6, 8, 10, 12]);
    expect(floatsOf(await two)[0]).toBe(14);
    await first;
    await second;
    await device.sync();
    expect(device.counters.bytes).toBeLessThan(held);
    expect(() => device.write(s, 0, new Uint8Array(4))).toThrow(/after it was freed/);
    await expect(device.submit(loaded, { buffers: [s], dims: [] })).rejects.toThrow(DeviceError);
    device.write(state, 0, new Uint8Array(16));
    await run(loaded, call);
    expect(floatsOf(await device.read(state, 0, 4))[0]).toBe(4);
    loaded.unload();
    await expect(run(loaded, call)).rejects.toThrow(/not loaded/);
    const bad = await device.load(onState(key, "bad", [], [hostStep("none")]), { host: () => () => [] });
    await expect(device.submit(bad, call)).rejects.toThrow(/gave no bytes/);
    const throws = await device.load(onState(key, "throws", [], [hostStep("none")]), {
      host: () => () => {
        throw new Error("inside");
      },
    });
    await expect(device.submit(throws, call)).rejects.toThrow("inside");
    bad.unload();
    throws.unload();
  });

  test("an abort rejects and does not disturb later work", async () => {
    const stop = new AbortController();
    const program = onState(key, "two", [increment], [launch(0, 1), hostStep("same"), hostStep("stop"), launch(0, 1)]);
    const loaded = await device.load(program, {
      host:
        (name) =>
        (_, [x]) => {
          if (name === "stop") stop.abort(new Error("enough"));
          return [x!.bytes];
        },
    });
    device.write(state, 0, new Uint8Array(16));
    await expect(device.submit(loaded, call, stop.signal)).rejects.toThrow("enough");
    await expect(device.submit(loaded, call, stop.signal)).rejects.toThrow("enough");
    const other = new AbortController();
    const again = device.submit(loaded, call);
    const waiting = device.submit(loaded, call, other.signal);
    other.abort(new Error("not begun"));
    // A device that runs short programs at once has run both.
    await Promise.allSettled([again, waiting]);
    await device.sync();
    const plain = await device.load(onState(key, "plain", [increment], [launch(0, 1)]));
    device.write(state, 0, new Uint8Array(16));
    await device.submit(plain, call);
    expect(floatsOf(await device.read(state, 0, 4))[0]).toBe(1);
    loaded.unload();
    plain.unload();
  });

  test("wrong calls and wrong code are typed errors", async () => {
    const loaded = await device.load(tripled(key));
    const small = device.alloc(8);
    await expect(device.submit(loaded, { buffers: [small, small, undefined, undefined, small], dims: [100] })).rejects.toThrow(DeviceError);
    await expect(device.submit(loaded, { buffers: [small, undefined, undefined, undefined, small], dims: [1] })).rejects.toThrow(
      /no memory for output/,
    );
    await expect(device.submit(loaded, { buffers: [], dims: [-1] })).rejects.toThrow(ShapeError);
    await expect(run(loaded, { buffers: [], dims: [] })).rejects.toThrow(ShapeError);
    expect(() => device.write(small, 4, new Uint8Array(8))).toThrow(DeviceError);
    await expect(device.load(onState(key, "broken", [broken], [launch(0, 1)]))).rejects.toThrow(CompileError);
    await expect(load(onState(key, "broken", [broken], [launch(0, 1)]))).rejects.toThrow(CompileError);
    const other = await open({});
    const theirs = other.alloc(4);
    expect(() => device.write(theirs, 0, new Uint8Array(4))).toThrow(/belongs to another device/);
    expect(() => other.write(theirs, 2, new Uint8Array(4))).toThrow(DeviceError);
    await other.close();
    device.free(small);
    loaded.unload();
  });

  if (outside) {
    test("a write outside a buffer is found", async () => {
      const loaded = await device.load(onState(key, "outside", [outside], [launch(0, 1)]));
      const s = device.alloc(16);
      await device.submit(loaded, { buffers: [s], dims: [] });
      await expect(device.sync()).rejects.toThrow(InternalError);
      device.free(s);
      await expect(device.sync()).rejects.toThrow(/at byte 16 of a buffer of 16 bytes/);
      loaded.unload();
    });
  }

  test("copies of any size are launches too, and touch nothing else", async () => {
    const sizes = [1, 15, 16, 16_384, 16_385, 40_000];
    const p: Program = {
      ...onState(key, "copies", [], []),
      state: [],
      buffers: sizes.flatMap((size) => [
        { role: "input", dtype: "u8", size },
        { role: "output", dtype: "u8", size },
      ]),
      steps: sizes.map((_, i) => ({ kind: "copy", from: 2 * i, to: 2 * i + 1 })),
    };
    const loaded = await device.load(p);
    const from = sizes.map((n) => Uint8Array.from({ length: n }, (_, i) => (i * 7 + n) % 256));
    const buffers = sizes.flatMap((n) => [device.alloc(n), device.alloc(n + 3)]);
    from.forEach((data, i) => {
      device.write(buffers[2 * i]!, 0, data);
    });
    const before = device.counters.launches;
    for (let round = 0; round < 3; round++) {
      for (const [i, n] of sizes.entries()) device.write(buffers[2 * i + 1]!, 0, new Uint8Array(n + 3).fill(9));
      await device.submit(loaded, { buffers, dims: [] });
      for (const [i, n] of sizes.entries())
        expect(Buffer.compare(await device.read(buffers[2 * i + 1]!, 0, n + 3), Uint8Array.of(...from[i]!, 9, 9, 9))).toBe(0);
    }
    expect(device.counters.launches).toBe(before + 3 * sizes.length);
    loaded.unload();
    for (const b of buffers) device.free(b);
    await device.sync();
  });

  test("bytes are written, copied and read at any place", async () => {
    const n = 1037;
    const data = Uint8Array.from({ length: n }, (_, i) => (i * 7) % 251);
    const [a, b] = [device.alloc(n), device.alloc(n)];
    device.write(a, 0, data);
    device.write(b, 0, new Uint8Array(n).fill(9));
    const expected = data.slice();
    for (const [offset, length] of [
      [1, 1],
      [2, 7],
      [5, 3],
      [16, 33],
      [n - 3, 3],
      [n - 5, 2],
      [77, 0],
    ] as const) {
      const part = Uint8Array.from({ length }, (_, i) => 200 + i);
      device.write(a, offset, part);
      expected.set(part, offset);
    }
    expect(Buffer.compare(await device.read(a, 0, n), expected)).toBe(0);
    expect([...(await device.read(a, 3, 6))]).toEqual([...expected.subarray(3, 9)]);
    device.copy(a, b, 1030);
    expected.fill(9, 1030);
    expect(Buffer.compare(await device.read(b, 0, n), expected)).toBe(0);
    expect((await device.read(a, 5, 0)).length).toBe(0);
    device.free(a);
    device.free(b);
    await device.sync();
  });

  test("too much memory is refused with a report, and the device goes on", async () => {
    expect(() => device.alloc(2 ** 50)).toThrow(OutOfMemoryError);
    expect(() => device.alloc(2 ** 50)).toThrow(/has no memory for a buffer of 1.0 PiB.*limit is/);
    expect(() => device.alloc(-1)).toThrow(ArgumentError);
    device.free(device.alloc(1 << 20));
    await device.sync();
  });

  return { device: () => device };
}
