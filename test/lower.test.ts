import { describe, expect, it } from "vitest";
import { cudaTarget } from "../src/backends/cuda/target.js";
import { jsTarget } from "../src/backends/js/target.js";
import { type DType, isFloat } from "../src/core/dtype.js";
import { type Dim, mul as times, variable } from "../src/core/expr.js";
import { NdArray } from "../src/core/ndarray.js";
import type { Node } from "../src/ir/node.js";
import type { Target } from "../src/kernel/codegen.js";
import { templates } from "../src/kernel/templates/index.js";
import { verifyKernel } from "../src/kernel/verify.js";
import { scatterInto } from "../src/ops/gather.js";
import * as ops from "../src/ops/index.js";
import { cummax, cumprod, cumsum } from "../src/ops/scan.js";
import { sort } from "../src/ops/sort.js";
import { input } from "../src/ops/source.js";
import { argmax, argmin, mean } from "../src/ops/statistics.js";
import { type Case, errorOf, fill, interpretKernels, type Lowered, lowerCase, runCases, tolerance } from "./support/groups.js";
import { hasCompiler } from "./support/kernels-in-c.js";

const leaf = (shape: readonly Dim[], dtype: DType = "f32"): Node => input({ shape, dtype }, "x");
const of = (
  name: string,
  shapes: readonly (readonly Dim[])[],
  f: (...x: Node[]) => Node | readonly Node[],
  dtype: DType = "f32",
  dims?: Record<string, number>,
): Case => {
  const inputs = shapes.map((s) => leaf(s, dtype));
  const made = f(...inputs);
  return { name, inputs, outputs: Array.isArray(made) ? made : [made as Node], ...(dims && { dims }) };
};
const layerNorm = (x: Node, w: Node, b: Node): Node => {
  const axis = x.type.shape.length - 1;
  const center = mean(x, axis, { keepdim: true });
  const d = ops.sub(x, center);
  const v = mean(ops.mul(d, d), axis, { keepdim: true });
  return ops.add(ops.mul(ops.mul(d, ops.rsqrt(ops.add(v, 1e-5))), w), b);
};

/** Lowered and verified. */
function lowered(c: Case, target?: Target): Lowered {
  const l = lowerCase(c, templates, target);
  for (const g of l.groups) for (const k of g.kernels) verifyKernel(k, target);
  return l;
}
function check(cases: readonly Case[], target?: Target): void {
  for (const r of runCases(
    cases.map((c) => lowered(c, target)),
    target && interpretKernels,
  )) {
    r.got.forEach((g, i) => {
      const error = errorOf(g, r.want[i]!);
      expect(error, `${r.name} output ${i}`).toBeLessThanOrEqual(tolerance(r.dtypes[i]!));
    });
  }
}

