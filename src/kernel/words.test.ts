import { expect, it } from "vitest";
import { compileKernels, hasCompiler } from "../../test/support/kernels-in-c.js";
import { toBytes } from "../core/convert.js";
import { add, mul } from "../core/expr.js";
import { cpu } from "../runtime/cpu.js";
import { interpretKernel } from "./interpret.js";
import { apply, at, axis, type Buffer, type Kernel, load, loops, store, wordAt } from "./kernel.js";
import { readKernel, writeKernel } from "./save.js";
import { verifyKernel } from "./verify.js";

const [count, lanes] = [48, 16];
const buffer = (name: string, dtype: Buffer["dtype"], size: number, writes = false): Buffer => ({
  name,
  dtype,
  space: "global",
  size,
  ...(writes && { writes }),
});

/** out[i] = start[i] + a[2i] * b[2i] + a[2i + 1] * b[2i + 1] */
function dots(width: number, size = 2 * count): Kernel {
  const [a, b] = [buffer("a", "bf16", size), buffer("b", "bf16", size)];
  const [start, out] = [buffer("start", "f32", count), buffer("out", "f32", count, true)];
  const block = axis("block", count / width, "loop");
  const l = axis("l", width, "vector");
  const i = add(mul(at(block), width), at(l));
  const value = apply("dot2", "f32", wordAt(a, mul(i, 2)), wordAt(b, mul(i, 2)), load(start, i));
  return { name: "dots", buffers: [a, b, start, out], dims: [], grid: 1, threads: 1, body: loops([block, l], [store(out, i, value)]) };
}
// Exact in bf16, and their sums in f32.
const values = (n: number, seed: number): number[] => Array.from({ length: n }, (_, i) => (((i * 37 + seed) % 31) - 15) / 8);
const [a, b, start] = [values(2 * count, 3), values(2 * count, 11), values(count, 5)];
const expected = start.map((s, i) => s + a[2 * i]! * b[2 * i]! + a[2 * i + 1]! * b[2 * i + 1]!);

it("words of narrow elements are verified, saved, and interpreted", () => {
  const k = readKernel(writeKernel(verifyKernel(dots(lanes))));
  const out = new Float64Array(count);
  interpretKernel(k, [new Float64Array(a), new Float64Array(b), new Float64Array(start), out]);
  expect([...out]).toEqual(expected);
});
it("a word that reaches beyond its buffer is refused", () => {
  expect(() => verifyKernel(dots(lanes, 2 * count - 1))).toThrow(/may be beyond/);
});
it.skipIf(!hasCompiler())("C multiplies words with the instruction and without it, in any number of lanes", () => {
  const plain = cpu().features.filter((f) => f !== "avx512bf16");
  for (const features of [cpu().features, plain])
    for (const [i, run] of compileKernels([dots(16), dots(8), dots(1)], features).entries()) {
      const out = new Float32Array(count);
      const bytes = new Uint8Array(out.buffer);
      run([toBytes("bf16", new Float64Array(a)), toBytes("bf16", new Float64Array(b)), toBytes("f32", new Float64Array(start)), bytes]);
      expect([...out], `${features.length} features, case ${i}`).toEqual(expected);
    }
});
