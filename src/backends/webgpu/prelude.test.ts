import { describe, expect, test } from "vitest";
import { withoutWebGpu } from "../../../test/support/webgpu.js";
import { partsFor } from "../../kernel/parts.js";
import type { Program } from "../../runtime/program.js";
import { openWebGpu } from "./device.js";
import { webgpuKey } from "./key.js";
import { parts } from "./prelude.js";

const missing = await withoutWebGpu();
if (missing) console.error(`functions of WGSL skipped: ${missing}`);

/** y = f(x) for n floats. */
function mapped(f: string, n: number): Program {
  const body = `@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(64) fn map(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let i = group.x * 64u + local; if (i < ${n}u) { y[i] = ${f}(x[i]); } }`;
  return {
    version: 1,
    name: f,
    key: webgpuKey,
    dims: [],
    inputs: [{ name: "x", type: { dtype: "f32", shape: [n] }, buffer: 0 }],
    outputs: [{ name: "y", type: { dtype: "f32", shape: [n] }, buffer: 1 }],
    state: [],
    buffers: [
      { role: "input", dtype: "f32", size: n },
      { role: "output", dtype: "f32", size: n },
    ],
    arena: 0,
    prelude: "",
    kernels: [{ entry: "map", source: [...partsFor(parts, body), body].join("\n"), threads: 64, sharedBytes: 0, writes: [false, true] }],
    steps: [{ kind: "launch", kernel: 0, buffers: [0, 1], dims: [], grid: Math.ceil(n / 64) }],
  };
}
/** Units in the last place of the f32 nearest to `want`. */
const ulps = (got: number, want: number): number => {
  const size = 2 ** (Math.max(-126, Math.floor(Math.log2(Math.abs(want)))) - 23);
  return Math.abs(got - want) / size;
};
/** `count` values between two, half of them spread by their logarithms. */
function spread(low: number, high: number, count = 20_000): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => {
    const t = (i >> 1) / (count / 2);
    if (i % 2) return low + (high - low) * t;
    const size = 2 ** (-20 + (20 + Math.log2(Math.max(Math.abs(low), Math.abs(high)))) * t);
    return Math.min(high, Math.max(low, i % 4 ? size : -size));
  });
}

describe.skipIf(missing)("functions of WGSL over their range", () => {
  test.each([
    ["exp_", Math.exp, -87, 88.5, 3],
    ["exp2_", (x: number) => 2 ** x, -125, 127.9, 3],
    ["log_", Math.log, 1e-30, 1e30, 3],
    ["log2_", Math.log2, 1e-30, 1e30, 3],
    ["sin_", Math.sin, -1e9, 1e9, 4],
    ["cos_", Math.cos, -1e9, 1e9, 4],
    ["sin_", Math.sin, -20, 20, 4],
    ["cos_", Math.cos, -20, 20, 4],
    ["tan_", Math.tan, -20, 20, 8],
    ["tanh_", Math.tanh, -10, 10, 4],
  ] as const)("%s", async (name, exact, low, high, most) => {
    const x = spread(low, high);
    const device = await openWebGpu();
    const loaded = await device.load(mapped(name, x.length));
    const [a, b] = [device.alloc(x.byteLength), device.alloc(x.byteLength)];
    device.write(a, 0, new Uint8Array(x.buffer));
    await device.submit(loaded, { buffers: [a, b], dims: [] });
    const y = new Float32Array((await device.read(b, 0, x.byteLength)).buffer);
    let worst = { ulps: 0, x: 0 };
    x.forEach((v, i) => {
      const off = ulps(y[i]!, exact(v));
      if (!(off <= worst.ulps)) worst = { ulps: off, x: v };
    });
    await device.close();
    expect(worst.ulps, `${name}(${worst.x})`).toBeLessThanOrEqual(most);
  });
});
