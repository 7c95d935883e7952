import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { tripled } from "../../../test/support/programs.js";
import {
  ArgumentError,
  CompileError,
  DeviceError,
  InternalError,
  OutOfMemoryError,
  ShapeError,
  UnsupportedError,
} from "../../core/errors.js";
import { add, mul, variable } from "../../core/expr.js";
import { apply, at, axis, type Buffer, below, constant, type Kernel, load, loops, type Stmt, store } from "../../kernel/kernel.js";
import type { Allocation, Call, Device } from "../../runtime/device.js";
import type { KernelCode, Program, Step } from "../../runtime/program.js";
import { access, branch, i32, op, repeat } from "./asm/code.js";
import { type Func, Module } from "./asm/module.js";
import { render } from "./codegen.js";
import { openWasm } from "./device.js";
import { wasmKey } from "./key.js";
import { type Thread, threadMaker } from "./workers.js";

const key = wasmKey(false);
const floats = (b: Uint8Array): Float32Array => new Float32Array(b.buffer, b.byteOffset, b.byteLength / 4);
const bytes = (a: Float32Array): Uint8Array => new Uint8Array(a.buffer, a.byteOffset, a.byteLength);
const buffer = (name: string, writes: boolean, size: Buffer["size"]): Buffer => ({ name, dtype: "f32", space: "global", size, writes });

/** y = (x + x) * 3 and a count, as the program of other devices' tests, with kernels of this one. */
function program(): Program {
  const n = variable("n", 0, 1 << 24);
  const block = axis("i", 4096, "loop");
  const pid = variable("pid", 0, (1 << 12) - 1);
  const i = add(mul(pid, 4096), at(block));
  const [x, t, k, y, c] = [buffer("x", false, n), buffer("t", true, n), buffer("k", false, 1), buffer("y", true, n), buffer("c", true, 1)];
  const map = (name: string, buffers: readonly Buffer[], body: Stmt): Kernel => ({
    name,
    buffers,
    dims: [n],
    grid: 1 << 12,
    threads: 1,
    body: loops([block], [{ kind: "if", test: below(i, n), body: [body] }]),
  });
  const kernels = [
    map("twice", [x, t], store(t, i, apply("add", "f32", load(x, i), load(x, i)))),
    map("scale", [t, k, y], store(y, i, apply("mul", "f32", load(t, i), load(k, 0)))),
    {
      name: "count",
      buffers: [c],
      dims: [],
      grid: 1,
      threads: 1,
      body: [store(c, 0, apply("add", "f32", load(c, 0), constant(1, "f32")))],
    },
  ];
  return { ...tripled(key), kernels: kernels.map((kernel) => render(kernel, { relaxed: false })) };
}
/** A kernel of instructions. */
function written(entry: string, body: (f: Func) => void): KernelCode {
  const module = new Module();
  module.add("k", { takes: ["i32", "i32", "i32", "i32"], gives: undefined }, (f) => {
    body(f);
    return undefined;
  });
  return { entry, source: module.encode(), threads: 1, sharedBytes: 0, writes: [true] };
}
const first = (f: Func): ReturnType<typeof i32> => access("i32.load", 0, f.read(0));
/** Adds the number of points to the first word. */
const counting = written("counting", (f) => {
  const old = access("i32.atomic.rmw.add", 0, first(f), op("i32.sub", f.read(2), f.read(1)));
  f.push({ type: undefined, bytes: [old.bytes, 0x1a] });
});
/** The same, and some time passes with every point. */
const slow = written("slow", (f) => {
  const [point, i] = [f.local("i32"), f.local("i32")];
  f.write(point, f.read(1));
  const wait = [...f.aside(() => f.write(i, op("i32.add", f.read(i), i32(1))))];
  const body = f.aside(() => {
    f.write(i, i32(0));
    f.push(
      repeat(
        [...wait, { type: undefined, bytes: [access("i32.atomic.load", 0, first(f)).bytes, 0x1a] }],
        op("i32.lt_u", f.read(i), i32(1_000_000)),
      ),
    );
    f.push({ type: undefined, bytes: [access("i32.atomic.rmw.add", 0, first(f), i32(1)).bytes, 0x1a] });
    f.write(point, op("i32.add", f.read(point), i32(1)));
  });
  f.push(branch(i32(1), [repeat(body, op("i32.lt_u", f.read(point), f.read(2)))]));
});
const trapping = written("trapping", (f) => f.push(op("unreachable")));
/** A program on one state buffer of four floats. */
const onState = (name: string, kernels: readonly KernelCode[], steps: readonly Step[]): Program => ({
  ...tripled(key),
  name,
  dims: [],
  inputs: [],
  outputs: [],
  state: [{ name: "s", type: { dtype: "f32", shape: [4] }, buffer: 0 }],
  buffers: [{ role: "state", dtype: "f32", size: 4 }],
  arena: 0,
  kernels,
  steps,
});
const launch = (k: number, grid: number): Step => ({ kind: "launch", kernel: k, buffers: [0], dims: [], grid });

