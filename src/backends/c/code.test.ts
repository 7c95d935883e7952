import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { floatsOf, onState } from "../../../test/support/device-contract.js";
import { hasCompiler } from "../../../test/support/kernels-in-c.js";
import { CompileError } from "../../core/errors.js";
import { min, sub, variable } from "../../core/expr.js";
import type { Allocation, Device } from "../../runtime/device.js";
import type { KernelCode, Program, Step } from "../../runtime/program.js";
import { splitUnits } from "../../runtime/units.js";
import { openC } from "./device.js";
import { cKey } from "./key.js";

const key = { ...cKey(), features: [] };
const n = variable("n", 1, 100);
const large = min(1, sub(n, 1));
/** Texts that no cache has. */
let serial = 0;
const kernel = (entry: string, body: string): KernelCode => ({
  entry,
  source: `/* ${process.pid}-${Date.now()}-${serial++} */ void ${entry}(void* const* args, const long long* dims, long long begin, long long end, char* scratch) {${body}}`,
  threads: 1,
  sharedBytes: 0,
  writes: [true],
});
const launch = (k: number, grid: Extract<Step, { kind: "launch" }>["grid"]): Step => ({
  kind: "launch",
  kernel: k,
  buffers: [0],
  dims: [],
  grid,
});
/** Adds 1 for every size, and 10 for sizes beyond 1. */
const twoKernels = (second = "((float*)args[0])[0] += 10;"): Program => ({
  ...onState(key, "two", [kernel("always", "((float*)args[0])[0] += 1;"), kernel("large", second)], [launch(0, 1), launch(1, large)]),
  dims: [{ name: "n", min: 1, max: 100 }],
});

test("kernels that run for the same sizes are in texts of their own", () => {
  const kernels = ["a", "b", "c", "d", "e"].map((x) => kernel(x, ""));
  const grids = [n, large, sub(1, large), large, 1];
  const program = { ...twoKernels(), kernels, steps: grids.map((g, i) => launch(i, g)) };
  const sizes = { cores: 2, unitText: 1 << 16, leastText: 1 << 16 };
  expect(splitUnits(program, sizes, true).map((u) => u.entries)).toEqual([["a", "e"], ["b", "d"], ["c"]]);
  expect(splitUnits(program, sizes).map((u) => u.entries)).toEqual([["a", "b", "c", "d", "e"]]);
});

describe.skipIf(!hasCompiler())("a program whose sizes change", () => {
  let device: Device;
  let state: Allocation;
  const value = async (): Promise<number> => floatsOf(await device.read(state, 0, 16))[0]!;
  beforeAll(async () => {
    device = await openC(key, { threads: 2 });
    state = device.alloc(16);
  });
  afterAll(async () => {
    device.free(state);
    await device.close();
  });
  const builds = async (work: () => unknown): Promise<number> => {
    const before = device.counters.builds;
    await work();
    return device.counters.builds - before;
  };

  test("is built whole where nobody says what its first call is", async () => {
    expect(await builds(() => device.load(twoKernels()))).toBe(2);
    expect(await builds(() => device.loadSync(twoKernels()))).toBe(2);
  });

  test("is built for its first call, and then for the others", async () => {
    const program = twoKernels();
    const before = device.counters.builds;
    const loaded = await device.load(program, { dims: [1] });
    expect(device.counters.builds - before).toBe(1);
    device.write(state, 0, new Uint8Array(16));
    await device.submit(loaded, { buffers: [state], dims: [1] });
    expect(await value()).toBe(1);
    // Calls of other sizes wait for their kernels, and those behind them for them.
    const calls = [2, 1, 100].map((size) => device.submit(loaded, { buffers: [state], dims: [size] }));
    await Promise.all(calls);
    expect(await value()).toBe(24);
    loaded.unload();
  });

  test("is built whole some time after its first call", async () => {
    const before = device.counters.builds;
    const loaded = await device.load(twoKernels(), { dims: [1] });
    await device.submit(loaded, { buffers: [state], dims: [1] });
    expect(device.counters.builds - before).toBe(1);
    await vi.waitFor(() => expect(device.counters.builds - before).toBe(2), { timeout: 60_000, interval: 50 });
    expect(await builds(() => device.submit(loaded, { buffers: [state], dims: [2] }))).toBe(0);
    loaded.unload();
  });

  test("builds what is missing where a call blocks", async () => {
    const loaded = await device.load(twoKernels(), { dims: [1] });
    device.write(state, 0, new Uint8Array(16));
    const waiting = device.submit(loaded, { buffers: [state], dims: [7] });
    device.submitSync(loaded, { buffers: [state], dims: [1] });
    expect(floatsOf(device.readSync(state, 0, 16))[0]).toBe(12);
    await waiting;
    const sync = device.loadSync(twoKernels(), { dims: [1] });
    expect(await builds(() => device.submitSync(sync, { buffers: [state], dims: [2] }))).toBe(1);
    expect(await value()).toBe(23);
    for (const l of [loaded, sync]) l.unload();
  });

  test("tells the call that needs it of a kernel that cannot be built, and no other", async () => {
    const loaded = await device.load(twoKernels("this is not C;"), { dims: [1] });
    device.write(state, 0, new Uint8Array(16));
    const call = (size: number): Promise<void> => device.submit(loaded, { buffers: [state], dims: [size] });
    const [first, second, third] = await Promise.allSettled([call(1), call(2), call(1)]);
    expect([first.status, third.status]).toEqual(["fulfilled", "fulfilled"]);
    expect((second as PromiseRejectedResult).reason).toBeInstanceOf(CompileError);
    expect(() => device.submitSync(loaded, { buffers: [state], dims: [2] })).toThrow(CompileError);
    expect(await value()).toBe(2);
    loaded.unload();
  });

  test("a call that waits for its kernels can be given up", async () => {
    const loaded = await device.load(twoKernels(), { dims: [1] });
    device.write(state, 0, new Uint8Array(16));
    const stop = new AbortController();
    const call = device.submit(loaded, { buffers: [state], dims: [2] }, stop.signal);
    stop.abort(new Error("no longer wanted"));
    await expect(call).rejects.toThrow("no longer wanted");
    await device.submit(loaded, { buffers: [state], dims: [2] });
    expect(await value()).toBe(11);
    loaded.unload();
  });
});
