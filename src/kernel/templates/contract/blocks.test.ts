import { expect, test } from "vitest";
import { type Case, interpretKernels, lowerCase, random, runCases } from "../../../../test/support/groups.js";
import { webgpuTarget } from "../../../backends/webgpu/target.js";
import { NdArray } from "../../../core/ndarray.js";
import type { Node } from "../../../ir/node.js";
import { add, dot, input, mul, silu } from "../../../ops/index.js";
import type { Target } from "../../codegen.js";
import { verifyKernel } from "../../verify.js";
import { contractTemplate } from "./index.js";

/** A GPU of so few processors that no part of k is worth a launch of its own. */
const target: Target = { ...webgpuTarget(), threads: 16, parallel: 2 };
const f32 = (...shape: number[]): Node => input({ shape, dtype: "f32" });
/** All terms are positive, so that sums grow and what is rounded grows with them. */
const positive = (n: Node, shape: readonly number[]): NdArray =>
  NdArray.of(n.type.dtype, shape, () => (n.type.shape.length > 1 ? Math.fround(random()) : 0));
const kernelsOf = (c: Case, t: Target): ReturnType<typeof lowerCase>["groups"][number]["kernels"] =>
  lowerCase(c, [contractTemplate], t).groups.flatMap((g) => g.kernels);

const [m, n] = [18, 17];
function plain(k: number): Case {
  const [a, b, bias] = [f32(m, k), f32(k, n), f32(n)];
  return { name: `${m}x${n}x${k}`, inputs: [a, b, bias], outputs: [add(dot(a, b), bias)], fill: positive };
}
/** The product of two products, the first of which is so large that its silu is itself. */
function gated(k: number): Case {
  const [a, b, c] = [f32(m, k), f32(k, n), f32(k, n)];
  return { name: `gated ${m}x${n}x${k}`, inputs: [a, b, c], outputs: [mul(silu(dot(a, b)), dot(a, c))], fill: positive };
}

test("long sums are sums of blocks: each element within a millionth of its terms", { timeout: 120_000 }, () => {
  const narrow = { ...target, maxBuffers: 4 };
  for (const [c, t, kept, factors] of [
    [plain(512), target, undefined, 1],
    [plain(4096), target, "partial", 1],
    [plain(2055), target, "partial", 1],
    [gated(4096), target, "tmp0", 2],
    [gated(2056), narrow, "partial", 2],
  ] as const) {
    const kernels = kernelsOf(c, t);
    for (const k of kernels) verifyKernel(k);
    expect(kernels.length, c.name).toBe(1);
    expect(
      kernels[0]!.buffers.map((b) => b.name).find((name) => name === "tmp0" || name === "partial"),
      c.name,
    ).toBe(kept);
    const [{ got, want }] = runCases([lowerCase(c, [contractTemplate], t)], interpretKernels) as [ReturnType<typeof runCases>[number]];
    // An element is as large as its terms together.
    const off = Array.from(want[0]!.data, Number).map((x, i) => Math.abs(Number(got[0]!.data[i]) / x - 1));
    expect(Math.max(...off), c.name).toBeLessThanOrEqual(factors * 1e-6);
  }
});

test("one sum after another would be off by more", () => {
  const k = 4096;
  let worst = 0;
  for (let i = 0; i < m * n; i++) {
    let [sum, exact] = [0, 0];
    for (let j = 0; j < k; j++) {
      const term = Math.fround(random()) * Math.fround(random());
      sum = Math.fround(sum + term);
      exact += term;
    }
    worst = Math.max(worst, Math.abs(sum / exact - 1));
  }
  expect(worst).toBeGreaterThan(1e-6);
});
