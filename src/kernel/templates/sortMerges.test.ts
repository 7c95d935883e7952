/** Sorting on GPUs, run by the kernel interpreter: lines longer than a run, whole and broken ones, and ties. */
import { expect, test } from "vitest";
import { type Case, interpretKernels, lowerCase, runCases } from "../../../test/support/groups.js";
import { cudaTarget } from "../../backends/cuda/target.js";
import { webgpuTarget } from "../../backends/webgpu/target.js";
import type { DType } from "../../core/dtype.js";
import { NdArray } from "../../core/ndarray.js";
import { input, mul, sort } from "../../ops/index.js";
import { verifyKernel } from "../verify.js";

const cuda = cudaTarget({ sm: 90, multiprocessors: 132 });
const webgpu = webgpuTarget();

/** A line of few different values, some of them NaN, infinite or -0. */
function sorted(shape: readonly number[], axis: number, descending: boolean, dtype: DType): Case {
  const x = input({ shape, dtype });
  const { values, indices } = sort(mul(x, 2), axis, { descending });
  const special = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0];
  const valueOf = (i: number): number => (dtype[0] !== "i" && i % 29 === 3 ? special[i % 4]! : ((i * 7919) % 41) - 20);
  let at = 0;
  return {
    name: `${shape} over ${axis}${descending ? " down" : ""} ${dtype}`,
    inputs: [x],
    outputs: [values, indices],
    fill: () => NdArray.of(dtype, shape, () => valueOf(at++)),
  };
}

test("each element finds its place by itself: stable, NaN last", { timeout: 120_000 }, () => {
  const cases = [
    sorted([1000], 0, false, "f32"),
    sorted([1000], 0, true, "f32"),
    sorted([3, 33], 1, false, "bf16"),
    sorted([2, 64], 1, true, "i32"),
    sorted([129, 3], 0, false, "f32"),
    sorted([2, 100, 2], 1, true, "f16"),
  ];
  for (const target of [cuda, webgpu]) {
    const lowered = cases.map((c) => lowerCase(c, undefined, target));
    // Lines as they are, runs of 32, and a kernel for each merge.
    expect(lowered.map((l) => l.groups.flatMap((g) => g.kernels).length)).toEqual([7, 7, 3, 3, 5, 4]);
    for (const l of lowered) for (const k of l.groups.flatMap((g) => g.kernels)) verifyKernel(k, target);
    for (const { name, got, want } of runCases(lowered, interpretKernels))
      for (const i of [0, 1]) expect(got[i]!.data, name).toEqual(want[i]!.data);
  }
});

test("short lines have a thread each", () => {
  expect(lowerCase(sorted([500, 32], 1, false, "f32"), undefined, cuda).groups.flatMap((g) => g.kernels)).toHaveLength(1);
});
