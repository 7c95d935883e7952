import { expect, it } from "vitest";
import { compileKernels, hasCompiler } from "../../../test/support/kernels-in-c.js";
import { toBytes } from "../../core/convert.js";
import { add, mul } from "../../core/expr.js";
import { cpu } from "../../runtime/cpu.js";
import { apply, at, axis, type Buffer, type Kernel, load, loops, store, wordAt } from "../kernel.js";
import { readKernel, writeKernel } from "../save.js";
import { verifyKernel } from "../verify.js";
import { interpretKernel } from "./index.js";

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
/** out[i] = start[i] + the products of four u8 and four i8. */
function quads(width: number): Kernel {
  const [a, b] = [buffer("a", "u8", 4 * count), buffer("b", "i8", 4 * count)];
  const [start, out] = [buffer("start", "i32", count), buffer("out", "i32", count, true)];
  const [block, l] = [axis("block", count / width, "loop"), axis("l", width, "vector")];
  const i = add(mul(at(block), width), at(l));
  const value = apply("dot4", "i32", wordAt(a, mul(i, 4)), wordAt(b, mul(i, 4)), load(start, i));
  return { name: "quads", buffers: [a, b, start, out], dims: [], grid: 1, threads: 1, body: loops([block, l], [store(out, i, value)]) };
}
it("words of four: interpreted, and in C with the instruction and without it", () => {
  const a = Float64Array.from({ length: 4 * count }, (_, i) => (i * 89) % 256);
  const b = Float64Array.from({ length: 4 * count }, (_, i) => ((i * 53) % 256) - 128);
  const start = Float64Array.from({ length: count }, (_, i) => (i % 2 ? 2 ** 31 - 1 : i));
  const sums = Array.from(start, (s, i) => [0, 1, 2, 3].reduce((sum, j) => (sum + a[4 * i + j]! * b[4 * i + j]!) | 0, s));
  const out = new Float64Array(count);
  interpretKernel(readKernel(writeKernel(verifyKernel(quads(lanes)))), [a, b, start, out]);
  expect([...out]).toEqual(sums);
  if (!hasCompiler()) return;
  const plain = cpu().features.filter((f) => f !== "avx512vnni");
  for (const features of [cpu().features, plain])
    for (const [i, run] of compileKernels([quads(16), quads(8), quads(1)], features).entries()) {
      const got = new Int32Array(count);
      run([toBytes("u8", a), toBytes("i8", b), toBytes("i32", start), new Uint8Array(got.buffer)]);
      expect([...got], `${features.length} features, case ${i}`).toEqual(sums);
    }
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
