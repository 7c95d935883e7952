/** What the ops refuse, and in which words. */
import { describe, expect, test } from "vitest";
import { ArgumentError, DTypeError, ShapeError, UnsupportedError } from "../core/errors.js";
import { variable } from "../core/expr.js";
import type { Node } from "../ir/node.js";
import * as o from "./index.js";

const of = (shape: readonly number[], dtype: Node["type"]["dtype"] = "f32"): Node => o.input({ shape, dtype });
type Case = readonly [what: string, call: () => unknown, error: new (m: string) => Error, message: RegExp];
const m = of([3, 4]);
const refused: readonly Case[] = [
  ["shapes that do not broadcast", () => o.add(m, of([3])), ShapeError, /add: shapes \[3, 4\] and \[3\] do not broadcast/],
  ["bool that is negated", () => o.neg(of([2], "bool")), DTypeError, /neg: bool\[2\]/],
  ["bits of floats", () => o.bitwiseAnd(m, m), DTypeError, /bitwiseAnd: f32\[3, 4\]/],
  ["a reshape to another size", () => o.reshape(m, [5]), ShapeError, /reshape: \[3, 4\].*\[5\]/],
  ["two unknown sizes", () => o.reshape(m, [-1, -1]), ShapeError, /only one size can be -1/],
  ["an expand that shrinks", () => o.expand(m, [3, 2]), ShapeError, /expand: \[3, 4\] does not broadcast to \[3, 2\]/],
  ["a dim that is not there", () => o.sum(m, 2), ShapeError, /sum: dim 2 is out of range for a tensor of rank 2 \(expected -2 to 1\)/],
  ["a dim twice", () => o.sum(m, [0, -2]), ShapeError, /sum: dims \[0,-2\] name one axis twice/],
  ["the maximum of nothing", () => o.amax(of([3, 0]), 1), ShapeError, /amax: axis 1 of \[3, 0\] has no elements/],
  ["cat of different shapes", () => o.cat([m, of([3, 5])]), ShapeError, /cat: f32\[3, 4\], f32\[3, 5\] differ/],
  ["cat of nothing", () => o.cat([]), ArgumentError, /cat: expected at least one tensor/],
  ["a select past the end", () => o.select(m, 0, 3), ShapeError, /select: index 3 is out of range for axis 0 of \[3, 4\]/],
  ["a negative step", () => o.sliceDim(m, 0, 0, null, -1), ArgumentError, /use flip to reverse/],
  [
    "too much reflection",
    () => o.pad(m, [4, 0], { mode: "reflect" }),
    ArgumentError,
    /reflect cannot add 4 and 0 elements to an axis of 4/,
  ],
  ["float indices", () => o.gather(m, 0, m), DTypeError, /gather: the index f32\[.*must hold integers/],
  ["a mask as an index", () => o.index(m, [of([3], "bool")]), UnsupportedError, /use where, or maskedFill/],
  ["nonzero", () => o.nonzero(m), UnsupportedError, /known only from the data/],
  ["i64 with u64", () => o.add(of([2], "i64"), of([2], "u64")), DTypeError, /no dtype holds both i64 and u64; cast/],
  ["sizes of a split", () => o.split(m, [1, 1]), ArgumentError, /do not add up to axis 0 of \[3, 4\]/],
  ["a window too wide", () => o.unfold(m, 1, 5, 1), ShapeError, /window: 5 elements, 1 apart, do not fit into axis 1/],
  ["complex arithmetic", () => o.add(of([2], "complex64"), 1), DTypeError, /no complex arithmetic/],
];

describe("refusals name the op, the shapes and the way out", () => {
  for (const [what, call, error, message] of refused)
    test(what, () => {
      expect(call).toThrow(error);
      expect(call).toThrow(message);
    });
});

describe("broadcasting", () => {
  const n = variable("n", 0, 64);
  test("a symbolic dim goes with itself and with 1", () => {
    const x = o.input({ shape: [n, 3], dtype: "f32" });
    expect(o.add(x, o.input({ shape: [n, 1], dtype: "f32" })).type.shape).toEqual([n, 3]);
    expect(o.add(x, of([1, 3])).type.shape).toEqual([n, 3]);
    expect(() => o.add(x, of([5, 3]))).toThrow(ShapeError);
  });
  test("literals keep a tensor's dtype where its category allows", () => {
    expect(o.add(of([2], "f16"), 0.1).type.dtype).toBe("f16");
    expect(o.add(of([2], "i8"), 3).type.dtype).toBe("i8");
    expect(o.add(of([2], "i8"), 0.5).type.dtype).toBe("f32");
    expect(o.div(of([2], "i8"), 2).type.dtype).toBe("f32");
  });
});