/** Cases of the templates. */
function special(): Case[] {
  const index = (shape: readonly number[], limit: number): { node: Node; fill: NonNullable<Case["fill"]> } => {
    const node = input({ shape, dtype: "i64" }, "index");
    return { node, fill: (n, s) => (n === node ? NdArray.of("i64", s, (_, k) => BigInt((k * 7919) % limit)) : fill(n, s)) };
  };
  const scattered = (
    name: string,
    base: readonly number[],
    at: readonly number[],
    axis: number,
    combine: "add" | "set" | "max",
    dtype: DType = "f32",
  ): Case => {
    const { node, fill } = index(at, base[axis]!);
    const [x, source] = [leaf(base, dtype), leaf([...at, ...base.slice(axis + 1)], dtype)];
    return { name, inputs: [x, node, source], outputs: [scatterInto(ops.mul(x, 1), node, ops.add(source, source), axis, combine)], fill };
  };
  const rows = index([37, 3], 40);
  const grads = leaf([37, 3, 50]);
  const sorted = (x: Node, axis: number, descending = false): Node[] => {
    const s = sort(x, axis, { descending });
    return [s.values, s.indices];
  };
  return [
    of("cumsum of rows", [[13, 50]], (x) => cumsum(ops.exp(x!), 1)),
    of("cumsum of columns", [[13, 50]], (x) => ops.mul(cumsum(x!, 0), 2)),
    of("cumprod in the middle", [[3, 6, 5]], (x) => cumprod(x!, 1)),
    of("cummax", [[9, 37]], (x) => [cummax(x!, 0).values, cummax(x!, 1).indices]),
    of("cumsum bf16", [[9, 20]], (x) => cumsum(x!, 0), "bf16"),
    of("cumsum i32", [[9, 20]], (x) => cumsum(x!, 1), "i32"),
    of("no lines", [[0, 4]], (x) => cumsum(x!, 1)),
    of("empty lines", [[4, 0]], (x) => [cumsum(x!, 1), ...sorted(x!, 1)]),
    scattered("rows", [40, 70], [30], 0, "add"),
    scattered("one column", [40], [100], 0, "add"),
    scattered("batches", [3, 40, 5], [3, 7], 1, "set"),
    scattered("greatest bf16", [10, 33], [30], 0, "max", "bf16"),
    scattered("sum bf16", [10, 33], [30], 0, "add", "bf16"),
    scattered("sum i32", [10, 33], [30], 0, "add", "i32"),
    {
      name: "embedding gradient",
      inputs: [rows.node, grads],
      outputs: [ops.mul(scatterInto(ops.full([40, 50], 0), rows.node, grads, 0, "add"), 3)],
      fill: rows.fill,
    },
    of("sorted rows", [[7, 50]], (x) => sorted(x!, 1)),
    of("sorted columns", [[33, 7]], (x) => sorted(ops.neg(x!), 0, true)),
    of("sorted NaN", [[5, 9]], (x) => sorted(ops.log(x!), 1)),
    of("sorted NaN down", [[5, 9]], (x) => sorted(ops.log(x!), 1, true)),
    of("sorted i8", [[5, 40]], (x) => sorted(x!, 1), "i8"),
    of("sorted bool", [[5, 40]], (x) => sorted(x!, 1), "bool"),
    of("sorted f16", [[5, 40]], (x) => sorted(x!, 1), "f16"),
    of("sorted i64", [[2, 1]], (x) => sorted(x!, 1), "i64"),
  ];
}

