import { expect, it } from "vitest";
import { compileKernels, hasCompiler } from "../../../test/support/kernels-in-c.js";
import { fromBytes, toBytes } from "../../core/convert.js";
import { add, mul } from "../../core/expr.js";
import { at, axis, type Buffer, type Kernel, load, loops, store } from "../../kernel/kernel.js";
import { cpu } from "../../runtime/cpu.js";

/** Every half float, and what lies on, just below and just above the middle between two of them; NaN with a payload, too. */
const halves = fromBytes("f16", new Uint8Array(new Uint16Array(65536).map((_, i) => i).buffer)) as Float64Array;
const floats = Float32Array.from({ length: 4 * 65536 }, (_, i) => {
  const [x, next] = [halves[i >> 2]!, halves[((i >> 2) + 1) & 0xffff]!];
  const middle = new Float32Array([(x + next) / 2]);
  const bits = new Int32Array(middle.buffer);
  if (i & 3) bits[0] = bits[0]! + (i & 3) - 2;
  return i & 3 ? middle[0]! : x;
});

/** Copies a buffer to one of another dtype. */
function convert(from: Buffer["dtype"], to: Buffer["dtype"], size: number, width: number): Kernel {
  const a: Buffer = { name: "a", dtype: from, space: "global", size };
  const out: Buffer = { name: "out", dtype: to, space: "global", size, writes: true };
  const [block, l] = [axis("block", size / width, "loop"), axis("l", width, "vector")];
  const i = add(mul(at(block), width), at(l));
  return { name: "convert", buffers: [a, out], dims: [], grid: 1, threads: 1, body: loops([block, l], [store(out, i, load(a, i))]) };
}

it.skipIf(!hasCompiler())("f16 to f32 and back: every value, with the instructions and without them", { timeout: 120_000 }, () => {
  const plain = cpu().features.filter((f) => f !== "f16c" && !f.startsWith("avx512"));
  const bits = (values: ArrayLike<number>): Uint16Array => new Uint16Array(toBytes("f16", Float64Array.from(values)).buffer);
  const want = bits(floats);
  for (const features of [cpu().features, plain]) {
    const widths = [16, 8, 4, 1];
    const widen = compileKernels(
      widths.map((w) => convert("f16", "f32", halves.length, w)),
      features,
    );
    const narrow = compileKernels(
      widths.map((w) => convert("f32", "f16", floats.length, w)),
      features,
    );
    for (const [i, w] of widths.entries()) {
      const wide = new Float32Array(halves.length);
      widen[i]!([toBytes("f16", halves), new Uint8Array(wide.buffer)]);
      expect(
        wide.findIndex((x, j) => !Object.is(x, halves[j])),
        `widen ${w}`,
      ).toBe(-1);
      const got = new Uint16Array(floats.length);
      narrow[i]!([new Uint8Array(floats.buffer), new Uint8Array(got.buffer)]);
      const isNaN16 = (x: number): boolean => (x & 0x7fff) > 0x7c00;
      expect(
        got.findIndex((x, j) => x !== want[j] && !(isNaN16(x) && isNaN16(want[j]!))),
        `narrow ${w}`,
      ).toBe(-1);
    }
  }
});

it.skipIf(!hasCompiler())(
  "f32 to bf16: every value and its neighbours' middles, with the instruction and without it",
  { timeout: 120_000 },
  () => {
    const near = [0, 0x7fff, 0x8000, 0x8001];
    // Vectors with subnormals and without, and vectors of both.
    const bits = Uint32Array.from({ length: 8 * 65536 }, (_, i) => {
      const x = i >> 3;
      return ((i & 4 ? (x * 40503) & 0xffff : x) << 16) | near[i & 3]!;
    });
    const from = new Uint8Array(bits.buffer);
    const want = new Uint16Array(toBytes("bf16", Float64Array.from(new Float32Array(bits.buffer))).buffer);
    const isNaN16 = (x: number): boolean => (x & 0x7fff) > 0x7f80;
    const widths = [16, 8, 1];
    for (const features of [cpu().features, cpu().features.filter((f) => f !== "avx512bf16")]) {
      const kernels = widths.map((w) => convert("f32", "bf16", bits.length, w));
      for (const [i, run] of compileKernels(kernels, features).entries()) {
        const got = new Uint16Array(bits.length);
        run([from, new Uint8Array(got.buffer)]);
        expect(
          got.findIndex((x, j) => x !== want[j] && !(isNaN16(x) && isNaN16(want[j]!))),
          `${features.length} features, ${widths[i]} lanes`,
        ).toBe(-1);
      }
    }
  },
);
