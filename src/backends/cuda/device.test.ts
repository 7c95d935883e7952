import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { deviceContract, floatsOf, launch, onState as onStateOf } from "../../../test/support/device-contract.js";
import { buildFakeGpu } from "../../../test/support/fake-gpu/build.js";
import { DeviceError, OutOfMemoryError } from "../../core/errors.js";
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
});

const key = cudaKey(90);
const kernel = (entry: string, body: string, threads = 1): KernelCode => ({
  entry,
  source: `extern "C" __global__ void __launch_bounds__(${threads}) ${entry}(float* s) { ${body} }`,
  threads,
  sharedBytes: 0,
  writes: [true],
});
const onState = (name: string, kernels: readonly KernelCode[], steps: readonly Step[]): Program => onStateOf(key, name, kernels, steps);

describe.skipIf(!fake)("the cuda device", () => {
  const shared = deviceContract({
    key,
    open: openCuda,
    increment: kernel("inc", "for (int i = 0; i < 4; i++) s[i] += 1;"),
    outside: kernel("outside", "s[4] = 1;"),
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

  test("what is read on its way to the device arrives whole, several reads at once; a failed one is thrown once all have ended", async () => {
    const n = (17 << 20) + 5;
    const at = (i: number): number => (i * 7) % 253;
    let [running, most] = [0, 0];
    const read = async (from: number, into: Uint8Array): Promise<void> => {
      most = Math.max(most, ++running);
      await new Promise((done) => setTimeout(done, (from >> 21) % 3));
      for (let i = 0; i < into.length; i++) into[i] = at(from + i);
      running--;
    };
    const a = device.alloc(n);
    const small = device.alloc(3);
    await Promise.all([device.fill!(a, n, read), device.fill!(small, 3, read)]);
    device.free(small);
    expect(most).toBeGreaterThan(2);
    expect(
      Buffer.compare(
        device.readSync(a, 0, n),
        Uint8Array.from({ length: n }, (_, i) => at(i)),
      ),
    ).toBe(0);
    const fails = async (from: number, into: Uint8Array): Promise<void> => {
      await read(from, into);
      if (from === 2 << 20) throw new DeviceError("the file ended");
    };
    await expect(device.fill!(a, n, fails)).rejects.toThrow("the file ended");
    expect(running).toBe(0);
    device.free(a);
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

  test("compiled kernels come from the disk cache", async () => {
    const program = onState("cached", [kernel("cached", "s[0] = 7;")], [launch(0, 1)]);
    const { builds } = device.counters;
    (await device.load(program)).unload();
    expect(device.counters.builds).toBe(builds + 1);
    await device.sync();
    const loaded = device.loadSync(program);
    expect(device.counters.builds).toBe(builds + 1);
    device.submitSync(loaded, call);
    expect(floatsOf(device.readSync(state, 0, 4))[0]).toBe(7);
    loaded.unload();
  });

  test("a program that is forgotten once its device was closed costs no call of the driver", async () => {
    const own = await openCuda();
    const [at, kept] = [own.alloc(16), own.alloc(16)];
    const loaded = own.loadSync(onState("forgotten", [kernel("forgotten", "s[0] = 1;")], [launch(0, 1)]));
    for (let i = 0; i < 3; i++) await own.submit(loaded, { buffers: [at], dims: [] });
    await own.close();
    loaded.unload();
    own.free(kept);
    // Whatever they left for later is over after these turns; a stream that is gone ends the process.
    for (let i = 0; i < 5; i++) await new Promise((done) => setTimeout(done, 1));
    expect(() => own.loadSync(loaded.program)).toThrow(/closed/);
  });

  test("buffers that take turns, and more of them than there are graphs", async () => {
    // Three launches on two states: each call has its own pair, in turns that come again and in others that do not.
    const add = (by: number): KernelCode => kernel(`add${by}`, `for (int i = 0; i < 4; i++) s[i] += ${by};`);
    const one = onState("turns", [add(1), add(10), add(100)], [launch(0, 1), launch(1, 1), launch(2, 1)]);
    const step = (k: number, buffer: number): Step => ({ kind: "launch", kernel: k, buffers: [buffer], dims: [], grid: 1 });
    const program: Program = {
      ...one,
      state: [...one.state, { ...one.state[0]!, name: "t", buffer: 1 }],
      buffers: [one.buffers[0]!, one.buffers[0]!],
    };
    const loaded = await device.load({ ...program, steps: [step(0, 0), step(1, 1), step(2, 1)] });
    const all = Array.from({ length: 12 }, () => device.alloc(16));
    const want = new Float64Array(all.length);
    for (const a of all) device.write(a, 0, new Uint8Array(16));
    for (let i = 0; i < 60; i++) {
      const [a, b] = i < 30 ? [i % 3, (i + 1) % 3] : [(i * 5) % 12, (i * 7 + 1) % 12];
      if (a === b) continue;
      want[a]! += 1;
      want[b]! += 110;
      void device.submit(loaded, { buffers: [all[a], all[b]], dims: [] });
    }
    for (const [i, a] of all.entries()) expect([...floatsOf(await device.read(a, 0, 16))]).toEqual(new Array(4).fill(want[i]));
    for (const a of all) device.free(a);
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