describe.skipIf(!hasCompiler())("generated kernels compute what the interpreter computes", () => {
  it("maps", () => {
    check([
      of("flat", [[1000], [1000]], (a, b) => ops.add(ops.mul(a!, b!), a!)),
      of(
        "two outputs",
        [
          [33, 7],
          [33, 7],
        ],
        (a, b) => [ops.add(a!, b!), ops.mul(a!, b!)],
      ),
      of("row and column", [[33, 70], [70], [33, 1]], (a, b, c) => ops.mul(ops.add(a!, b!), c!)),
      of("scalar", [[40, 50], []], (a, s) => ops.mul(a!, s!)),
      of("rank 0", [[], []], (a, s) => ops.mul(a!, s!)),
      of("empty", [[0, 5]], (a) => ops.add(a!, 1)),
      of("permuted", [[5, 6, 40]], (a) => ops.add(ops.permute(a!, [1, 0, 2]), 1)),
      of("transposed", [[50, 60]], (a) => ops.add(ops.permute(a!, [1, 0]), 1)),
      of("heads", [[3, 10, 4, 16]], (a) => ops.add(ops.reshape(ops.permute(a!, [0, 2, 1, 3]), [12, 10, 16]), 1)),
      of("sliced", [[40, 50]], (a) => ops.add(ops.slice(a!, [1, 2], [20, 15], [2, 3]), 1)),
      of("flipped", [[40, 50]], (a) => ops.add(ops.flip(a!, [1]), a!)),
      of("padded", [[40, 50]], (a) => ops.exp(ops.unslice(a!, [45, 70], [2, 7], [1, 1]))),
      of(
        "cat",
        [
          [7, 20],
          [7, 31],
        ],
        (a, b) => ops.mul(ops.cat([a!, ops.exp(b!)], 1), 2),
      ),
      of(
        "large cat",
        [
          [300, 200],
          [300, 310],
        ],
        (a, b) => ops.mul(ops.cat([a!, b!], 1), 2),
      ),
      of("long chain behind a pad", [[20, 20]], (a) => {
        let y = a!;
        for (let i = 0; i < 8; i++) y = ops.sin(ops.add(y, ops.mul(y, y)));
        return ops.unslice(y, [24, 40], [1, 3]);
      }),
    ]);
  });
  it("reductions", () => {
    check([
      of("softmax", [[37, 130]], (x) => ops.softmax(x!, 1)),
      of("softmax over the middle", [[3, 20, 33]], (x) => ops.softmax(x!, 1)),
      of("logSoftmax of 3", [[50, 3]], (x) => ops.logSoftmax(x!, 1)),
      of("layerNorm", [[20, 300], [300], [300]], (x, w, b) => layerNorm(x!, w!, b!)),
      of("layerNorm of 3 axes", [[4, 5, 64], [64], [64]], (x, w, b) => layerNorm(x!, w!, b!)),
      of("sum over the first", [[300, 70]], (x) => ops.sum(x!, 0)),
      of("sum over first and last", [[30, 7, 90]], (x) => ops.sum(x!, [0, 2])),
      of("sum over the middle", [[30, 70, 9]], (x) => ops.sum(x!, 1)),
      of("whole sum", [[1000, 700]], (x) => ops.sum(x!)),
      of("few rows", [[3, 100_000]], (x) => ops.sum(ops.mul(x!, x!), 1)),
      of("few columns kept", [[30_000, 10]], (x) => [ops.sum(x!, 0), ops.amax(x!, 0)]),
      of("large mean with epilogue", [[500, 700]], (x) => ops.sqrt(mean(ops.mul(x!, x!)))),
      of("max and argmax", [[30, 50]], (x) => [ops.amax(x!, 1), argmax(x!, 1), argmin(x!, 0)]),
      of("matrix-vector", [[203, 1000], [1000]], (x, y) => ops.sum(ops.mul(x!, y!), 1)),
      of("two rows at once", [[64, 256]], (x) => [ops.sum(x!, 1), ops.amax(x!, 1), ops.exp(x!)]),
      of("per row and per element", [[64, 256]], (x) => {
        const s = ops.sum(x!, 1, { keepdim: true });
        return [s, ops.div(x!, s)];
      }),
      of("product of nothing", [[0, 5]], (x) => [ops.sum(x!, 0), ops.prod(x!, 0)]),
      of("rows of nothing", [[5, 0]], (x) => [ops.sum(x!, 1), ops.prod(x!, 1)]),
      of("reversed rows", [[20, 64]], (x) => ops.softmax(ops.permute(x!, [1, 0]), 1)),
    ]);
  });
  it("dtypes", () => {
    const all: DType[] = ["u8", "i8", "i16", "u32", "i32", "i64", "u64", "f16", "bf16", "f64"];
    check([
      ...all.map((d) => of(`map ${d}`, [[5, 77], [77]], (a, b) => ops.mul(ops.add(a!, b!), 3), d)),
      ...all.map((d) =>
        of(
          `reductions ${d}`,
          [[5, 77]],
          (a) => [ops.sum(a!, 1), ops.amax(a!, 0), ops.amin(a!, 1), ops.prod(ops.cast(ops.slice(a!, [0, 0], [5, 6]), d), 1)],
          d,
        ),
      ),
      ...all.filter(isFloat).map((d) => of(`softmax ${d}`, [[9, 100]], (x) => ops.softmax(x!, 1), d)),
      of("any and all", [[9, 100]], (x) => [ops.any(x!, 1), ops.all(x!, 0)], "bool"),
    ]);
  });
  it("scans, scatters, sorts", () => check(special()));
  it("symbolic dims, one kernel for all sizes", () => {
    const n = variable("n", 0, 256);
    const m = variable("m", 0, 256);
    const sizes = [0, 1, 2, 3, 7, 16, 33, 128, 256];
    const pairs = sizes.flatMap(
      (a, i) =>
        [
          [a, sizes[(i * 4 + 1) % 9]!],
          [a, a],
        ] as [number, number][],
    );
    const shapes: [string, (readonly Dim[])[], (...x: Node[]) => Node | readonly Node[]][] = [
      ["map", [[n, m], [m]], (x, b) => ops.add(x!, b!)],
      ["flat map", [[n, m]], (x) => ops.mul(x!, x!)],
      ["softmax", [[n, m]], (x) => ops.softmax(x!, 1)],
      ["sum over the first", [[n, m]], (x) => ops.sum(x!, 0)],
      ["norm", [[n, 64], [64], [64]], (x, w, b) => layerNorm(x!, w!, b!)],
      ["heads", [[n, m, 4, 16]], (x) => ops.exp(ops.permute(x!, [0, 2, 1, 3]))],
      ["merged", [[n, m, 16], [16]], (x, b) => ops.add(ops.reshape(x!, [times(n, m), 16]), b!)],
      ["whole sum", [[n, m, 16]], (x) => ops.sum(x!)],
      [
        "cat",
        [
          [n, 5],
          [m, 5],
        ],
        (x, y) => ops.cat([x!, y!], 0),
      ],
    ];
    for (const [name, s, f] of shapes) {
      const base = of(name, s, f);
      const lowered = lowerCase(base);
      const runs = runCases(
        pairs.map(([a, b]) => ({ ...lowered, case: { ...base, name: `${name} n=${a} m=${b}`, dims: { n: a, m: b } } })),
      );
      for (const r of runs)
        r.got.forEach((g, i) => {
          expect(errorOf(g, r.want[i]!), `${r.name} output ${i}`).toBeLessThanOrEqual(tolerance(r.dtypes[i]!));
        });
    }
  });
});

