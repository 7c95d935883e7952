import { execFileSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { hasCompiler } from "../../../test/support/kernels-in-c.js";
import { tripled } from "../../../test/support/programs.js";
import {
  ArgumentError,
  CompileError,
  DeviceError,
  InternalError,
  NoProgramError,
  OutOfMemoryError,
  ShapeError,
  UnsupportedError,
} from "../../core/errors.js";
import type { Allocation, Call, Device } from "../../runtime/device.js";
import { memoryLimit } from "../../runtime/memory.js";
import { encodePie } from "../../runtime/pie-write.js";
import type { KernelCode, Program, Step } from "../../runtime/program.js";
import { Session } from "../../runtime/session.js";
import { toBinary } from "./build.js";
import { openC } from "./device.js";
import { cKey } from "./key.js";

const key = { ...cKey(), features: [] };
const bytes = (a: Float32Array): Uint8Array => new Uint8Array(a.buffer, a.byteOffset, a.byteLength);
const floats = (b: Uint8Array): Float32Array => new Float32Array(b.buffer, b.byteOffset, b.byteLength / 4);
const kernel = (entry: string, body: string, writes: readonly boolean[] = [true]): KernelCode => ({
  entry,
  source: `#include <time.h>\nvoid ${entry}(void* const* args, const long long* dims, long long begin, long long end, char* scratch) {${body}}`,
  threads: 1,
  sharedBytes: 0,
  writes,
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
/** Sleeps `ms` for every grid point. */
const sleepy = (ms: number): KernelCode =>
  kernel(
    "sleepy",
    `for (long long p = begin; p < end; p++) { struct timespec t = {0, ${ms * 1_000_000}}; nanosleep(&t, 0); __atomic_fetch_add((int*)args[0], 1, 5); }`,
  );

describe.skipIf(!hasCompiler())("the c device", () => {
  let device: Device;
  let state: Allocation;
  let call: Call;
  beforeAll(async () => {
    device = await openC(key, { guard: true, threads: 2 });
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

  test("runs a program of any size, in order, blocking or not", async () => {
    const loaded = await device.load(tripled(key));
    const calls = device.alloc(4);
    device.write(calls, 0, bytes(new Float32Array([0])));
    let expected = 0;
    for (const size of [0, 1, 7, 4096, 4097, 100_003, 1_000_000]) {
      const x = Float32Array.from({ length: size }, (_, i) => i % 1000);
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
    expect(device.counters.allocations).toBe(before.allocations);
    expect(device.counters.bytes).toBe(before.bytes);
    expect(device.counters.launches).toBe(before.launches + 3000);
    loaded.unload();
    device.free(x);
    device.free(calls);
  });

  test("timers tick while a program runs, and an abort ends it between kernels and inside one", async () => {
    const steps = Array.from({ length: 40 }, () => launch(0, 2));
    const long = await device.load(onState("long", [sleepy(10)], steps));
    const one = await device.load(onState("one", [sleepy(10)], [launch(0, 400)]));
    for (const [loaded, most] of [
      [long, 80],
      [one, 400],
    ] as const) {
      device.write(state, 0, new Uint8Array(16));
      const stop = new AbortController();
      let ticks = 0;
      const timer = setInterval(() => ++ticks === 5 && stop.abort(new Error("enough")), 5);
      await expect(device.submit(loaded, call, stop.signal)).rejects.toThrow("enough");
      clearInterval(timer);
      expect(ticks).toBeGreaterThanOrEqual(5);
      const ran = new Int32Array((await device.read(state, 0, 16)).buffer)[0]!;
      expect(ran).toBeLessThan(most);
    }
    // Later work is not disturbed, and what waits in the queue can be taken out.
    const stop = new AbortController();
    const running = device.submit(long, call);
    const waiting = device.submit(long, call, stop.signal);
    stop.abort(new Error("not begun"));
    await expect(waiting).rejects.toThrow("not begun");
    await running;
    long.unload();
    one.unload();
  });

  test("nothing that a program uses is freed, moved or overwritten while it runs", async () => {
    const loaded = await device.load(
      onState("slow", [kernel("slow", "struct timespec t = {0, 30000000}; nanosleep(&t, 0); ((float*)args[0])[0] += 1;")], [launch(0, 1)]),
    );
    const s = device.alloc(16);
    device.write(s, 0, new Uint8Array(16));
    const held = device.counters.bytes;
    const data = new Uint8Array(new Float32Array([5]).buffer);
    const first = device.submit(loaded, { buffers: [s], dims: [] });
    const one = device.read(s, 0, 4);
    device.write(s, 0, data);
    data.fill(0);
    const second = device.submit(loaded, { buffers: [s], dims: [] });
    const two = device.read(s, 0, 4);
    device.free(s);
    loaded.unload();
    expect(device.counters.bytes).toBeGreaterThanOrEqual(held);
    expect(floats(await one)[0]).toBe(1);
    expect(floats(await two)[0]).toBe(6);
    await first;
    await second;
    expect(device.counters.bytes).toBeLessThan(held);
    expect(() => device.readSync(s, 0, 4)).toThrow(/after it was freed/);
    await expect(device.submit(loaded, { buffers: [s], dims: [] })).rejects.toThrow(DeviceError);
  });

  test("host steps run between native segments", async () => {
    const type = { dtype: "f32", shape: [4] } as const;
    const p: Program = {
      ...onState(
        "mixed",
        [kernel("inc", "for (int i = 0; i < 4; i++) ((float*)args[0])[i] += 1;")],
        [
          launch(0, 1),
          { kind: "host", call: "double", payload: "p", inputs: [0], outputs: [0], inputTypes: [type], outputTypes: [type] },
          launch(0, 1),
        ],
      ),
    };
    expect(() => device.loadSync(p)).toThrow(UnsupportedError);
    const loaded = await device.load(p, {
      host: (name) => (name === "double" ? (_, [x]) => [bytes(floats(x!.bytes).map((v) => v * 2))] : undefined),
    });
    device.write(state, 0, bytes(new Float32Array([1, 2, 3, 4])));
    await device.submit(loaded, call);
    device.submitSync(loaded, call);
    expect([...floats(device.readSync(state, 0, 16))]).toEqual([13, 17, 21, 25]);
    const bad = await device.load(p, { host: () => () => [] });
    await expect(device.submit(bad, call)).rejects.toThrow(/gave no bytes/);
    bad.unload();
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
    await expect(openC(key, { threads: 0 })).rejects.toThrow(ArgumentError);
    device.free(small);
    loaded.unload();
  });

  test("a write outside a buffer is found", async () => {
    const loaded = await device.load(onState("outside", [kernel("outside", "((float*)args[0])[5] = 1;")], [launch(0, 1)]));
    const s = device.alloc(16);
    await device.submit(loaded, { buffers: [s], dims: [] });
    await expect(device.sync()).rejects.toThrow(InternalError);
    device.free(s);
    await expect(device.sync()).rejects.toThrow(/at byte 20 of a buffer of 16 bytes/);
    loaded.unload();
  });

  test("too much memory is refused with a report, and what was freed is used first", async () => {
    const limited = await openC(key, { threads: 1 });
    expect(() => limited.alloc(2 ** 50)).toThrow(OutOfMemoryError);
    expect(() => limited.alloc(2 ** 50)).toThrow(/has no memory for a buffer of 1.0 PiB.*limit is/);
    expect(() => limited.alloc(-1)).toThrow(ArgumentError);
    await limited.close();
    expect(memoryLimit("2GiB")).toBe(2 ** 31);
    expect(memoryLimit("1.5 kB")).toBe(1500);
    expect(memoryLimit("77")).toBe(77);
    expect(() => memoryLimit("much")).toThrow(ArgumentError);
  });

  test("many threads share many small launches", async () => {
    const wide = await openC(key, { threads: 7 });
    const inc = kernel("inc", "for (long long p = begin; p < end; p++) __atomic_fetch_add((int*)args[0], 1, 5);");
    const loaded = await wide.load(
      onState(
        "many",
        [inc],
        Array.from({ length: 200 }, (_, i) => launch(0, i)),
      ),
    );
    const s = wide.alloc(16);
    wide.write(s, 0, new Uint8Array(16));
    for (let i = 0; i < 20; i++) {
      await wide.submit(loaded, { buffers: [s], dims: [] });
      wide.submitSync(loaded, { buffers: [s], dims: [] });
    }
    expect(new Int32Array(wide.readSync(s, 0, 4).buffer)[0]).toBe(40 * 199 * 100);
    await wide.close();
  });
});

test("without a compiler the reason and the remedy are told", () => {
  const at = (file: string): string => JSON.stringify(`${import.meta.dirname}/${file}`);
  const child = `import { openC } from ${at("device.ts")}; import { findCompiler } from ${at("cc.ts")}; import { tripled } from ${at("../../../test/support/programs.ts")};
    const told = (e) => console.log(e.constructor.name, e.message);
    console.log(findCompiler());
    const device = await openC();
    try { device.alloc(4); } catch (e) { told(e); }
    await device.load(tripled(device.key)).catch(told);
    await device.close();`;
  const out = execFileSync(process.execPath, ["--import", "tsx", "--input-type=module", "-e", child], {
    env: { ...process.env, CC: "false" },
    encoding: "utf8",
  });
  expect(out).toMatch(/CC=false.*unset it\nDeviceError .*it needs a program of machine code/);
  expect(out).toMatch(
    /UnsupportedError .* is not machine code, and the c device needs a C compiler for it.*--binary, or use the js device\n$/,
  );
});

test.skipIf(!hasCompiler())("compiled kernels travel in a file and run where they are trusted", async () => {
  const device = await openC(undefined, { threads: 1 });
  const text = tripled(key);
  const program = await toBinary(text);
  expect(program.kernels.every((k) => k.source instanceof Uint8Array)).toBe(true);
  expect(program.key.features).toEqual([`os-${process.platform}`]);
  const ports = (list: Program["inputs"]) => list.map(({ name, type }) => ({ name, type }));
  const method = {
    name: "f",
    dims: text.dims,
    inputs: ports(text.inputs),
    outputs: ports(text.outputs),
    state: ["calls"],
    graph: "",
    programs: [program],
  };
  const file = new Uint8Array(Buffer.concat(encodePie({ state: new Map([["calls", { dtype: "f32", shape: [1] }]]), methods: [method] })));
  await expect(Session.open(file, { device })).rejects.toThrow(NoProgramError);
  const session = await Session.open(file, { device, trust: true });
  expect((await session.run("f", { x: [1, 2, 3] }))["y"]!.data).toEqual(new Float32Array([6, 12, 18]));
  expect((await session.readState("calls")).item()).toBe(1);
  await session.dispose();
  await device.close();
  expect(device.counters.bytes).toBe(0);
});
