import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { deviceContract, floatsOf, launch, onState as onStateOf } from "../../../test/support/device-contract.js";
import { hasCompiler } from "../../../test/support/kernels-in-c.js";
import { tripled } from "../../../test/support/programs.js";
import { ArgumentError, DeviceError, NoProgramError } from "../../core/errors.js";
import type { Allocation, Call, Device } from "../../runtime/device.js";
import { ffi } from "../../runtime/ffi.js";
import { memoryLimit } from "../../runtime/memory.js";
import { encodePie } from "../../runtime/pie-write.js";
import type { KernelCode, Program, Step } from "../../runtime/program.js";
import { Session } from "../../runtime/session.js";
import { toBinary } from "./build.js";
import { openC } from "./device.js";
import { cKey } from "./key.js";
import type { NativeBlock } from "./mapping.js";
import { native } from "./native.js";
import { poolSource } from "./pool.js";

const key = { ...cKey(), features: [] };
const kernel = (entry: string, body: string, writes: readonly boolean[] = [true]): KernelCode => ({
  entry,
  source: `#include <time.h>\nvoid ${entry}(void* const* args, const long long* dims, long long begin, long long end, char* scratch) {${body}}`,
  threads: 1,
  sharedBytes: 0,
  writes,
});
const onState = (name: string, kernels: readonly KernelCode[], steps: readonly Step[]): Program => onStateOf(key, name, kernels, steps);
/** Sleeps `ms` for every grid point. */
const sleepy = (ms: number): KernelCode =>
  kernel(
    "sleepy",
    `for (long long p = begin; p < end; p++) { struct timespec t = {0, ${ms * 1_000_000}}; nanosleep(&t, 0); __atomic_fetch_add((int*)args[0], 1, 5); }`,
  );

