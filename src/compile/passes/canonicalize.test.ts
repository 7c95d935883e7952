import { describe, expect, test } from "vitest";
import { interpret } from "../../backends/interp/interpret.js";
import { roundTo } from "../../core/convert.js";
import { type DType, isFloat, isWide } from "../../core/dtype.js";
import { mul as times, variable } from "../../core/expr.js";
import { hostData, NdArray } from "../../core/ndarray.js";
import { type Graph, topo } from "../../ir/graph.js";
import { intern } from "../../ir/intern.js";
import type { Node } from "../../ir/node.js";
import { verifyGraph } from "../../ir/verify.js";
import * as ew from "../../ops/elementwise.js";
import { cat, expand, flip, permute, reshape, slice, unslice } from "../../ops/movement.js";
import { amax, prod, sum } from "../../ops/reduce.js";
import { full, input, scalar } from "../../ops/source.js";
import { canonicalize } from "./canonicalize.js";

const graph = (inputs: readonly Node[], output: Node): Graph => ({ inputs, state: [], outputs: [output], updates: [] });
const floats = [0, -0, 1, -1, 0.5, -2.5, 3, Infinity, -Infinity, Number.NaN, 1e-45, 3e38];
const integers = [0, 1, -1, 2, 3, 127, -128, 2147483647, -2147483648, 5, 77, -9];
const N = floats.length;

/** A column and a row of special values, so that every pair meets. */
function operands(dtype: DType): { x: Node; y: Node; feeds: Map<Node, NdArray> } {
  const x = input({ shape: [N, N], dtype }, "x");
  const y = input({ shape: [N, N], dtype }, "y");
  const values = isFloat(dtype) ? floats : integers;
  const fill = (at: (i: number) => number): NdArray => {
    const data = Float64Array.from({ length: N * N }, (_, i) => values[at(i)]!);
    return new NdArray(
      dtype,
      [N, N],
      roundTo(
        dtype,
        isWide(dtype)
          ? hostData(dtype, 0).constructor === BigInt64Array
            ? BigInt64Array.from(data, (v) => BigInt(v))
            : roundTo(dtype, data)
          : data,
      ),
    );
  };
  return {
    x,
    y,
    feeds: new Map([
      [x, fill((i) => i % N)],
      [y, fill((i) => Math.floor(i / N))],
    ]),
  };
}
/** The canonical form computes the same bits as the graph. */
function check(inputs: readonly Node[], out: Node, feeds: ReadonlyMap<Node, NdArray>): Node {
  const g = graph(inputs, out);
  const c = canonicalize.run(g);
  verifyGraph(c);
  const [before, after] = [interpret(g.outputs, feeds)[0]!, interpret(c.outputs, feeds)[0]!];
  expect(after.shape).toEqual(before.shape);
  for (let i = 0; i < before.data.length; i++)
    if (!Object.is(before.data[i], after.data[i])) expect.fail(`element ${i} was ${before.data[i]} and became ${after.data[i]}`);
  return c.outputs[0]!;
}
const names = (n: Node): string[] => topo([n]).map((m) => m.op.name);

type Case = readonly [string, (x: Node, y: Node) => Node, (x: Node, y: Node) => Node];
const like = (x: Node, v: number): Node => full(x.type.shape, isWide(x.type.dtype) ? BigInt(v) : v, x.type.dtype);
const raw = (f: { readonly op: Node["op"] | unknown }, ...inputs: Node[]): Node => ({
  op: f.op as Node["op"],
  inputs,
  attrs: {},
  type: inputs[0]!.type,
});

