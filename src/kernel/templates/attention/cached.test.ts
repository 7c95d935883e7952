/** Steps of decoding on GPUs, run by the kernel interpreter: what goes into caches, and what queries find there. */
import { describe, expect, test } from "vitest";
import { type Case, errorOf, fill, interpretKernels, lowerCase, runCases, tolerance } from "../../../../test/support/groups.js";
import { cudaTarget } from "../../../backends/cuda/target.js";
import { webgpuTarget } from "../../../backends/webgpu/target.js";
import type { DType } from "../../../core/dtype.js";
import { NdArray } from "../../../core/ndarray.js";
import { make, type Node } from "../../../ir/node.js";
import { pick } from "../../../ir/pick.js";
import { cachedAttentionOp, joinShares } from "../../../ops/cached-attention.js";
import { add, input, mul } from "../../../ops/index.js";
import { verifyKernel } from "../../verify.js";
import { sharesOf } from "./gpu/tiling.js";

const h200 = cudaTarget({ sm: 90, multiprocessors: 132 });
const dawn = webgpuTarget({ maxComputeInvocationsPerWorkgroup: 1024, maxStorageBuffersPerShaderStage: 16, subgroup: 32 });

interface Sizes {
  readonly heads: number;
  readonly keyHeads: number;
  readonly length: number;
  readonly width: number;
  readonly dtype: DType;
  readonly place: number;
  readonly shares: number;
}
/** The op's own results, and attention's where they are shares of it. Queries, key and value are computed where they are read. */
function step(s: Sizes): Case {
  const leaf = (shape: readonly number[], dtype: DType = s.dtype): Node => input({ shape, dtype });
  const [q, k, v] = [leaf([1, s.heads, 1, s.width]), leaf([1, s.keyHeads, 1, s.width]), leaf([1, s.keyHeads, 1, s.width])];
  const [keys, values] = [leaf([1, s.keyHeads, s.length, s.width]), leaf([1, s.keyHeads, s.length, s.width])];
  const at = leaf([1], "i64");
  const twice = (x: Node): Node => mul(add(x, 1), 2);
  const attrs = { scale: 0.3, shares: s.shares, causal: true, offset: true } as const;
  const y = make(cachedAttentionOp, [twice(q), keys, values, twice(k), add(v, 0.5), at], attrs);
  const found = pick(y, 2);
  return {
    name: JSON.stringify(s),
    inputs: [q, keys, values, k, v, at],
    outputs: [pick(y, 0), pick(y, 1), s.shares === 1 ? found : joinShares(found, q, s.shares)],
    fill: (x, shape) => (x === at ? new NdArray("i64", shape, BigInt64Array.of(BigInt(s.place))) : fill(x, shape)),
  };
}
const llama = { heads: 8, keyHeads: 2, width: 64, dtype: "bf16", length: 256 } as const;
const cases: Sizes[] = [
  { ...llama, place: 200, shares: 4 },
  { ...llama, place: 0, shares: 4 },
  { ...llama, place: 255, shares: 1 },
  { ...llama, place: 2, shares: 8 },
  { ...llama, place: 0, shares: 1 },
  { ...llama, heads: 2, dtype: "f32", place: 63, shares: 3, length: 70 },
  { ...llama, heads: 2, dtype: "f16", width: 128, place: 97, shares: 2, length: 130 },
  { ...llama, width: 16, heads: 4, place: 9, shares: 1, length: 24 },
];

describe("a step of decoding", () => {
  test.each([
    ["h200", h200, cases],
    ["dawn", dawn, cases.filter((_, i) => i % 3 === 0)],
  ] as const)("writes its key and value once and is right: %s", { timeout: 120_000 }, (_, target, list) => {
    const lowered = list.map((s) => lowerCase(step(s), undefined, target));
    for (const l of lowered) for (const g of l.groups) for (const k of g.kernels) verifyKernel(k, target);
    runCases(lowered, interpretKernels).forEach(({ name, got, want, dtypes }, at) => {
      const { width, length, place } = list[at]!;
      got.forEach((g, i) => {
        expect(errorOf(g, want[i]!), `${name} ${i}`).toBeLessThanOrEqual(tolerance(dtypes[i]!));
        // Everything but the new rows is as it was.
        const old = (x: NdArray): unknown[] => [...x.data].filter((_, j) => Math.floor(j / width) % length !== place);
        if (i < 2) expect(old(g), name).toEqual(old(want[i]!));
      });
    });
  });
  test("is shared out so that a device has work, without a kernel that joins, unless the cache is long", () => {
    expect([64, 256, 512, 1024, 4096, 8192, 100_000].map((n) => sharesOf(h200, 8, n))).toEqual([1, 4, 8, 8, 8, 16, 33]);
    expect([64, 256, 512, 1024, 4096, 8192, 100_000].map((n) => sharesOf(dawn, 8, n))).toEqual([1, 4, 8, 8, 8, 16, 16]);
    expect(sharesOf(h200, 264, 4096)).toBe(1);
  });
});