describe.skipIf(!hasCompiler())("the c device", () => {
  const shared = deviceContract({
    key,
    open: (options) => openC(key, { threads: 2, ...options }),
    increment: kernel("inc", "for (int i = 0; i < 4; i++) ((float*)args[0])[i] += 1;"),
    outside: kernel("outside", "((float*)args[0])[4] = 1;"),
    broken: kernel("broken", "this is not C;"),
  });
  let device: Device;
  let state: Allocation;
  let call: Call;
  beforeAll(() => {
    device = shared.device();
    state = device.alloc(16);
    device.write(state, 0, new Uint8Array(16));
    call = { buffers: [state], dims: [] };
  });
  afterAll(() => device.free(state));

  test.each([
    [1, 50],
    [3, 50],
    // Equal parts of whole huge pages, and a rest of less than a byte for each thread.
    [8, 48],
  ])("large buffers are written and read whole: %d threads, %d MiB and a word", async (threads, mebibytes) => {
    const many = await openC(key, { threads });
    try {
      // Not a whole number of pages, let alone of parts.
      const data = new Uint32Array((mebibytes << 18) + 1).map((_, i) => Math.imul(i, 2654435761));
      const bytes = new Uint8Array(data.buffer);
      const block = many.alloc(bytes.length + 12);
      many.write(block, 0, new Uint8Array(12).fill(7));
      many.write(block, 12, bytes);
      const back = await many.read(block, 0, bytes.length + 12);
      expect(Buffer.compare(back.subarray(12), bytes)).toBe(0);
      expect([...back.subarray(0, 12)]).toEqual(new Array(12).fill(7));
      many.free(block);
    } finally {
      await many.close();
    }
  });

  /** Blocks this thread, so that no event is handled, until the number is there. */
  const stare = (want: number): number => {
    const number = new Int32Array(ffi().view((state as NativeBlock).place, 4));
    const until = performance.now() + 20_000;
    const never = new Int32Array(new SharedArrayBuffer(4));
    while (Atomics.load(number, 0) !== want && performance.now() < until) Atomics.wait(never, 0, 0, 5);
    return number[0]!;
  };
  test("programs run one after another, though the event loop stands still", async () => {
    const loaded = await device.load(onState("again", [sleepy(2)], [launch(0, 8)]));
    device.write(state, 0, new Uint8Array(16));
    await device.submit(loaded, call);
    const before = device.counters.launches;
    const four = Array.from({ length: 4 }, () => device.submit(loaded, call));
    expect(stare(40)).toBe(40);
    await Promise.all(four);
    expect(device.counters.launches - before).toBe(4);
    // Another one goes on from there, and so does a call that blocks.
    const another = device.submit(loaded, call);
    device.submitSync(loaded, call);
    await another;
    expect(stare(56)).toBe(56);
    loaded.unload();
  });
  test("what is read, written or copied between programs has its turn, though the event loop stands still", async () => {
    const loaded = await device.load(onState("writes", [sleepy(2)], [launch(0, 8)]));
    device.write(state, 0, new Uint8Array(16));
    await device.submit(loaded, call);
    const other = device.alloc(16);
    const [first, read] = [device.submit(loaded, call), device.read(state, 0, 4)];
    device.copy(state, other, 16);
    device.write(state, 0, new Uint8Array([100]));
    const second = device.submit(loaded, call);
    expect(stare(108)).toBe(108);
    expect(new Int32Array((await read).buffer)[0]).toBe(16);
    expect(new Int32Array((await device.read(other, 0, 4)).buffer)[0]).toBe(16);
    await Promise.all([first, second]);
    device.write(state, 0, new Uint8Array([24]));
    // A fresh buffer is written, another one read and freed: none of it is in the way.
    const [third, bytes] = [device.submit(loaded, call), device.read(other, 0, 4)];
    device.free(other);
    const fresh = device.alloc(8);
    device.write(fresh, 0, new Uint8Array(8).fill(7));
    const fourth = device.submit(loaded, call);
    expect(stare(40)).toBe(40);
    await Promise.all([third, bytes, fourth]);
    expect([...(await device.read(fresh, 0, 8))]).toEqual(new Array(8).fill(7));
    device.free(fresh);
    loaded.unload();
  });

  test("bytes of any size, and more requests than there are places for, keep their order while a program runs", async () => {
    const loaded = await device.load(onState("busy", [sleepy(5)], [launch(0, 8)]));
    device.write(state, 0, new Uint8Array(16));
    await device.submit(loaded, call);
    const words = (5 << 20) / 4;
    const [from, to] = [device.alloc(4 * words), device.alloc(4 * words)];
    device.copy(from, to, 4 * words);
    const data = new Uint32Array(words).map((_, i) => i);
    const running = device.submit(loaded, call);
    device.write(from, 0, new Uint8Array(data.buffer));
    device.copy(from, to, 4 * words);
    const again = device.submit(loaded, call);
    const back = device.read(to, 0, 4 * words);
    device.write(to, 0, new Uint8Array(4 * words));
    expect(Buffer.compare(await back, new Uint8Array(data.buffer))).toBe(0);
    await Promise.all([running, again]);
    const last = device.submit(loaded, call);
    for (let i = 0; i < 3000; i++) device.write(to, 4 * (i % 7), new Uint8Array([i % 251]));
    const final = Array.from({ length: 7 }, (_, i) => Array.from({ length: 3000 }, (_, k) => k).findLast((k) => k % 7 === i)! % 251);
    expect([...new Uint32Array((await device.read(to, 0, 28)).buffer)]).toEqual(final);
    await last;
    for (const b of [from, to]) device.free(b);
    loaded.unload();
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
    expect(floatsOf(await one)[0]).toBe(1);
    expect(floatsOf(await two)[0]).toBe(6);
    await first;
    await second;
    expect(device.counters.bytes).toBeLessThan(held);
    expect(() => device.readSync(s, 0, 4)).toThrow(/after it was freed/);
    await expect(device.submit(loaded, { buffers: [s], dims: [] })).rejects.toThrow(DeviceError);
  });

  test("what the compiler and the pool refuse is a typed error", async () => {
    const broken = onState("broken", [kernel("broken", "this is not C;")], []);
    expect(() => device.loadSync(broken)).toThrow(/refused generated code/);
    await expect(openC(key, { threads: 0 })).rejects.toThrow(ArgumentError);
  });

  test("a memory limit is a size in words or a number", () => {
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
    /UnsupportedError .* is not machine code, and the c device needs a C compiler for it.*--binary, or use the wasm device\n$/,
  );
});

test.skipIf(!hasCompiler() || process.platform !== "linux")(
  "the native half's code stays in memory when its library is closed",
  async () => {
    // Threads that look for work when a process ends would find nothing there to run.
    const code = (): readonly string[] => readFileSync("/proc/self/maps", "utf8").match(/r-xp .*\.so$/gm)!;
    const half = await native(`${poolSource}/* opened by nobody else */\n`);
    const control = half.alloc(64);
    half.close(half.open(2, control));
    half.free(control);
    const before = code();
    half.held.release();
    expect(code()).toHaveLength(before.length);
  },
);

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