const floatRules: readonly Case[] = [
  ["x * 1", (x) => raw(ew.mul, x, like(x, 1)), (x) => x],
  ["1 * x", (x) => raw(ew.mul, like(x, 1), x), (x) => x],
  ["x * -1", (x) => raw(ew.mul, x, like(x, -1)), (x) => ew.neg(x)],
  ["x / 1", (x) => raw(ew.div, x, like(x, 1)), (x) => x],
  ["x / -1", (x) => raw(ew.div, x, like(x, -1)), (x) => ew.neg(x)],
  ["x + -0", (x) => raw(ew.add, x, like(x, -0)), (x) => x],
  ["-0 + x", (x) => raw(ew.add, like(x, -0), x), (x) => x],
  ["x - 0", (x) => raw(ew.sub, x, like(x, 0)), (x) => x],
  ["--x", (x) => ew.neg(ew.neg(x)), (x) => x],
  ["x - -y", (x, y) => ew.sub(x, ew.neg(y)), (x, y) => ew.add(x, y)],
  ["x + -y", (x, y) => ew.add(x, ew.neg(y)), (x, y) => ew.sub(x, y)],
  ["-x + y", (x, y) => ew.add(ew.neg(x), y), (x, y) => ew.sub(y, x)],
  ["-x * -y", (x, y) => ew.mul(ew.neg(x), ew.neg(y)), (x, y) => ew.mul(x, y)],
  ["|-x|", (x) => ew.abs(ew.neg(x)), (x) => ew.abs(x)],
  ["||x||", (x) => ew.abs(ew.abs(x)), (x) => ew.abs(x)],
  ["max(x, x)", (x) => ew.maximum(x, x), (x) => x],
  ["max(x, -inf)", (x) => raw(ew.maximum, x, like(x, -Infinity)), (x) => x],
  ["min(inf, x)", (x) => raw(ew.minimum, like(x, Infinity), x), (x) => x],
  ["pow(x, 1)", (x) => raw(ew.pow, x, like(x, 1)), (x) => x],
  ["pow(x, 2)", (x) => raw(ew.pow, x, like(x, 2)), (x) => ew.mul(x, x)],
  ["where(c, x, x)", (x, y) => ew.where(ew.lt(x, y), x, x), (x) => x],
  ["where(true, x, y)", (x, y) => ew.where(full(x.type.shape, 1, "bool"), x, y), (x) => x],
  ["where(false, x, y)", (x, y) => ew.where(full(x.type.shape, 0, "bool"), x, y), (_, y) => y],
  ["where(!c, x, y)", (x, y) => ew.where(ew.logicalNot(ew.lt(x, y)), x, y), (x, y) => ew.where(ew.lt(x, y), y, x)],
  ["x < x", (x) => ew.lt(x, x), (x) => full(x.type.shape, 0, "bool")],
];
const integerRules: readonly Case[] = [
  ["x * 1", (x) => raw(ew.mul, x, like(x, 1)), (x) => x],
  ["x * 0", (x) => raw(ew.mul, x, like(x, 0)), (x) => like(x, 0)],
  ["x + 0", (x) => raw(ew.add, x, like(x, 0)), (x) => x],
  ["x - x", (x) => ew.sub(x, x), (x) => like(x, 0)],
  ["0 - x", (x) => raw(ew.sub, like(x, 0), x), (x) => ew.neg(x)],
  ["x / 1", (x) => raw(ew.div, x, like(x, 1)), (x) => x],
  ["x rem 1", (x) => raw(ew.fmod, x, like(x, 1)), (x) => like(x, 0)],
  ["(x + 3) + 4", (x) => raw(ew.add, raw(ew.add, x, like(x, 3)), like(x, 4)), (x) => raw(ew.add, x, like(x, 7))],
  ["3 * (x * 5)", (x) => raw(ew.mul, like(x, 3), raw(ew.mul, x, like(x, 5))), (x) => raw(ew.mul, x, like(x, 15))],
  ["x & x", (x) => ew.bitwiseAnd(x, x), (x) => x],
  ["x & 0", (x) => raw(ew.bitwiseAnd, x, like(x, 0)), (x) => like(x, 0)],
  ["x & -1", (x) => raw(ew.bitwiseAnd, x, like(x, -1)), (x) => x],
  ["x | 0", (x) => raw(ew.bitwiseOr, x, like(x, 0)), (x) => x],
  ["x ^ x", (x) => ew.bitwiseXor(x, x), (x) => like(x, 0)],
  ["x ^ 0", (x) => raw(ew.bitwiseXor, x, like(x, 0)), (x) => x],
  ["~~x", (x) => ew.bitwiseNot(ew.bitwiseNot(x)), (x) => x],
  ["x << 0", (x) => raw(ew.shl, x, like(x, 0)), (x) => x],
  ["x == x", (x) => ew.eq(x, x), (x) => full(x.type.shape, 1, "bool")],
  ["x != x", (x) => ew.ne(x, x), (x) => full(x.type.shape, 0, "bool")],
  ["x <= x", (x) => ew.le(x, x), (x) => full(x.type.shape, 1, "bool")],
];
/** What would lose a NaN, an infinity or the sign of a zero. */
const forbidden: readonly (readonly [string, (x: Node, y: Node) => Node])[] = [
  ["x * 0", (x) => raw(ew.mul, x, like(x, 0))],
  ["x + 0", (x) => raw(ew.add, x, like(x, 0))],
  ["x - -0", (x) => raw(ew.sub, x, like(x, -0))],
  ["0 - x", (x) => raw(ew.sub, like(x, 0), x)],
  ["x - x", (x) => ew.sub(x, x)],
  ["x / x", (x) => ew.div(x, x)],
  ["x / 3", (x) => raw(ew.div, x, like(x, 3))],
  ["x == x", (x) => ew.eq(x, x)],
  ["x != x", (x) => ew.ne(x, x)],
  ["x <= x", (x) => ew.le(x, x)],
  ["-(x - y)", (x, y) => ew.neg(ew.sub(x, y))],
  ["(x + 3) + 4", (x) => raw(ew.add, raw(ew.add, x, like(x, 3)), like(x, 4))],
  ["f32 to f16 and back", (x) => ew.cast(ew.cast(x, "f16"), "f32")],
];

