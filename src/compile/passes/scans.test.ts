/** Long scans on GPUs, run by the kernel interpreter: parts of lines side by side. */
import { expect, test } from "vitest";
import { type Case, errorOf, interpretKernels, lowerCase, runCases, tolerance } from "../../../test/support/groups.js";
import { cudaTarget } from "../../backends/cuda/target.js";
import { webgpuTarget } from "../../backends/webgpu/target.js";
import type { DType } from "../../core/dtype.js";
import type { Node } from "../../ir/node.js";
import { verifyKernel } from "../../kernel/verify.js";
import { cummax, cumprod, cumsum, flip, input } from "../../ops/index.js";

const cuda = cudaTarget({ sm: 90, multiprocessors: 132 });
const scan = (shape: readonly number[], dtype: DType, f: (x: Node) => Node): Case => {
  const x = input({ shape, dtype });
  return { name: `${shape} ${dtype}`, inputs: [x], outputs: [f(x)] };
};
const widest = (c: Case): number =>
  Math.max(...lowerCase(c, undefined, cuda).groups.flatMap((g) => g.kernels.map((k) => (k.grid as number) * k.threads)));

test("a line of a vocabulary has thousands of threads, and many lines have one each", () => {
  expect(widest(scan([128256], "f32", (x) => cumsum(x, 0)))).toBeGreaterThan(4000);
  expect(
    lowerCase(
      scan([5000, 300], "f32", (x) => cumsum(x, 1)),
      undefined,
      cuda,
    ).groups,
  ).toHaveLength(1);
  expect(
    lowerCase(
      scan([3, 255], "f32", (x) => cumsum(x, 1)),
      undefined,
      cuda,
    ).groups,
  ).toHaveLength(1);
});

test("parts and what stands before them are right", { timeout: 120_000 }, () => {
  const cases = [
    scan([4099], "f32", (x) => cumsum(x, 0)),
    scan([2, 300], "bf16", (x) => cumsum(x, 1)),
    scan([257, 3], "i32", (x) => cumsum(x, 0)),
    scan([2, 320], "f32", (x) => flip(cumsum(flip(x, [1]), 1), [1])),
    scan([1, 2500], "f32", (x) => cummax(x, 1).values),
    scan([300], "f32", (x) => cumprod(x, 0)),
  ];
  for (const target of [cuda, webgpuTarget()]) {
    const lowered = cases.map((c) => lowerCase(c, undefined, target));
    for (const l of lowered) for (const k of l.groups.flatMap((g) => g.kernels)) verifyKernel(k, target);
    for (const { name, got, want, dtypes } of runCases(lowered, interpretKernels))
      expect(errorOf(got[0]!, want[0]!), name).toBeLessThanOrEqual(tolerance(dtypes[0]!) * 8);
  }
});