describe.each([1, 3])("the wasm device with threads: %i", (threads) => {
  let device: Device;
  let state: Allocation;
  let call: Call;
  const word = async (): Promise<number> => new Int32Array((await device.read(state, 0, 4)).buffer)[0]!;
  const clear = (): void => device.write(state, 0, new Uint8Array(16));
  beforeAll(async () => {
    device = await openWasm(key, { guard: true, threads });
    state = device.alloc(16);
    clear();
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
    const loaded = await device.load(program());
    const calls = device.alloc(4);
    device.write(calls, 0, bytes(new Float32Array([0])));
    let expected = 0;
    for (const size of [0, 1, 7, 4096, 4097, 100_003, 1_000_000]) {
      const x = Float32Array.from({ length: size }, (_, i) => i % 1000);
      const [a, b] = [device.alloc(size * 4), device.alloc(size * 4)];
      device.write(a, 0, bytes(x));
      const c = { buffers: [a, b, undefined, undefined, calls], dims: [size] };
      const later = device.submit(loaded, c);
      device.submitSync(loaded, c);
      const y = floats(device.readSync(b, 0, size * 4));
      await later;
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
    const loaded = device.loadSync(program());
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

  test("every point of many launches runs once, by whichever thread", async () => {
    const loaded = await device.load(
      onState(
        "many",
        [counting],
        Array.from(
          { length: 200 },
          (_, i): Step => ({ ...(launch(0, i) as Extract<Step, { kind: "launch" }>), ...(i % 3 === 2 && { beside: true }) }),
        ),
      ),
    );
    clear();
    for (let i = 0; i < 20; i++) {
      await device.submit(loaded, call);
      device.submitSync(loaded, call);
    }
    expect(await word()).toBe(40 * 199 * 100);
    loaded.unload();
  });

  test("kernels are sent to threads that already run, and are dropped", async () => {
    for (let i = 0; i < 300; i++) {
      const own = written(`own${i}`, (f) => {
        const old = access("i32.atomic.rmw.add", 0, first(f), op("i32.mul", i32(i), op("i32.sub", f.read(2), f.read(1))));
        f.push({ type: undefined, bytes: [old.bytes, 0x1a] });
      });
      const loaded =
        i % 2 ? device.loadSync(onState("own", [own], [launch(0, 64)])) : await device.load(onState("own", [own], [launch(0, 64)]));
      if (i >= 150) {
        loaded.unload(); // before any thread has heard of it
        continue;
      }
      clear();
      if (i % 3) device.submitSync(loaded, call);
      else await device.submit(loaded, call);
      expect(await word()).toBe(64 * i);
      loaded.unload();
    }
    const last = await device.load(onState("last", [counting], [launch(0, 64)]));
    clear();
    await device.submit(last, call);
    expect(await word()).toBe(64);
    last.unload();
  });

  test("timers tick while a program runs, and an abort ends it between kernels and inside one", async () => {
    const long = await device.load(
      onState(
        "long",
        [slow],
        Array.from({ length: 100 }, () => launch(0, 4)),
      ),
    );
    const one = await device.load(onState("one", [slow], [launch(0, 400)]));
    for (const loaded of [long, one]) {
      clear();
      const stop = new AbortController();
      let ticks = 0;
      const timer = setInterval(() => ++ticks === 4 && stop.abort(new Error("enough")), 5);
      await expect(device.submit(loaded, call, stop.signal)).rejects.toThrow("enough");
      clearInterval(timer);
      expect(ticks).toBeGreaterThanOrEqual(4);
      expect(await word()).toBeLessThan(400);
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

  test("host steps run between native segments", async () => {
    const type = { dtype: "f32", shape: [4] } as const;
    const mixed = onState(
      "mixed",
      [counting],
      [
        launch(0, 3),
        { kind: "host", call: "twice", payload: "", inputs: [0], outputs: [0], inputTypes: [type], outputTypes: [type] },
        launch(0, 1),
      ],
    );
    expect(() => device.loadSync(mixed)).toThrow(UnsupportedError);
    const loaded = await device.load(mixed, {
      host:
        () =>
        (_, [x]) => [new Uint8Array(new Int32Array([2 * new Int32Array(x!.bytes.buffer)[0]!, 0, 0, 0]).buffer)],
    });
    clear();
    await device.submit(loaded, call);
    device.submitSync(loaded, call);
    expect(await word()).toBe(21);
    const bad = await device.load(mixed, { host: () => () => [] });
    await expect(device.submit(bad, call)).rejects.toThrow(/gave no bytes/);
    bad.unload();
    loaded.unload();
  });

  test("a kernel that traps is a typed error, and the next program runs", async () => {
    const bad = await device.load(onState("bad", [trapping], [launch(0, 100)]));
    const good = await device.load(onState("good", [counting], [launch(0, 100)]));
    await expect(device.submit(bad, call)).rejects.toThrow(DeviceError);
    expect(() => device.submitSync(bad, call)).toThrow(/bad could not run/);
    clear();
    await device.submit(good, call);
    device.submitSync(good, call);
    expect(await word()).toBe(200);
    bad.unload();
    good.unload();
  });

  test("wrong calls and wrong code are typed errors", async () => {
    const loaded = await device.load(program());
    const small = device.alloc(8);
    await expect(device.submit(loaded, { buffers: [small, small, undefined, undefined, small], dims: [100] })).rejects.toThrow(DeviceError);
    await expect(device.submit(loaded, { buffers: [], dims: [-1] })).rejects.toThrow(ShapeError);
    expect(() => device.write(small, 4, new Uint8Array(8))).toThrow(DeviceError);
    const broken = onState("broken", [{ ...counting, source: counting.source.slice(0, -3) as Uint8Array }], []);
    await expect(device.load(broken)).rejects.toThrow(CompileError);
    expect(() => device.loadSync(broken)).toThrow(CompileError);
    expect(() => device.loadSync(onState("text", [{ ...counting, source: "(module)" }], []))).toThrow(/is text/);
    device.free(small);
    loaded.unload();
  });

  test("a write outside a buffer is found", async () => {
    const outside = written("outside", (f) => f.push(access("i32.store", 20, first(f), i32(1))));
    const loaded = await device.load(onState("outside", [outside], [launch(0, 1)]));
    const s = device.alloc(16);
    await device.submit(loaded, { buffers: [s], dims: [] });
    await expect(device.sync()).rejects.toThrow(InternalError);
    device.free(s);
    await expect(device.sync()).rejects.toThrow(/at byte 20 of a buffer of 16 bytes/);
    loaded.unload();
  });

  test("more than 4 GiB is refused, and says why", () => {
    expect(() => device.alloc(2 ** 50)).toThrow(OutOfMemoryError);
    expect(() => device.alloc(2 ** 32)).toThrow(/WebAssembly reaches 4 GiB|the limit is/);
  });
});

test("a worker that dies is a typed error, and the next program runs", async () => {
  const threads: Thread[] = [];
  const make = await threadMaker();
  const device = await openWasm(key, { threads: 2 }, () => {
    const t = make();
    threads.push(t);
    return t;
  });
  const loaded = await device.load(onState("long", [slow], [launch(0, 4000)]));
  const s = device.alloc(16);
  device.write(s, 0, new Uint8Array(16));
  const running = device.submit(loaded, { buffers: [s], dims: [] });
  setTimeout(() => threads[0]!.end(), 50);
  await expect(running).rejects.toThrow(/a worker thread of the wasm device died/);
  const next = await device.load(onState("next", [counting], [launch(0, 100)]));
  device.write(s, 0, new Uint8Array(16));
  await device.submit(next, { buffers: [s], dims: [] });
  expect(new Int32Array((await device.read(s, 0, 4)).buffer)[0]).toBe(100);
  await device.close();
});

test("1,000 devices open, run and close with the same threads and flat memory", async () => {
  const p = onState("next", [counting], [launch(0, 100)]);
  let before = 0;
  for (let i = 0; i < 1000; i++) {
    if (i === 200) before = process.memoryUsage().rss;
    const device = await openWasm(key, { threads: 2 });
    const loaded = await device.load(p);
    const s = device.alloc(16);
    device.write(s, 0, new Uint8Array(16));
    await device.submit(loaded, { buffers: [s], dims: [] });
    expect(new Int32Array((await device.read(s, 0, 4)).buffer)[0]).toBe(100);
    device.free(s);
    loaded.unload();
    await device.close();
    expect(device.counters.bytes).toBe(0);
  }
  const grown = process.memoryUsage().rss - before;
  expect(grown, `resident memory grew by ${grown} bytes`).toBeLessThan(200e6);
  await expect(openWasm(key, { threads: 0 })).rejects.toThrow(ArgumentError);
});