describe("scalar rules", () => {
  for (const [list, dtypes] of [
    [floatRules, ["f32", "f64", "f16", "bf16"]],
    [integerRules, ["i32", "i64", "i8"]],
  ] as const)
    for (const [name, build, want] of list)
      test(`${name} on ${dtypes.join(", ")}`, () => {
        for (const dtype of dtypes) {
          const { x, y, feeds } = operands(dtype);
          const got = check([x, y], build(x, y), feeds);
          const both = intern({
            inputs: [x, y],
            state: [],
            outputs: [got, canonicalize.run(graph([x, y], want(x, y))).outputs[0]!],
            updates: [],
          });
          expect(both.outputs[0]).toBe(both.outputs[1]);
        }
      });
  for (const [name, build] of forbidden)
    test(`${name} stays`, () => {
      const { x, y, feeds } = operands("f32");
      const before = build(x, y);
      const got = check([x, y], before, feeds);
      expect(names(got).filter((n) => n !== "constant" && n !== "expand")).toEqual(
        names(before).filter((n) => n !== "constant" && n !== "expand"),
      );
    });
  test("division by a power of two multiplies", () => {
    for (const dtype of ["f16", "bf16", "f32", "f64"] as const)
      for (const by of [2, 0.5, -4, 2 ** 14, 2 ** -14]) {
        const { x, y, feeds } = operands(dtype);
        expect(names(check([x, y], raw(ew.div, x, like(x, by)), feeds))).not.toContain("div");
      }
    const { x, y, feeds } = operands("f32");
    for (const by of [2 ** 127, 2 ** -149, 3, 0, Infinity])
      expect(names(check([x, y], raw(ew.div, x, like(x, by)), feeds))).toContain("div");
  });
  test("casts", () => {
    const { x, y, feeds } = operands("f16");
    expect(check([x, y], ew.cast(ew.cast(x, "f32"), "f16"), feeds)).toBe(x);
    expect(names(check([x, y], ew.cast(ew.cast(x, "f64"), "f32"), feeds))).toEqual(["input", "cast"]);
    const i = operands("i32");
    expect(names(check([i.x, i.y], ew.cast(ew.cast(i.x, "i8"), "i32"), i.feeds))).toEqual(["input", "cast", "cast"]);
    expect(names(check([i.x, i.y], ew.cast(ew.cast(i.x, "f32"), "f64"), i.feeds))).toEqual(["input", "cast", "cast"]);
    expect(names(check([i.x, i.y], ew.cast(ew.cast(i.x, "f64"), "f32"), i.feeds))).toEqual(["input", "cast"]);
    const c = ew.lt(x, y);
    expect(names(check([x, y], ew.ne(ew.cast(c, "f32"), 0), feeds))).toEqual(["input", "input", "lt"]);
  });
  test("constants fold, rounded as their dtype rounds", () => {
    const { x, y, feeds } = operands("f32");
    const third = ew.div(scalar(1, "f32"), scalar(3, "f32"));
    const got = check([x, y], expand(third, [N, N]), feeds);
    expect(got.inputs[0]!.attrs.value).toBe(Math.fround(1 / 3));
    const wrapped = ew.mul(scalar(2n ** 62n, "i64"), scalar(2n, "i64"));
    expect(check([x, y], wrapped, feeds).attrs.value).toBe(-(2n ** 63n));
    expect(check([x, y], ew.sub(scalar(Infinity, "f32"), scalar(Infinity, "f32")), feeds).attrs.value).toBeNaN();
    expect(check([x, y], ew.mul(scalar(-1, "f32"), scalar(0, "f32")), feeds).attrs.value).toBe(-0);
  });
});

