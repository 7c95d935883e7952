/** Files as memory of the device: read where they lie, never written, mapped for as long as a part is in use. */
import { mkdtempSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { hasCompiler } from "../../../test/support/kernels-in-c.js";
import { DeviceError } from "../../core/errors.js";
import type { Device } from "../../runtime/device.js";
import type { Program } from "../../runtime/program.js";
import { openC } from "./device.js";
import { cKey } from "./key.js";

/** out[i] = 2 * in[i], for 1000 floats. */
const doubled: Program = {
  version: 1,
  name: "doubled",
  key: { ...cKey(), features: [] },
  dims: [],
  inputs: [{ name: "x", type: { dtype: "f32", shape: [1000] }, buffer: 0 }],
  outputs: [{ name: "y", type: { dtype: "f32", shape: [1000] }, buffer: 1 }],
  state: [],
  buffers: [
    { role: "input", dtype: "f32", size: 1000 },
    { role: "output", dtype: "f32", size: 1000 },
  ],
  arena: 0,
  prelude: "",
  kernels: [
    {
      entry: "doubled",
      source:
        "void doubled(void* const* args, const long long* dims, long long begin, long long end, char* scratch) " +
        "{ const float* x = args[0]; float* y = args[1]; for (int i = 0; i < 1000; i++) y[i] = 2 * x[i]; }",
      threads: 1,
      sharedBytes: 0,
      writes: [false, true],
    },
  ],
  steps: [{ kind: "launch", kernel: 0, buffers: [0, 1], dims: [], grid: 1 }],
};

describe.skipIf(!hasCompiler())("a mapped file", () => {
  let device: Device;
  beforeAll(async () => {
    device = await openC();
  });
  afterAll(() => device.close());
  const values = Float32Array.from({ length: 3000 }, (_, i) => i);
  const path = join(mkdtempSync(join(tmpdir(), "treepie-map-")), "values");
  writeFileSync(path, new Uint8Array(values.buffer));
  const fd = openSync(path, "r");

  test("is read by programs where it lies, at any whole element", async () => {
    const file = device.map!(fd, 12000)!;
    const loaded = await device.load(doubled);
    const out = device.alloc(4000);
    await device.submit(loaded, { buffers: [out, out], dims: [] });
    const held = device.counters.bytes;
    for (const first of [0, 1, 1999]) {
      const part = file.part(4 * first, 4000, 4)!;
      await device.submit(loaded, { buffers: [part, out], dims: [] });
      expect(new Float32Array((await device.read(out, 0, 4000)).buffer)).toEqual(values.slice(first, first + 1000).map((x) => 2 * x));
      expect(device.counters).toMatchObject({ mappedBytes: 4000, bytes: held });
      device.free(part);
      expect(device.counters.mappedBytes).toBe(0);
    }
    expect(file.part(2, 400, 4)).toBeUndefined();
    expect(() => file.part(11000, 1004, 4)).toThrow("bytes 11000 to 12004 of a mapped file of 12000 bytes");
    const part = file.part(8, 8, 4)!;
    file.close();
    expect(() => file.part(0, 8, 4)).toThrow(DeviceError);
    expect(new Float32Array((await device.read(part, 0, 8)).buffer)).toEqual(Float32Array.of(2, 3));
    for (const a of [part, out]) device.free(a);
    loaded.unload();
  });
  test("is never written", async () => {
    const file = device.map!(fd, 12000)!;
    const part = file.part(0, 4000, 4)!;
    const own = device.alloc(4000);
    expect(() => device.write(part, 0, new Uint8Array(4))).toThrow(/read only/);
    expect(() => device.copy(own, part, 4)).toThrow(/read only/);
    const loaded = await device.load(doubled);
    await expect(device.submit(loaded, { buffers: [own, part], dims: [] })).rejects.toThrow(/part of a mapped file, which nothing writes/);
    await device.submit(loaded, { buffers: [part, own], dims: [] });
    for (const a of [part, own]) device.free(a);
    loaded.unload();
    file.close();
    expect(readFileSync(path).equals(Buffer.from(values.buffer))).toBe(true);
  });
  test("ends with its device, and is refused where there is none", async () => {
    const other = await openC();
    const part = other.map!(fd, 12000)!.part(0, 4000, 4)!;
    expect(other.map!(9999, 12000)).toBeUndefined();
    await other.close();
    expect(() => other.readSync(part, 0, 4)).toThrow(/closed/);
  });
});
