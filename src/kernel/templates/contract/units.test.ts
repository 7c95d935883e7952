/** Products on matrix units that take registers, run by the kernel interpreter: what a GPU of sm_80 and later computes. */
import { expect, test } from "vitest";
import { type Case, interpretKernels, lowerCase, runCases } from "../../../../test/support/groups.js";
import { cudaTarget } from "../../../backends/cuda/target.js";
import type { DType } from "../../../core/dtype.js";
import { type Dim, variable } from "../../../core/expr.js";
import type { Node } from "../../../ir/node.js";
import { add, cast, dot, gelu, input, mul, permute, relu, reshape } from "../../../ops/index.js";
import { setFloat32MatmulPrecision } from "../../../ops/precision.js";
import type { Stmt } from "../../kernel.js";
import { verifyKernel } from "../../verify.js";
import { eachStmt } from "../../walk.js";
import { contractTemplate } from "./index.js";

const small = cudaTarget({ sm: 80, multiprocessors: 4 });
/** Largest accepted error relative to the largest magnitude. */
const tolerance: Readonly<Partial<Record<DType, number>>> = { bf16: 8e-3, f16: 1e-3, f32: 1.5e-3 };
const hasUnit = (body: readonly Stmt[]): boolean => body.some((s) => s.kind === "mma" || ("body" in s && hasUnit(s.body)));

const wide = cudaTarget({ sm: 80, multiprocessors: 64 });
function check(cases: readonly Case[], target = small): void {
  const lowered = cases.map((c) => lowerCase(c, [contractTemplate], target));
  for (const l of lowered) {
    const kernels = l.groups.filter((g) => g.group.kind === "claimed").flatMap((g) => g.kernels);
    expect(kernels.length, l.case.name).toBeGreaterThan(0);
    if (!l.case.dims) for (const k of kernels) verifyKernel(k, target);
    expect(hasUnit(kernels[0]!.body), `${l.case.name} uses a matrix unit`).toBe(true);
  }
  for (const { name, got, want, dtypes } of runCases(lowered, interpretKernels))
    got.forEach((g, i) => {
      const wanted = Array.from(want[i]!.data, Number);
      const scale = wanted.reduce((s, x) => Math.max(s, Math.abs(x)), 1e-30);
      const worst = Array.from(g.data, Number).reduce((s, x, j) => Math.max(s, Math.abs(x - wanted[j]!)), 0);
      expect(worst / scale, name).toBeLessThanOrEqual(tolerance[dtypes[i] as DType]!);
    });
}
interface Options {
  readonly a?: "t";
  readonly b?: "t";
  readonly batch?: readonly number[];
  readonly dims?: Record<string, number>;
  readonly from?: DType;
}
function product(name: string, dtype: DType, [m, n, k]: readonly [Dim, Dim, Dim], o: Options = {}): Case {
  const { batch = [], from = dtype } = o;
  const swap = [...batch.map((_, i) => i), batch.length + 1, batch.length];
  const a = input({ shape: [...batch, ...(o.a ? [k, m] : [m, k])], dtype });
  const b = input({ shape: [...batch, ...(o.b ? [n, k] : [k, n])], dtype: from });
  const narrow = from === dtype ? b : cast(b, dtype);
  const y = dot(o.a ? permute(a, swap) : a, o.b ? permute(narrow, swap) : narrow);
  return { name: `${name} ${dtype} ${m}x${n}x${k}`, inputs: [a, b], outputs: [y], ...(o.dims && { dims: o.dims }) };
}
const layouts = (dtype: DType, size: readonly [Dim, Dim, Dim]): Case[] => [
  product("nn", dtype, size),
  product("nt", dtype, size, { b: "t" }),
  product("tn", dtype, size, { a: "t" }),
  product("tt", dtype, size, { a: "t", b: "t" }),
];

