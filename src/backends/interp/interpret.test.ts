import { describe, expect, test } from "vitest";
import { variable } from "../../core/expr.js";
import { NdArray } from "../../core/ndarray.js";
import { writeAttrs } from "../../ir/attrs.js";
import type { Node } from "../../ir/node.js";
import * as o from "../../ops/index.js";
import { hostFunctions } from "./host.js";
import { interpret } from "./interpret.js";

const array = (dtype: NdArray["dtype"], ...values: number[]): NdArray => NdArray.of(dtype, [values.length], ([i]) => values[i!]!);
const vector = (dtype: NdArray["dtype"], n: number): Node => o.input({ shape: [n], dtype });

describe("interpret", () => {
  test("rounds every value to its dtype, unless it is the oracle", () => {
    const x = vector("f32", 1);
    const feeds = new Map([[x, array("f32", 1)]]);
    const third = o.div(x, 3);
    expect(interpret([third], feeds)[0]!.data[0]).toBe(Math.fround(1 / 3));
    expect(interpret([third], feeds, { exact: true })[0]!.data[0]).toBe(1 / 3);
    expect(interpret([o.cast(third, "bf16")], feeds)[0]!.data[0]).toBe(0.333984375);
  });
  test("wraps integers, 64-bit ones exactly", () => {
    const x = vector("i64", 1);
    const feeds = new Map([[x, NdArray.of("i64", [1], () => 2n ** 62n + 1n)]]);
    expect(interpret([o.mul(x, x), o.add(x, x)], feeds).map((v) => v.data[0])).toEqual([
      BigInt.asIntN(64, (2n ** 62n + 1n) ** 2n),
      BigInt.asIntN(64, 2n ** 63n + 2n),
    ]);
  });
  test("goes as deep as a graph goes", () => {
    const x = vector("f64", 1);
    let y: Node = x;
    for (let i = 0; i < 100_000; i++) y = o.neg(y);
    expect(interpret([y], new Map([[x, array("f64", 3)]]))[0]!.data[0]).toBe(3);
  });
  test("binds symbolic dims from the shapes of what is fed", () => {
    const n = variable("n", 0, 100);
    const x = o.input({ shape: [n], dtype: "f32" });
    const y = o.cat([x, o.flip(x, 0)]);
    const feeds = new Map([[x, array("f32", 1, 2, 3)]]);
    expect([...interpret([y], feeds)[0]!.data]).toEqual([1, 2, 3, 3, 2, 1]);
    expect([...interpret([o.mean(x)], feeds)[0]!.data]).toEqual([2]);
  });
  test("says which leaf has no value", () => {
    expect(() => interpret([o.input({ shape: [2], dtype: "f32" }, "weights")], new Map())).toThrow(/weights.*f32\[2\]/);
  });
  test("an index that is out of range throws and names the axis' size", () => {
    const [x, i] = [vector("f32", 3), vector("i64", 1)];
    const feeds = new Map([
      [x, array("f32", 1, 2, 3)],
      [i, array("i64", 3)],
    ]);
    expect(() => interpret([o.indexSelect(x, 0, i)], feeds)).toThrow(/index 3 is out of range for an axis of size 3/);
    expect(() => interpret([o.indexAdd(x, 0, i, i.type.dtype === "i64" ? o.fill(o.narrow(x, 0, 0, 1), 1) : x)], feeds)).toThrow(
      /out of range/,
    );
  });
});

describe("host functions", () => {
  test("run one op on bytes, with the call's dims", () => {
    const n = variable("n", 1, 10);
    const slice = hostFunctions("slice")!;
    const bytes = new Uint8Array(new Float32Array([1, 2, 3, 4]).buffer);
    const payload = writeAttrs({ start: [0], size: [n], step: [1] });
    const [got] = slice(payload, [{ type: { shape: [4], dtype: "f32" }, bytes }], [{ shape: [2], dtype: "f32" }], { n: 2 });
    expect([...new Float32Array(got!.buffer)]).toEqual([1, 2]);
  });
  test("know every op and nothing else", () => {
    expect(hostFunctions("softmax")).toBeTypeOf("function");
    expect(hostFunctions("nothing")).toBeUndefined();
  });
});
