/** Tiles of attention on GPUs with less shared memory than the largest: smaller, and right, by the kernel interpreter. */
import { afterEach, describe, expect, test } from "vitest";
import { type Case, errorOf, interpretKernels, lowerCase, runCases } from "../../../../../test/support/groups.js";
import { vjp } from "../../../../autodiff/grad.js";
import { cudaTarget } from "../../../../backends/cuda/target.js";
import type { DType } from "../../../../core/dtype.js";
import type { Node } from "../../../../ir/node.js";
import { input, scaledDotProductAttention } from "../../../../ops/index.js";
import { setFloat32MatmulPrecision } from "../../../../ops/precision.js";
import { verifyKernel } from "../../../verify.js";

afterEach(() => setFloat32MatmulPrecision("highest"));
const target = (kib: number) => cudaTarget({ sm: 86, multiprocessors: 4, sharedBytes: kib << 10 });

/** Two heads of queries that share one of keys, and the derivatives. */
function attention(dtype: DType, queries: number, keys: number, size: number): Case {
  const of = (heads: number, rows: number): Node => input({ shape: [heads, rows, size], dtype });
  const [q, k, v] = [of(2, queries), of(1, keys), of(1, keys)];
  const y = scaledDotProductAttention(q, k, v, undefined, { isCausal: true, enableGqa: true });
  const ct = input(y.type);
  return { name: `${dtype} ${size}`, inputs: [q, k, v, ct], outputs: [y, ...(vjp([y], [ct], [q, k, v]) as Node[])] };
}
const claimed = (c: Case, kib: number): string[] =>
  lowerCase(c, undefined, target(kib)).groups.flatMap((g) => (g.group.template ? [g.group.template.name] : []));

describe("attention where shared memory is small", () => {
  // 99 KiB: GeForce RTX 30 and 40; 163: A100. Heads of 128 are Llama's.
  const sizes = [
    ["bf16", 99],
    ["f32", 163],
    ["f32", 99],
    ["f32", 60],
  ] as const;
  for (const [dtype, kib] of sizes)
    test(`${dtype}, heads of 128 in ${kib} KiB`, { timeout: 300_000 }, () => {
      setFloat32MatmulPrecision("high");
      const c = attention(dtype, 34, 40, 128);
      expect(claimed(c, kib)).toEqual(["attention", "attentionBackward"]);
      const lowered = lowerCase(c, undefined, target(kib));
      setFloat32MatmulPrecision("highest");
      for (const k of lowered.groups.flatMap((g) => g.kernels)) verifyKernel(k, target(kib));
      if (kib !== 99) return;
      for (const { got, want } of runCases([lowered], interpretKernels))
        got.forEach((g, i) => {
          expect(errorOf(g, want[i]!), `${i}`).toBeLessThan(dtype === "f32" ? 4e-3 : 1e-2);
        });
    });
  test("where no tile fits, other kernels compute it", () => {
    expect(claimed(attention("bf16", 34, 40, 128), 99)).toEqual(["attention", "attentionBackward"]);
    expect(new Set(claimed(attention("bf16", 34, 40, 128), 20))).toEqual(new Set(["contract"]));
  });
});