test("every layout of bf16, whole pieces and ragged edges", () => {
  check(
    (
      [
        [16, 16, 16],
        [40, 72, 88],
        [33, 21, 70],
      ] as const
    ).flatMap((s) => layouts("bf16", s)),
  );
}, 120_000);
test("every layout in tf32, where it is allowed", () => {
  setFloat32MatmulPrecision("high");
  try {
    check(
      (
        [
          [24, 40, 44],
          [17, 35, 9],
        ] as const
      ).flatMap((s) => layouts("f32", s)),
    );
  } finally {
    setFloat32MatmulPrecision("highest");
  }
}, 120_000);
test("f16, batches, weights that are rounded on the way, symbolic rows", () => {
  check([
    ...layouts("f16", [24, 16, 40]),
    product("batched", "bf16", [20, 24, 16], { batch: [3], b: "t" }),
    product("rounded", "bf16", [20, 24, 40], { from: "f32", b: "t" }),
    product("rounded rows", "bf16", [20, 24, 40], { from: "f32" }),
    product("symbolic", "bf16", [variable("M", 0, 64), 24, 32], { b: "t", dims: { M: 19 } }),
  ]);
}, 120_000);
test("a long k of few tiles is shared out over grid points", () => {
  const leaf = (...shape: number[]): Node => input({ shape, dtype: "bf16" });
  const [x, w, bias, rest] = [leaf(20, 2090), leaf(24, 2090), leaf(24), leaf(20, 24)];
  const c: Case = { name: "split", inputs: [x, w, bias, rest], outputs: [add(gelu(add(dot(x, permute(w, [1, 0])), bias)), rest)] };
  expect(lowerCase(c, [contractTemplate], wide).groups.flatMap((g) => g.kernels)).toHaveLength(2);
  check([c], wide);
}, 120_000);
// The interpreter does not run these; test/gpu/check.ts compares what they give.
test("units that read shared memory: products of few rows ask for more stages ahead, and share a long k out", () => {
  const hopper = cudaTarget({ sm: 90, multiprocessors: 8 });
  const leaf = (...shape: number[]): Node => input({ shape, dtype: "bf16" });
  const made = (m: number, k: number): Case => {
    const [x, w, bias, rest] = [leaf(m, k), leaf(70, k), leaf(70), leaf(m, 70)];
    return { name: `shared ${m}x${k}`, inputs: [x, w, bias, rest], outputs: [add(gelu(add(dot(x, permute(w, [1, 0])), bias)), rest)] };
  };
  // 5 turns along k are too few to cut, 11 have no equal parts; 33 are cut in three, which the epilogue adds up.
  const all = [made(40, 320), made(40, 704), made(30, 2112)];
  for (const [i, kernels] of [1, 1, 2].entries()) {
    const c = all[i]!;
    const lowered = lowerCase(c, [contractTemplate], hopper).groups.flatMap((g) => g.kernels);
    expect(lowered, c.name).toHaveLength(kernels);
    const stages = lowered[0]!.buffers.find((b) => b.name === "full")!;
    expect(stages.size, c.name).toBeGreaterThan(4);
  }
  check(all, hopper);
});

test("units that read shared memory: a weight in rows of the result's columns, whole tiles or not, in parts or not", () => {
  const hopper = cudaTarget({ sm: 90, multiprocessors: 8 });
  const cases = (["bf16", "f16"] as const).flatMap((dtype) => [
    product("nn", dtype, [128, 256, 128]),
    product("nn", dtype, [70, 136, 192]),
    product("nn", dtype, [40, 72, 1536]),
  ]);
  for (const c of cases)
    expect(
      lowerCase(c, [contractTemplate], hopper).groups[0]!.kernels[0]!.buffers.map((b) => b.name),
      c.name,
    ).toContain("full");
  check(cases, hopper);
});
test("computed operands, bias, activation and residual in one kernel", () => {
  const leaf = (...shape: number[]): Node => input({ shape, dtype: "bf16" });
  const [x, w, bias, rest] = [leaf(20, 48), leaf(40, 48), leaf(40), leaf(20, 40)];
  const y = add(dot(relu(x), permute(w, [1, 0])), bias);
  check([{ name: "fused", inputs: [x, w, bias, rest], outputs: [add(gelu(y), rest), mul(y, y)] }]);
}, 120_000);
/** Elements that background copies move at once. */
const copied = (body: readonly Stmt[]): readonly number[] =>
  body.flatMap((s) =>
    s.kind === "copy" ? [s.count] : [...("body" in s ? copied(s.body) : []), ...("else" in s && s.else ? copied(s.else) : [])],
  );
test("heads that lie apart are copied in whole pieces, from the left and from the right, along k and across it", () => {
  const heads = (): Node => input({ shape: [2, 3, 20, 16], dtype: "bf16" });
  const rows = (x: Node): Node => reshape(permute(x, [0, 2, 1, 3]), [40, 48]);
  const [x, w, g] = [heads(), input({ shape: [48, 24], dtype: "bf16" }), input({ shape: [40, 24], dtype: "bf16" })];
  const cases: Case[] = [
    { name: "along k", inputs: [x, w], outputs: [dot(rows(x), w)] },
    { name: "across k", inputs: [x, g], outputs: [dot(permute(rows(x), [1, 0]), g)] },
    { name: "right", inputs: [x, g], outputs: [dot(permute(g, [1, 0]), rows(x))] },
  ];
  for (const c of cases) {
    const [kernel] = lowerCase(c, [contractTemplate], small).groups.flatMap((l) => (l.group.kind === "claimed" ? l.kernels : []));
    expect(new Set(copied(kernel!.body)), c.name).toEqual(new Set([8]));
  }
  check(cases);
}, 120_000);
test("what an epilogue reads of results' size is asked for before the products, and loaded before anything is stored", () => {
  const leaf = (...shape: number[]): Node => input({ shape, dtype: "bf16" });
  const [x, w, rest] = [leaf(64, 48), leaf(48, 64), leaf(64, 64)];
  const y = add(dot(x, w), rest);
  const c: Case = { name: "residual", inputs: [x, w, rest], outputs: [y, mul(y, rest)] };
  const [kernel] = lowerCase(c, [contractTemplate], small).groups.flatMap((l) => l.kernels);
  const order: string[] = [];
  eachStmt(kernel!.body, (s) => {
    if (s.kind === "prefetch" || s.kind === "mma") order.push(s.kind);
    if (s.kind === "store" && s.buffer.startsWith("early")) order.push("load");
    if (s.kind === "store" && s.buffer.startsWith("out")) order.push("store");
  });
  expect(order.filter((o, i) => o !== order[i - 1])).toEqual(["prefetch", "mma", "load", "store"]);
  check([c]);
}, 120_000);
