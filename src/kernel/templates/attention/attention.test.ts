import { describe, expect, it } from "vitest";
import { type Case, errorOf, fill, lowerCase, runCases, tolerance } from "../../../../test/support/groups.js";
import { compileKernels, hasCompiler } from "../../../../test/support/kernels-in-c.js";
import { vjp } from "../../../autodiff/grad.js";
import { cTarget } from "../../../backends/c/target.js";
import type { DType } from "../../../core/dtype.js";
import { type Dim, variable } from "../../../core/expr.js";
import { NdArray } from "../../../core/ndarray.js";
import type { Node } from "../../../ir/node.js";
import { picks } from "../../../ir/pick.js";
import { input, permute, reshape, scaledDotProductAttention, slice } from "../../../ops/index.js";
import type { Target } from "../../codegen.js";
import { verifyKernel } from "../../verify.js";
import { attentionBackwardTemplate, attentionTemplate } from "./index.js";

interface Shape {
  readonly batch?: readonly Dim[];
  readonly heads?: number;
  readonly keyHeads?: number;
  readonly queries: Dim;
  readonly keys: Dim;
  readonly depth: number;
  readonly width?: number;
  readonly isCausal?: boolean;
  readonly mask?: "bool" | "float" | "keys";
  readonly dtype?: DType;
  /** Where the queries of each batch stand. */
  readonly offset?: number | readonly number[];
  readonly dims?: Readonly<Record<string, number>>;
}
function attention(s: Shape): Case {
  const { batch = [2], heads = 2, keyHeads = heads, dtype = "f32" } = s;
  const q = input({ shape: [...batch, heads, s.queries, s.depth], dtype });
  const k = input({ shape: [...batch, keyHeads, s.keys, s.depth], dtype });
  const v = input({ shape: [...batch, keyHeads, s.keys, s.width ?? s.depth], dtype });
  const m = s.mask && input({ shape: s.mask === "keys" ? [1, s.keys] : [s.queries, s.keys], dtype: s.mask === "float" ? "f32" : "bool" });
  const offset = s.offset === undefined ? undefined : input({ shape: typeof s.offset === "number" ? [] : [s.offset.length], dtype: "i64" });
  const options = { isCausal: s.isCausal ?? offset !== undefined, enableGqa: true, ...(offset && { offset }) };
  const y = scaledDotProductAttention(q, k, v, m, options).inputs[0]!;
  return {
    name: JSON.stringify(s, (_, x: unknown) => (typeof x === "object" && x !== null && "key" in x ? x.key : x)),
    inputs: [q, k, v, ...(m ? [m] : []), ...(offset ? [offset] : [])],
    fill: (n, shape) => (n === offset ? NdArray.of("i64", shape, (at) => BigInt([s.offset!].flat()[at.at(-1) ?? 0]!)) : fill(n, shape)),
    outputs: picks(y),
    ...(s.dims && { dims: s.dims }),
  };
}
/** The derivatives of a case, beside what it computes. */
function derived(s: Shape): Case {
  const c = attention(s);
  const [y] = c.outputs as [Node];
  const ct = input(y.type);
  const grads = vjp([y], [ct], c.inputs.slice(0, 3)) as Node[];
  return { ...c, name: `derivatives ${c.name}`, inputs: [...c.inputs, ct], outputs: [y, ...grads] };
}
/** Compiling takes most of these tests' time; the conformance suite compiles what users run. */
const unoptimized: typeof compileKernels = (kernels) => compileKernels(kernels, undefined, ["-O0"]);
function check(cases: readonly Case[], target?: Target): void {
  const lowered = cases.map((c) => lowerCase(c, [attentionTemplate, attentionBackwardTemplate], target));
  for (const l of lowered) {
    const claimed = l.groups.filter((g) => g.group.kind === "claimed");
    expect(claimed, l.case.name).toHaveLength(l.case.outputs.length > 2 ? 2 : 1);
    for (const g of l.groups) for (const k of g.kernels) verifyKernel(k);
  }
  for (const { name, got, want, dtypes } of runCases(lowered, unoptimized))
    got.forEach((g, i) => {
      // The derivative of a softmax over one key is 0, and what is left is rounding.
      const scale = Array.from(want[i]!.data, Number).reduce((s, x) => Math.max(s, Math.abs(x)), 1e-30);
      expect(errorOf(g, want[i]!) * Math.min(1, scale), `${name} ${i}`).toBeLessThanOrEqual(tolerance(dtypes[i]!));
    });
}

