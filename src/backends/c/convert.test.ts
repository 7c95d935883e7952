import { expect, it } from "vitest";
import { compileKernels, hasCompiler } from "../../../test/support/kernels-in-c.js";
import type { DType } from "../../core/dtype.js";
import { add, mul } from "../../core/expr.js";
import { apply, at, axis, type Buffer, type Kernel, load, loops, store } from "../../kernel/kernel.js";
import { cpu } from "../../runtime/cpu.js";

const arrays = {
  i8: Int8Array,
  u8: Uint8Array,
  i16: Int16Array,
  u16: Uint16Array,
  i32: Int32Array,
  u32: Uint32Array,
  f32: Float32Array,
} as const;
type Known = keyof typeof arrays;
const narrow = ["i8", "u8", "i16", "u16"] as const;
const size = 65536;

/** Casts a buffer to one of another dtype, so many lanes at a time. */
function cast(from: DType, to: DType, width: number): Kernel {
  const a: Buffer = { name: "a", dtype: from, space: "global", size };
  const out: Buffer = { name: "out", dtype: to, space: "global", size, writes: true };
  const [block, l] = [axis("block", size / width, "loop"), axis("l", width, "vector")];
  const i = add(mul(at(block), width), at(l));
  const body = loops([block, l], [store(out, i, apply("cast", to, load(a, i)))]);
  return { name: "cast", buffers: [a, out], dims: [], grid: 1, threads: 1, body };
}

it.skipIf(!hasCompiler())(
  "narrow integers to 32 bits, to f32, and back: every value, with the instructions and without them",
  { timeout: 120_000 },
  () => {
    const pairs = narrow.flatMap((n): (readonly [Known, Known])[] => [
      ...(["i32", "u32", "f32"] as const).map((w) => [n, w] as const),
      ...(["i32", "u32"] as const).map((w) => [w, n] as const),
    ]);
    const plain = cpu().features.filter((f) => f !== "avx2" && !f.startsWith("avx512"));
    const widths = [16, 8, 4, 1];
    const eight = cpu().features.filter((f) => !f.startsWith("avx512"));
    for (const features of [cpu().features, eight, plain]) {
      const cases = pairs.flatMap(([from, to]) => widths.map((w) => ({ from, to, w })));
      const kernels = compileKernels(
        cases.map(({ from, to, w }) => cast(from, to, w)),
        features,
      );
      for (const [i, { from, to, w }] of cases.entries()) {
        // Every value of 16 bits, and what lies above them where there is room.
        const given = new arrays[from](size).map((_: number, j: number) => (j - 32768) * (from.endsWith("32") ? 65539 : 1));
        const got = new arrays[to](size);
        kernels[i]!([new Uint8Array(given.buffer), new Uint8Array(got.buffer)]);
        const want = new arrays[to](given);
        expect(
          got.findIndex((x, j) => x !== want[j]),
          `${from} to ${to}, ${w} lanes, ${features.length} features`,
        ).toBe(-1);
      }
    }
  },
);
