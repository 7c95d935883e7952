/// <reference types="@webgpu/types" />
import { describe, expect, test } from "vitest";
import { deviceContract, floatsOf, hostStep, launch, onState } from "../../../test/support/device-contract.js";
import { withoutWebGpu } from "../../../test/support/webgpu.js";
import { ArgumentError, UnsupportedError } from "../../core/errors.js";
import type { KernelCode } from "../../runtime/program.js";
import { openWebGpu } from "./device.js";
import { webgpuKey as key } from "./key.js";

const missing = await withoutWebGpu();
if (missing) console.error(`the webgpu device skipped: ${missing}`);

const kernel = (entry: string, body: string): KernelCode => ({
  entry,
  source: `@group(0) @binding(0) var<storage, read_write> s: array<f32>;\n@compute @workgroup_size(1) fn ${entry}() { ${body} }`,
  threads: 1,
  sharedBytes: 0,
  writes: [true],
});

describe.skipIf(missing)("the webgpu device", () => {
  const shared = deviceContract({
    key,
    open: openWebGpu,
    increment: kernel("increment", "for (var i = 0; i < 4; i++) { s[i] += 1.0; }"),
    broken: kernel("broken", "this is not WGSL;"),
  });

  test("a kernel stays inside its buffers", async () => {
    const device = shared.device();
    const loaded = await device.load(
      onState(key, "outside", [kernel("outside", "for (var i = 4; i < 99; i++) { s[i] = 7.0; }")], [launch(0, 1)]),
    );
    const [s, next] = [device.alloc(16), device.alloc(16)];
    for (const a of [s, next]) device.write(a, 0, new Uint8Array(16));
    await device.submit(loaded, { buffers: [s], dims: [] });
    expect([...(await device.read(next, 0, 16))]).toEqual([...new Uint8Array(16)]);
    loaded.unload();
    device.free(s);
    device.free(next);
  });

  test("what it cannot do says so", async () => {
    const device = shared.device();
    expect(() => device.readSync(device.alloc(0), 0, 0)).toThrow(/await/);
    await expect(openWebGpu({ index: 1 })).rejects.toThrow(UnsupportedError);
    expect(() => device.alloc(1.5)).toThrow(ArgumentError);
    const two = onState(key, "refused", [kernel("refused", "let x = 1u + 1i;")], [launch(0, 1)]);
    await expect(device.load(two)).rejects.toThrow(/refused generated code of refused.*\n3: .*let x = 1u \+ 1i/s);
  });

  test("what was asked for before a close comes to its end", async () => {
    const device = await openWebGpu();
    const steps = [launch(0, 1), hostStep("same"), launch(0, 1)];
    const increment = kernel("increment", "for (var i = 0; i < 4; i++) { s[i] += 1.0; }");
    const loaded = await device.load(onState(key, "last", [increment], steps), {
      host:
        () =>
        (_, [x]) => [x!.bytes],
    });
    const s = device.alloc(16);
    device.write(s, 0, new Uint8Array(16));
    const ran = device.submit(loaded, { buffers: [s], dims: [] });
    const second = device.submit(loaded, { buffers: [s], dims: [] });
    const read = device.read(s, 0, 16);
    await device.close();
    await Promise.all([ran, second]);
    expect([...floatsOf(await read)]).toEqual([4, 4, 4, 4]);
  });

  test("a GPU that is lost rejects what waits and what comes, and can be opened again", async () => {
    const { globals } = (await import("webgpu")) as unknown as { globals: { GPUAdapter: { prototype: GPUAdapter } } };
    const { prototype } = globals.GPUAdapter;
    const { requestDevice } = prototype;
    let gpu: GPUDevice | undefined;
    prototype.requestDevice = async function (this: GPUAdapter, ...args) {
      gpu = await requestDevice.apply(this, args);
      return gpu;
    };
    const device = await openWebGpu().finally(() => {
      prototype.requestDevice = requestDevice;
    });
    const increment = kernel("increment", "for (var i = 0; i < 4; i++) { s[i] += 1.0; }");
    const loaded = await device.load(onState(key, "lost", [increment], [launch(0, 1)]));
    const s = device.alloc(16);
    gpu!.destroy();
    await expect(device.submit(loaded, { buffers: [s], dims: [] })).rejects.toThrow(/was lost|lost/);
    await expect(device.read(s, 0, 16)).rejects.toThrow(/lost/);
    await expect(device.sync()).rejects.toThrow(/lost/);
    expect(() => device.alloc(16)).toThrow(/lost/);
    await device.close();
    const again = await openWebGpu();
    const a = again.alloc(4);
    again.write(a, 0, new Uint8Array([1, 2, 3, 4]));
    expect([...(await again.read(a, 0, 4))]).toEqual([1, 2, 3, 4]);
    await again.close();
  });

  test("a device that was closed can be opened again", async () => {
    for (let i = 0; i < 20; i++) {
      const device = await openWebGpu();
      const a = device.alloc(1 << 20);
      device.write(a, 0, new Uint8Array([1, 2, 3, 4]));
      expect([...(await device.read(a, 0, 4))]).toEqual([1, 2, 3, 4]);
      await device.close();
      expect(() => device.alloc(4)).toThrow(/closed/);
    }
  });
});
