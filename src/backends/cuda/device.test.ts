import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildFakeGpu } from "../../../test/support/fake-gpu/build.js";
import { tripled } from "../../../test/support/programs.js";
import { CompileError, DeviceError, InternalError, OutOfMemoryError, ShapeError, UnsupportedError } from "../../core/errors.js";
import type { Allocation, Call, Device } from "../../runtime/device.js";
import type { KernelCode, Program, Step } from "../../runtime/program.js";
import { openCuda } from "./device.js";
import { gpus } from "./driver.js";
import { cudaKey } from "./key.js";
import { missingLibraries, whyNot } from "./libraries.js";

// The device against a GPU made of the CPU: what the host does is the same.
const fake = buildFakeGpu();
const cache = mkdtempSync(join(tmpdir(), "treepie-test-"));
if (fake) Object.assign(process.env, { TREEPIE_CUDA_PATH: fake, TREEPIE_CACHE_DIR: cache, FAKE_GPU_MEMORY_MIB: "256" });
afterAll(() => {
  rmSync(cache, { recursive: true, force: true });
  if (fake) rmSync(fake, { recursive: true, force: true });
});

const key = cudaKey(90);
const bytes = (a: Float32Array): Uint8Array => new Uint8Array(a.buffer, a.byteOffset, a.byteLength);
const floats = (b: Uint8Array): Float32Array => new Float32Array(b.buffer, b.byteOffset, b.byteLength / 4);
const kernel = (entry: string, body: string, threads = 1): KernelCode => ({
  entry,
  source: `extern "C" __global__ void __launch_bounds__(${threads}) ${entry}(float* s) { ${body} }`,
  threads,
  sharedBytes: 0,
  writes: [true],
});
/** A program on one state buffer of four floats. */
const onState = (name: string, kernels: readonly KernelCode[], steps: readonly Step[]): Program => ({
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
const launch = (k: number, grid: number): Step => ({ kind: "launch", kernel: k, buffers: [0], dims: [], grid });
const type = { dtype: "f32", shape: [4] } as const;
const hostStep = (call: string): Step => ({
  kind: "host",
  call,
  payload: "p",
  inputs: [0],
  outputs: [0],
  inputTypes: [type],
  outputTypes: [type],
});

describe.skipIf(!fake)("the cuda device", () => {
  let device: Device;
  let state: Allocation;
  let call: Call;
  beforeAll(async () => {
    device = await openCuda({ guard: true });
    state = device.alloc(16);
    device.write(state, 0, new Uint8Array(16));
    call = { buffers: [state], dims: [] };
  });
  afterAll(async () => {
    device.free(state);
    await device.sync();
    await device.close();
    expect(device.counters.bytes).toBe(0);
    expect(() => device.alloc(4)).toThrow(DeviceError);
  });

  test("knows its GPUs", async () => {
    expect(whyNot()).toBeUndefined();
    expect(missingLibraries()).toEqual([]);
    expect(gpus().map((g) => [g.name, g.sm, g.multiprocessors])).toEqual([
      ["fake GPU", 90, 4],
      ["fake GPU", 90, 4],
    ]);
    const second = await openCuda({ index: 1 });
    expect(second.name).toBe("cuda:1");
    const [a, b] = [second.alloc(4), device.alloc(4)];
    second.write(a, 0, new Uint8Array([1, 2, 3, 4]));
    device.write(b, 0, new Uint8Array([5, 6, 7, 8]));
    expect([...(await second.read(a, 0, 4)), ...(await device.read(b, 0, 4))]).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    device.free(b);
    await second.close();
    await expect(openCuda({ index: 2 })).rejects.toThrow(/no GPU cuda:2; known are cuda:0 \(fake GPU\)/);
  });

  test("runs a program of any size, in order, blocking or not, launch by launch and as a graph", async () => {
    const loaded = await device.load(tripled(key));
    const calls = device.alloc(4);
    device.write(calls, 0, bytes(new Float32Array([0])));
    let expected = 0;
    for (const size of [0, 1, 7, 4096, 4097, 100_003, 1_000_000]) {
      const x = Float32Array.from({ length: size }, (_, i) => i % 1000);
      for (let round = 0; round < 2; round++) {
        const [a, b] = [device.alloc(size * 4), device.alloc(size * 4)];
        device.write(a, 0, bytes(x));
        const c = { buffers: [a, b, undefined, undefined, calls], dims: [size] };
        const slow = device.submit(loaded, c);
        device.submitSync(loaded, c);
        const y = floats(device.readSync(b, 0, size * 4));
        await slow;
        expected += 2;
        expect(y.every((v, i) => v === x[i]! * 6)).toBe(true);
        expect(floats(await device.read(calls, 0, 4))[0]).toBe(expected);
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
    const step = async (): Promise<void> => {
      const y = device.alloc(4 * 5000);
      await device.submit(loaded, { buffers: [x, y, undefined, undefined, calls], dims: [5000] });
      device.free(y);
    };
    await step();
    const before = { ...device.counters };
    for (let i = 0; i < 1000; i++) await step();
    expect(device.counters).toEqual({
      ...before,
      launches: before.launches + 3000,
      submissions: before.submissions + 1000,
    });
    loaded.unload();
    device.free(x);
    device.free(calls);
  });

  test("large results come back in pieces, large inputs too", async () => {
    const n = 70 << 20;
    const data = new Uint8Array(n);
    for (let i = 0; i < n; i += 4099) data[i] = i % 251;
    const a = device.alloc(n);
    device.write(a, 0, data);
    const now = device.read(a, 0, n);
    device.write(a, 0, new Uint8Array(100_000));
    expect(Buffer.compare(await now, data)).toBe(0);
    expect(Buffer.compare(device.readSync(a, 100_000, n - 100_000), data.subarray(100_000))).toBe(0);
    expect((await device.read(a, 5, 0)).length).toBe(0);
    device.free(a);
  });

  test("copies are launches too", async () => {
    const sizes = [1, 15, 16, 16_384, 16_385, 40_000];
    const p: Program = {
      ...onState("copies", [], []),
      state: [],
      buffers: sizes.flatMap((size) => [
        { role: "input", dtype: "u8", size },
        { role: "output", dtype: "u8", size },
      ]),
      steps: sizes.map((_, i) => ({ kind: "copy", from: 2 * i, to: 2 * i + 1 })),
    };
    const loaded = await device.load(p);
    const from = sizes.map((n) => Uint8Array.from({ length: n }, (_, i) => (i * 7 + n) % 256));
    const buffers = sizes.flatMap((n) => [device.alloc(n), device.alloc(n)]);
    from.forEach((data, i) => {
      device.write(buffers[2 * i]!, 0, data);
    });
    const before = device.counters.launches;
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < sizes.length; i++) device.write(buffers[2 * i + 1]!, 0, new Uint8Array(sizes[i]!));
      await device.submit(loaded, { buffers, dims: [] });
      for (const [i, n] of sizes.entries()) expect(Buffer.compare(await device.read(buffers[2 * i + 1]!, 0, n), from[i]!)).toBe(0);
    }
    expect(device.counters.launches).toBe(before + 3 * sizes.length);
    loaded.unload();
    for (const b of buffers) device.free(b);
    await device.sync();
  });

  test("nothing that a program uses is overwritten before it runs", async () => {
    const loaded = await device.load(
      onState(
        "mixed",
        [kernel("inc", "for (int i = 0; i < 4; i++) s[i] += 1;")],
        [launch(0, 1), hostStep("double"), launch(0, 1), launch(0, 1)],
      ),
      { host: (name) => (name === "double" ? (_, [x]) => [bytes(floats(x!.bytes).map((v) => v * 2))] : undefined) },
    );
    const s = device.alloc(16);
    device.write(s, 0, bytes(new Float32Array([1, 2, 3, 4])));
    const data = bytes(new Float32Array([5, 0, 0, 0]));
    const first = device.submit(loaded, { buffers: [s], dims: [] });
    const one = device.read(s, 0, 16);
    device.write(s, 0, data);
    data.fill(0);
    const second = device.submit(loaded, { buffers: [s], dims: [] });
    const two = device.read(s, 0, 4);
    device.free(s);
    expect([...floats(await one)]).toEqual([6, 8, 10, 12]);
    expect(floats(await two)[0]).toBe(14);
    await first;
    await second;
    expect(() => device.readSync(s, 0, 4)).toThrow(/after it was freed/);
    await expect(device.submit(loaded, { buffers: [s], dims: [] })).rejects.toThrow(DeviceError);
    device.write(state, 0, new Uint8Array(16));
    device.submitSync(loaded, call);
    expect(floats(device.readSync(state, 0, 4))[0]).toBe(4);
    loaded.unload();
    expect(() => device.loadSync(onState("h", [], [hostStep("none")]))).toThrow(UnsupportedError);
    const bad = await device.load(onState("bad", [], [hostStep("none")]), { host: () => () => [] });
    await expect(device.submit(bad, call)).rejects.toThrow(/gave no bytes/);
    bad.unload();
  });

  test("an abort rejects at once, and later work is not disturbed", async () => {
    const stop = new AbortController();
    const loaded = await device.load(
      onState("two", [kernel("two", "s[0] += 1;")], [launch(0, 1), hostStep("same"), hostStep("stop"), launch(0, 1)]),
      {
        host:
          (name) =>
          (_, [x]) => {
            if (name === "stop") stop.abort(new Error("enough"));
            return [x!.bytes];
          },
      },
    );
    device.write(state, 0, new Uint8Array(16));
    const running = device.submit(loaded, call, stop.signal);
    const other = new AbortController();
    const waiting = device.submit(loaded, call, other.signal);
    other.abort(new Error("not begun"));
    await expect(waiting).rejects.toThrow("not begun");
    await expect(running).rejects.toThrow("enough");
    await device.sync();
    expect(floats(await device.read(state, 0, 4))[0]).toBeLessThan(3);
    await expect(device.submit(loaded, call, stop.signal)).rejects.toThrow("enough");
    loaded.unload();
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
    await expect(device.load(onState("broken", [kernel("broken", "this is not C;")], []))).rejects.toThrow(CompileError);
    expect(() => device.loadSync(onState("broken", [kernel("broken", "this is not C;")], []))).toThrow(/refused generated code/);
    device.free(small);
    loaded.unload();
  });

  test("compiled kernels come from the disk cache", async () => {
    const program = onState("cached", [kernel("cached", "s[0] = 7;")], [launch(0, 1)]);
    const { builds } = device.counters;
    (await device.load(program)).unload();
    expect(device.counters.builds).toBe(builds + 1);
    await device.sync();
    const loaded = device.loadSync(program);
    expect(device.counters.builds).toBe(builds + 1);
    device.submitSync(loaded, call);
    expect(floats(device.readSync(state, 0, 4))[0]).toBe(7);
    loaded.unload();
  });

  test("a write outside a buffer is found", async () => {
    const loaded = await device.load(onState("outside", [kernel("outside", "s[5] = 1;")], [launch(0, 1)]));
    const s = device.alloc(16);
    await device.submit(loaded, { buffers: [s], dims: [] });
    await expect(device.sync()).rejects.toThrow(InternalError);
    device.free(s);
    await expect(device.sync()).rejects.toThrow(/at byte 20 of a buffer of 16 bytes/);
    loaded.unload();
  });

  test("too much memory is refused with a report, and the device goes on", async () => {
    expect(() => device.alloc(1 << 30)).toThrow(OutOfMemoryError);
    expect(() => device.alloc(1 << 30)).toThrow(/no memory for a buffer of 1.0 GiB.*the limit is 256 MiB, the system reports .* free/);
    const a = device.alloc(100 << 20);
    device.free(a);
    const b = device.alloc(200 << 20);
    device.free(b);
    await device.sync();
  });
});

test.skipIf(!fake)("a lost GPU is an error, not a hang", async () => {
  const device = await openCuda();
  const loaded = await device.load(
    onState("bad", [{ ...kernel("fails_on_purpose", "s[0] = 1;"), entry: "fails_on_purpose" }], [launch(0, 1)]),
  );
  const s = device.alloc(16);
  await expect(device.submit(loaded, { buffers: [s], dims: [] })).rejects.toThrow(/an illegal memory access/);
  await expect(device.read(s, 0, 4)).rejects.toThrow(DeviceError);
  expect(() => device.readSync(s, 0, 4)).toThrow(DeviceError);
});
