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
import type { Allocation, Call, Device, DeviceOptions } from "../../src/runtime/device.js";
import type { KernelCode, Program, Step, TargetKey } from "../../src/runtime/program.js";
import { tripled } from "./programs.js";

/** A device, and kernels in its language: a state buffer of four floats is their only argument. */
export interface Contract {
  readonly key: TargetKey;
  open(options: DeviceOptions): Promise<Device>;
  /** Adds 1 to each of the four floats, whatever the grid. */
  readonly increment: KernelCode;
  /** Writes the float after the last one. */
  readonly outside: KernelCode;
  /** Text that the language refuses. */
  readonly broken: KernelCode;
}

export const bytesOf = (a: Float32Array): Uint8Array => new Uint8Array(a.buffer, a.byteOffset, a.byteLength);
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
        device.submitSync(loaded, c);
        const y = floatsOf(device.readSync(b, 0, size * 4));
        await slow;
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
    const loaded = device.loadSync(tripled(key));
    const calls = device.alloc(4);
    const x = device.alloc(4 * 5000);
    const step = async (i: number): Promise<void> => {
      const y = device.alloc(4 * 5000);
      const c = { buffers: [x, y, undefined, undefined, calls], dims: [5000] };
      if (i % 2) device.submitSync(loaded, c);
      else await device.submit(loaded, c);
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
    expect(() => device.loadSync(mixed)).toThrow(UnsupportedError);
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
    expect(() => device.readSync(s, 0, 4)).toThrow(/after it was freed/);
    await expect(device.submit(loaded, { buffers: [s], dims: [] })).rejects.toThrow(DeviceError);
    device.write(state, 0, new Uint8Array(16));
    device.submitSync(loaded, call);
    expect(floatsOf(device.readSync(state, 0, 4))[0]).toBe(4);
    loaded.unload();
    expect(() => device.submitSync(loaded, call)).toThrow(/not loaded/);
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
    expect(() => device.submitSync(loaded, { buffers: [], dims: [] })).toThrow(ShapeError);
    expect(() => device.write(small, 4, new Uint8Array(8))).toThrow(DeviceError);
    await expect(device.load(onState(key, "broken", [broken], []))).rejects.toThrow(CompileError);
    expect(() => device.loadSync(onState(key, "broken", [broken], []))).toThrow(CompileError);
    const other = await open({});
    const theirs = other.alloc(4);
    expect(() => device.write(theirs, 0, new Uint8Array(4))).toThrow(/belongs to another device/);
    expect(() => other.write(theirs, 2, new Uint8Array(4))).toThrow(DeviceError);
    await other.close();
    device.free(small);
    loaded.unload();
  });

  test("a write outside a buffer is found", async () => {
    const loaded = await device.load(onState(key, "outside", [outside], [launch(0, 1)]));
    const s = device.alloc(16);
    await device.submit(loaded, { buffers: [s], dims: [] });
    await expect(device.sync()).rejects.toThrow(InternalError);
    device.free(s);
    await expect(device.sync()).rejects.toThrow(/at byte 16 of a buffer of 16 bytes/);
    loaded.unload();
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