describe.skipIf(!hasCompiler())("attention template in C", () => {
  it("any size, causal or not, whole tiles or not", () => {
    check(
      [
        { queries: 128, keys: 128, depth: 32, isCausal: true },
        { queries: 7, keys: 5, depth: 3, width: 5 },
        { queries: 70, keys: 201, depth: 9, width: 20 },
        { queries: 130, keys: 201, depth: 8, isCausal: true },
      ].map(attention),
    );
  });
  it("masks, and queries that see nothing", () => {
    check(
      [
        { queries: 70, keys: 33, depth: 8, mask: "bool" as const },
        { queries: 70, keys: 100, depth: 8, mask: "float" as const, isCausal: true },
        { queries: 20, keys: 100, depth: 8, mask: "keys" as const },
      ].map(attention),
    );
  });
  it("grouped queries and every dtype", () => {
    check(
      (["f32", "f64", "bf16", "f16"] as const).map((dtype) =>
        attention({ heads: 6, keyHeads: 2, queries: 33, keys: 40, depth: 12, dtype }),
      ),
    );
  });
  it("symbolic sizes", () => {
    const [b, s, k] = [variable("b", 0, 8), variable("s", 0, 512), variable("k", 0, 512)];
    check([
      ...[0, 1, 2, 7, 33, 128].map((n) => attention({ batch: [b], queries: s, keys: s, depth: 8, isCausal: true, dims: { b: 2, s: n } })),
      ...(
        [
          [5, 0],
          [1, 9],
          [65, 97],
        ] as const
      ).map(([n, m]) => attention({ batch: [b], queries: s, keys: k, depth: 8, dims: { b: 1, s: n, k: m } })),
    ]);
  });
  it("reads heads out of one buffer, also in tiles that do not end with the keys", () => {
    const fused = (T: number, D: number): Case => {
      const [B, H] = [2, 3];
      const qkv = input({ shape: [B, T, 3 * H * D], dtype: "f32" });
      const head = (i: number): Node => permute(reshape(slice(qkv, [0, 0, i * H * D], [B, T, H * D]), [B, T, H, D]), [0, 2, 1, 3]);
      const y = scaledDotProductAttention(head(0), head(1), head(2), null, { isCausal: true });
      return { name: `fused qkv ${T} x ${D}`, inputs: [qkv], outputs: [y] };
    };
    check([fused(70, 8), fused(128, 64)]);
  });
  it("few queries: a grid point is a head of keys", () => {
    check(
      [
        { queries: 1, keys: 1, depth: 8 },
        { queries: 1, keys: 300, depth: 64 },
        { queries: 3, keys: 77, depth: 9, width: 20, isCausal: true },
        { heads: 6, keyHeads: 2, queries: 2, keys: 530, depth: 80, width: 48, mask: "float" as const },
        { heads: 4, keyHeads: 4, queries: 2, keys: 100, depth: 24, mask: "bool" as const },
        { heads: 8, keyHeads: 1, batch: [3], queries: 4, keys: 40, depth: 16, mask: "keys" as const },
        { queries: 2, keys: variable("k", 0, 512), depth: 8, dims: { k: 0 } },
        { queries: 2, keys: variable("k", 0, 512), depth: 8, isCausal: true, dims: { k: 401 } },
        ...(["f64", "bf16", "f16"] as const).map((dtype) => ({ heads: 4, keyHeads: 2, queries: 1, keys: 200, depth: 32, dtype })),
      ].map(attention),
    );
  });
  it("a cache of which the device knows how much is filled: tokens one by one, a few, and prompts", () => {
    const s = variable("s", 1, 128);
    check([
      ...[-3, 0, 1, 254, 255, 256, 299, 1000].map((offset) =>
        attention({ heads: 4, keyHeads: 2, queries: 1, keys: 300, depth: 16, offset }),
      ),
      ...([0, 299, 600] as const).map((at) => attention({ heads: 4, queries: 3, keys: 600, depth: 16, offset: [at, 7] })),
      ...[-2, 0, 150, 590].map((offset) => attention({ heads: 4, keyHeads: 2, queries: 40, keys: 600, depth: 16, offset })),
      ...[1, 33, 100].map((n) => attention({ queries: s, keys: 200, depth: 8, offset: [5, 100], dims: { s: n } })),
      attention({ batch: [1], heads: 2, keyHeads: 1, queries: 1, keys: 300, depth: 8, dtype: "bf16", offset: [120], mask: "float" }),
      attention({ batch: [1], heads: 2, queries: 64, keys: 384, depth: 8, offset: [120], mask: "bool" }),
    ]);
  });
  it("shares out the keys of long caches where there are few heads of keys", () => {
    const cases = [0, 255, 256, 1500, 4095].map((offset) =>
      attention({ batch: [1], heads: 4, keyHeads: 1, queries: 1, keys: 4096, depth: 16, offset }),
    );
    const lowered = cases.map((c) => lowerCase(c, [attentionTemplate]));
    expect(lowered.map((l) => l.groups.map((g) => g.kernels.map((k) => k.grid)))).toEqual(cases.map(() => [[2, 1]]));
    check([...cases, attention({ batch: [1], heads: 3, queries: 2, keys: 2048, depth: 8, mask: "bool" })]);
  });
  it("derivatives: any size, masks, grouped queries, every dtype", () => {
    check(
      [
        { queries: 128, keys: 128, depth: 32, isCausal: true },
        { queries: 70, keys: 201, depth: 9, width: 20 },
        { queries: 70, keys: 33, depth: 64, width: 48, mask: "bool" as const },
        { queries: 5, keys: 100, depth: 8, mask: "float" as const, isCausal: true },
        { heads: 6, keyHeads: 2, queries: 33, keys: 40, depth: 12, dtype: "f64" as const },
        { queries: 70, keys: 130, depth: 16, dtype: "bf16" as const, isCausal: true },
        { heads: 4, keyHeads: 2, queries: 33, keys: 100, depth: 24, dtype: "f16" as const, mask: "bool" as const },
      ].map(derived),
    );
  });
  it("derivatives: symbolic sizes", () => {
    const [b, s, k] = [variable("b", 0, 8), variable("s", 0, 512), variable("k", 0, 512)];
    check([
      ...[1, 2, 7, 33, 128].map((n) => derived({ batch: [b], queries: s, keys: s, depth: 8, isCausal: true, dims: { b: 2, s: n } })),
      ...(
        [
          [5, 0],
          [65, 97],
        ] as const
      ).map(([n, m]) => derived({ batch: [b], queries: s, keys: k, depth: 8, dims: { b: 1, s: n, k: m } })),
    ]);
  });
  it("bf16 in pairs: whole tiles, masks, grouped queries, heads out of one buffer", () => {
    const features = ["avx512f", "avx512vl", "avx512bw", "avx512dq", "avx512bf16"];
    const target = cTarget({ arch: "x86-64", features, parallel: 2 });
    const dtype = "bf16" as const;
    const sizes = { batch: [1], heads: 2, queries: 64, keys: 64, depth: 32, dtype };
    const [B, T, H, D] = [1, 64, 2, 32];
    const qkv = input({ shape: [B, T, 3 * H * D], dtype });
    const head = (i: number): Node => permute(reshape(slice(qkv, [0, 0, i * H * D], [B, T, H * D]), [B, T, H, D]), [0, 2, 1, 3]);
    const y = scaledDotProductAttention(head(0), head(1), head(2), null, { isCausal: true });
    const cases = [
      derived({ ...sizes, heads: 4, keyHeads: 2, queries: 128, keys: 128, isCausal: true }),
      derived({ ...sizes, keys: 80, width: 96, mask: "float" }),
      attention({ ...sizes, keys: 272, depth: 64, mask: "bool", isCausal: true }),
      { name: "fused qkv", inputs: [qkv], outputs: [y] },
    ];
    const claimed = cases.flatMap((c) => lowerCase(c, [attentionTemplate, attentionBackwardTemplate], target).groups);
    const kernels = claimed.filter((g) => g.group.kind === "claimed").flatMap((g) => g.kernels);
    expect(kernels.map((k) => JSON.stringify(k.body).includes('"dot2"'))).toEqual(kernels.map(() => true));
    check(cases, target);
  });
});
