/** Scatters into results larger than a core's second cache: ranges of whole rows, each of which looks at the whole index. */
import { expect, test } from "vitest";
import { errorOf, interpretKernels, lowerCase, runCases, tolerance } from "../../../test/support/groups.js";
import { cTarget } from "../../backends/c/target.js";
import { NdArray } from "../../core/ndarray.js";
import { add, input, mul, reshape, scatterInto } from "../../ops/index.js";
import { verifyKernel } from "../verify.js";
import { scatterTemplate } from "./scatter.js";

test.each([
  false,
  true,
])("a result beyond the second cache is written range by range, with what is computed from it (as one row: %s)", (flat) => {
  const target = cTarget({ arch: "x86-64", features: ["avx2", "fma"], parallel: 2, caches: [1 << 10, 16 << 10] });
  const [base, index, source, other] = [
    input({ shape: [301, 40], dtype: "f32" }),
    input({ shape: [17], dtype: "i64" }),
    input({ shape: [17, 40], dtype: "f32" }),
    input({ shape: [301, 40], dtype: "f32" }),
  ];
  const scattered = scatterInto(base, index, source, 0, "add");
  // Rows of the first and the last range, some of them more than once.
  const rows = [0, 300, 5, 5, 6, 7, 150, 299, 300, 0, 1, 2, 5, 77, 78, 200, 201];
  const lowered = lowerCase(
    {
      name: "rows",
      inputs: [base, index, source, other],
      outputs: [flat ? mul(reshape(scattered, [12040]), reshape(other, [12040])) : mul(add(scattered, other), other)],
      fill: (n, shape) =>
        n === index
          ? NdArray.of("i64", shape, ([i]) => BigInt(rows[i!]!))
          : NdArray.of(n.type.dtype, shape, ([i, j = 0]) => ((i! * 37 + j * 11) % 64) / 8 - 4),
    },
    [scatterTemplate],
    target,
  );
  const kernels = lowered.groups.filter((g) => g.group.kind === "claimed").flatMap((g) => g.kernels);
  expect(kernels).toHaveLength(1);
  // 48,160 bytes in parts of an eighth of the second cache.
  expect(kernels[0]!.grid).toBe(24);
  // The rows of one part, 13 of them, are all that a sum is kept of.
  expect(kernels[0]!.buffers.filter((b) => b.name === "tmp0")).toMatchObject([{ space: "shared", size: 13 * 40 }]);
  for (const k of kernels) verifyKernel(k, target);
  for (const { got, want } of runCases([lowered], interpretKernels))
    for (const [i, g] of got.entries()) expect(errorOf(g, want[i]!)).toBeLessThanOrEqual(tolerance("f32"));
});
