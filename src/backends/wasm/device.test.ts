import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { deviceContract, launch, onState as onStateOf } from "../../../test/support/device-contract.js";
import { ArgumentError, DeviceError, OutOfMemoryError } from "../../core/errors.js";
import { apply, at, axis, type Buffer, constant, type Kernel, load, loops, store } from "../../kernel/kernel.js";
import type { Allocation, Call, Device } from "../../runtime/device.js";
import type { KernelCode, Program, Step } from "../../runtime/program.js";
import { access, branch, i32, op, repeat } from "./asm/code.js";
import { type Func, Module } from "./asm/module.js";
import { render } from "./codegen.js";
import { openWasm } from "./device.js";
import { wasmKey } from "./key.js";
import { type Thread, threadMaker } from "./workers.js";

const key = wasmKey(false);
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
const onState = (name: string, kernels: readonly KernelCode[], steps: readonly Step[]): Program => onStateOf(key, name, kernels, steps);
const four: Buffer = { name: "s", dtype: "f32", space: "global", size: 4, writes: true };
const each = axis("i", 4, "loop");
const increment: Kernel = {
  name: "increment",
  buffers: [four],
  dims: [],
  grid: 1,
  threads: 1,
  body: loops([each], [store(four, at(each), apply("add", "f32", load(four, at(each)), constant(1, "f32")))]),
};

describe.each([1, 3])("the wasm device with threads: %i", (threads) => {
  const shared = deviceContract({
    key,
    open: (options) => openWasm(key, { threads, ...options }),
    increment: render(increment, { relaxed: false }),
    outside: written("outside", (f) => f.push(access("i32.store", 16, first(f), i32(1)))),
    broken: { ...counting, source: counting.source.slice(0, -3) as Uint8Array },
  });
  let device: Device;
  let state: Allocation;
  let call: Call;
  const word = async (): Promise<number> => new Int32Array((await device.read(state, 0, 4)).buffer)[0]!;
  const clear = (): void => device.write(state, 0, new Uint8Array(16));
  beforeAll(() => {
    device = shared.device();
    state = device.alloc(16);
    call = { buffers: [state], dims: [] };
  });
  afterAll(() => device.free(state));

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

  test("kernels that are text are refused", () => {
    expect(() => device.loadSync(onState("text", [{ ...counting, source: "(module)" }], []))).toThrow(/is text/);
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