describe("movement rules", () => {
  const x = input({ shape: [2, 1, 6], dtype: "f32" }, "x");
  const feeds = new Map([[x, NdArray.of("f32", [2, 1, 6], (_, i) => (i % 5 ? i : -0))]]);
  const run = (n: Node): Node => check([x], n, feeds);
  const cases: readonly (readonly [string, Node, readonly string[]])[] = [
    ["reshape twice", reshape(reshape(x, [12]), [3, 4]), ["input", "reshape"]],
    ["reshape there and back", reshape(reshape(x, [12]), [2, 1, 6]), ["input"]],
    ["permute twice", permute(permute(x, [2, 0, 1]), [1, 2, 0]), ["input"]],
    ["permute that moves only an axis of size 1", permute(x, [1, 0, 2]), ["input", "reshape"]],
    ["expand twice", expand(expand(x, [2, 3, 6]), [4, 2, 3, 6]), ["input", "expand"]],
    ["expand of a reshape that adds axes", expand(reshape(x, [1, 1, 2, 1, 6]), [5, 4, 2, 3, 6]), ["input", "expand"]],
    ["slice of slice", slice(slice(x, [0, 0, 1], [2, 1, 3], [1, 1, 2]), [0, 0, 1], [2, 1, 2]), ["input", "slice"]],
    ["flip twice", flip(flip(x, [0, 2]), [2]), ["input", "flip"]],
    ["flip back", flip(flip(x, [0, 2]), [2, 0]), ["input"]],
    ["flip of an axis of size 1", flip(x, [1]), ["input"]],
    ["cat with nothing", cat([x, slice(x, [0, 0, 0], [0, 1, 6])]), ["input"]],
    ["movement of a broadcast number", flip(permute(expand(scalar(2, "f32"), [3, 4]), [1, 0]), [0]), ["constant", "expand"]],
    ["padding stays", unslice(x, [4, 1, 8], [1, 0, 1]), ["input", "unslice"]],
    ["fold of axes of size 1", amax(x, [1]), ["input", "reshape"]],
    ["product of axes of size 1", prod(x, 1), ["input", "reshape"]],
    ["sum of axes of size 1 stays", sum(x, [1]), ["input", "sum"]],
  ];
  for (const [name, n, want] of cases) test(name, () => expect(names(run(n))).toEqual(want));

  test("operations move before a broadcast", () => {
    const a = input({ shape: [1, 6], dtype: "f32" }, "a");
    const b = input({ shape: [], dtype: "f32" }, "b");
    const fed = new Map([
      [a, NdArray.of("f32", [1, 6], (_, i) => i)],
      [b, NdArray.of("f32", [], () => 3)],
    ]);
    const got = check([a, b], ew.exp(ew.mul(expand(a, [4, 6]), expand(b, [4, 6]))), fed);
    expect(got.op.name).toBe("expand");
    expect(got.inputs[0]!.type.shape).toEqual([1, 6]);
    const n = variable("n", 1, 64);
    const c = input({ shape: [n], dtype: "f32" }, "c");
    const wide = canonicalize.run(graph([c], ew.neg(expand(c, [8, n])))).outputs[0]!;
    expect(wide.op.name).toBe("expand");
    expect(reshape(reshape(wide, [times(n, 8)]), [8, n]).type.shape).toEqual([8, n]);
  });
});
