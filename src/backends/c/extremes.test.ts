import { expect, it } from "vitest";
import { compileKernels, hasCompiler } from "../../../test/support/kernels-in-c.js";
import { toBytes } from "../../core/convert.js";
import { add, mul } from "../../core/expr.js";
import { apply, at, axis, type Buffer, type Kernel, load, loops, store } from "../../kernel/kernel.js";
import { cpu } from "../../runtime/cpu.js";

const values = [0, -0, 1, -1, 0.5, 2 ** -140, -(2 ** -140), Number.MAX_VALUE, Infinity, -Infinity, NaN, -3.5, 3.5, 7, -7, 1e-300];

/** The larger or the smaller of every two values, a vector at a time. */
function extreme(op: "max" | "min", dtype: "f32" | "f64", width: number): Kernel {
  const size = values.length ** 2;
  const [a, b] = ["a", "b"].map((name): Buffer => ({ name, dtype, space: "global", size })) as [Buffer, Buffer];
  const out: Buffer = { name: "out", dtype, space: "global", size, writes: true };
  const [block, l] = [axis("block", size / width, "loop"), axis("l", width, "vector")];
  const i = add(mul(at(block), width), at(l));
  const body = loops([block, l], [store(out, i, apply(op, dtype, load(a, i), load(b, i)))]);
  return { name: op, buffers: [a, b, out], dims: [], grid: 1, threads: 1, body };
}

it.skipIf(!hasCompiler())(
  "max and min of zeros, NaN and infinities: to the bit, with the instructions and without them",
  { timeout: 120_000 },
  () => {
    const plain = cpu().features.filter((f) => !f.startsWith("avx"));
    for (const dtype of ["f32", "f64"] as const) {
      const round = (x: number): number => (dtype === "f32" ? Math.fround(x) : x);
      const pairs = values.flatMap((x) => values.map((y) => [round(x), round(y)] as const));
      const [a, b] = [0, 1].map((k) =>
        toBytes(
          dtype,
          Float64Array.from(pairs, (p) => p[k]!),
        ),
      );
      // A NaN wins, the first of two; of equals the second is taken.
      const want = {
        max: pairs.map(([x, y]) => (x > y || Number.isNaN(x) ? x : y)),
        min: pairs.map(([x, y]) => (x < y || Number.isNaN(x) ? x : y)),
      };
      const cases = (["max", "min"] as const).flatMap((op) => [1, 4, 8, 16].map((width) => ({ op, width })));
      for (const features of [cpu().features, cpu().features.filter((f) => !f.startsWith("avx512")), plain]) {
        const kernels = compileKernels(
          cases.map((c) => extreme(c.op, dtype, c.width)),
          features,
        );
        for (const [i, { op, width }] of cases.entries()) {
          const got = dtype === "f32" ? new Float32Array(pairs.length) : new Float64Array(pairs.length);
          kernels[i]!([a!, b!, new Uint8Array(got.buffer)]);
          expect(
            pairs.filter((_, j) => !Object.is(got[j], want[op][j])),
            `${op} of ${width} ${dtype}, ${features.length} features`,
          ).toEqual([]);
        }
      }
    }
  },
);