describe("for other targets, by the kernel interpreter", () => {
  const gpu: Target = { ...cudaTarget({ sm: 80, multiprocessors: 4 }), threads: 64 };
  const small = (): Case[] => [
    of("flat", [[100], [100]], (a, b) => ops.add(ops.mul(a!, b!), a!)),
    of("row and column", [[9, 17], [17], [9, 1]], (a, b, c) => ops.mul(ops.add(a!, b!), c!)),
    of("rank 0", [[], []], (a, s) => ops.mul(a!, s!)),
    of("transposed", [[8, 6]], (a) => ops.add(ops.permute(a!, [1, 0]), 1)),
    of("padded", [[4, 5]], (a) => ops.exp(ops.unslice(a!, [6, 9], [1, 2]))),
    of("softmax", [[5, 70]], (x) => ops.softmax(x!, 1)),
    of("softmax bf16", [[5, 70]], (x) => ops.softmax(x!, 1), "bf16"),
    of("softmax over the middle", [[3, 5, 6]], (x) => ops.softmax(x!, 1)),
    of("long rows", [[2, 2000]], (x) => ops.softmax(x!, 1)),
    of("layerNorm", [[3, 40], [40], [40]], (x, w, b) => layerNorm(x!, w!, b!)),
    of("sum over the first", [[30, 7]], (x) => ops.sum(x!, 0)),
    of("sum over first and last", [[3, 7, 9]], (x) => ops.sum(x!, [0, 2])),
    of("sums of heads over tokens", [[2, 3, 40, 8]], (x) => [ops.sum(x!, [0, 2]), ops.sum(ops.mul(x!, x!), [0, 2])]),
    of("whole sum", [[300, 700]], (x) => ops.sum(x!)),
    of("few columns kept", [[40_000, 5]], (x) => [ops.sum(x!, 0), ops.amax(x!, 0)]),
    of("max and argmax", [[6, 50]], (x) => [ops.amax(x!, 1), argmax(x!, 1)]),
    of("matrix-vector", [[13, 100], [100]], (x, y) => ops.sum(ops.mul(x!, y!), 1)),
  ];
  it("threads", () =>
    check(
      small().filter((c) => c.name !== "whole sum" && c.name !== "few columns kept"),
      gpu,
    ));
  it("rows that fours of warps do not share evenly", () => {
    const four: Target = { ...gpu, threads: 128 };
    const c = of("softmax", [[35, 300]], (x) => ops.softmax(x!, 1));
    expect(lowered(c, four).groups.flatMap((g) => g.kernels.map((k) => [k.grid, k.threads]))).toEqual([[9, 128]]);
    check([c], four);
  });
  it("threads, split", () =>
    check(
      small().filter((c) => c.name === "whole sum" || c.name === "few columns kept"),
      gpu,
    ));
  it("one lane", () =>
    check(
      small().filter((c) => c.name !== "few columns kept" && c.name !== "whole sum"),
      jsTarget,
    ));
  it("templates on threads", () => check(special(), gpu));
});
