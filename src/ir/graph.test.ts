import { describe, expect, test } from "vitest";
import { InternalError } from "../core/errors.js";
import { variable } from "../core/expr.js";
import { add, mul, neg, sin, mul as times } from "../ops/elementwise.js";
import { expand, reshape, reshapeOp } from "../ops/movement.js";
import { input, scalar } from "../ops/source.js";
import { type Graph, topo } from "./graph.js";
import { graphKey, intern } from "./intern.js";
import type { Node } from "./node.js";
import { mapGraph, on, rules, runPasses } from "./rewrite.js";
import { verifyGraph } from "./verify.js";

const graph = (inputs: readonly Node[], outputs: readonly Node[], state: readonly Node[] = [], updates: Graph["updates"] = []): Graph => ({
  inputs,
  state,
  outputs,
  updates,
});
const f32 = (shape: readonly number[], name = ""): Node => input({ shape, dtype: "f32" }, name);

describe("intern", () => {
  test("equal nodes become one, leaves stay apart", () => {
    const [x, y] = [f32([3]), f32([3])];
    const g = intern(graph([x, y], [add(mul(x, y), mul(x, y)), mul(x, y), mul(y, x)]));
    expect(topo(g.outputs).length).toBe(5);
    expect(g.outputs[0]!.inputs[0]).toBe(g.outputs[1]);
    expect(g.outputs[1]).not.toBe(g.outputs[2]);
  });
  test("-0 and 0, and a number and a bigint, are two constants", () => {
    const g = intern(
      graph(
        [],
        [scalar(0, "f32"), scalar(-0, "f32"), scalar(Number.NaN, "f32"), scalar(Number.NaN, "f32"), scalar(0, "f64"), scalar(0n, "i64")],
      ),
    );
    expect(new Set(g.outputs).size).toBe(5);
  });
  test("keys tell structure, not names or identities", () => {
    const key = (swap: boolean, name: string, times: (a: Node, b: Node) => Node): string => {
      const [x, y] = [f32([3], name), f32([3], `${name}2`)];
      return graphKey(graph(swap ? [y, x] : [x, y], [times(x, neg(y))]));
    };
    expect(key(false, "a", mul)).toBe(key(false, "b", mul));
    expect(key(false, "a", mul)).not.toBe(key(true, "a", mul));
    expect(key(false, "a", mul)).not.toBe(key(false, "a", add));
    const x = f32([3]);
    expect(graphKey(graph([x], [x]))).not.toBe(graphKey(graph([], [x], [x])));
    expect(graphKey(graph([], [x], [x], [{ state: x, value: neg(x) }]))).not.toBe(graphKey(graph([], [x, neg(x)], [x])));
  });
});

describe("rewrite", () => {
  test("rules apply bottom-up until none does, and untouched graphs stay the same object", () => {
    const twice = rules("neg-neg", [on(neg.op, (_, x) => (x.op === (neg.op as unknown) ? x.inputs[0] : undefined))]);
    const x = f32([2]);
    const g = graph([x], [neg(neg(neg(neg(sin(x)))))]);
    expect(runPasses(g, [twice], { verify: true }).outputs[0]!.op.name).toBe("sin");
    const plain = graph([x], [sin(x)]);
    expect(twice.run(plain)).toBe(plain);
    expect(mapGraph(plain, (n) => n)).toBe(plain);
  });
  test("types are inferred again where an input's type changes", () => {
    const x = f32([6]);
    const y = reshape(x, [2, 3]);
    const g = graph([x], [neg(y)]);
    const flat = mapGraph(g, (n) => (n.op === (reshapeOp as unknown) ? reshape(n.inputs[0]!, [3, 2]) : n));
    expect(flat.outputs[0]!.type.shape).toEqual([3, 2]);
    verifyGraph(flat);
  });
  test("a pass that breaks the graph is named", () => {
    const x = f32([2]);
    const bad = {
      name: "bad",
      run: (g: Graph): Graph => ({ ...g, outputs: [{ ...g.outputs[0]!, type: { shape: [3], dtype: "f32" as const } }] }),
    };
    expect(() => runPasses(graph([x], [neg(x)]), [bad], { verify: true })).toThrow(/after bad: neg has type f32\[3\]/);
  });
});

describe("verify", () => {
  const x = f32([2], "x");
  const broken: readonly (readonly [string, () => Graph, RegExp])[] = [
    ["a leaf that is not listed", () => graph([], [neg(x)]), /used but not listed/],
    ["a leaf listed twice", () => graph([x], [x], [x]), /listed twice/],
    ["a listed node that is no leaf", () => graph([neg(x)], []), /is no input/],
    ["an update of something that is no state", () => graph([x], [x], [], [{ state: x, value: neg(x) }]), /not of a listed state/],
    [
      "two updates of one state",
      () =>
        graph(
          [],
          [],
          [x],
          [
            { state: x, value: x },
            { state: x, value: x },
          ],
        ),
      /updated twice/,
    ],
    ["an update of another type", () => graph([], [], [x], [{ state: x, value: f32([2, 1]) }]), /not listed|cannot take/],
    ["wrong inputs", () => graph([x], [{ ...add(x, x), inputs: [x, scalar(1, "f32")] }]), /differ in shape/],
    ["attributes that are no data", () => graph([x], [{ ...neg(x), attrs: { f: (() => 1) as never } }]), /not plain data/],
    [
      "a dim with two ranges",
      () => {
        const a = input({ shape: [variable("n", 1, 4)], dtype: "f32" });
        const b = input({ shape: [variable("n", 1, 5)], dtype: "f32" });
        return graph([a, b], [neg(a), neg(b)]);
      },
      /range \[1, 5\] here and \[1, 4\]/,
    ],
  ];
  for (const [name, make, message] of broken)
    test(name, () => {
      expect(() => verifyGraph(make())).toThrow(InternalError);
      expect(() => verifyGraph(make())).toThrow(message);
    });
  test("a cycle", () => {
    const n = neg(x) as { inputs: readonly Node[] } & Node;
    const m = sin(n);
    (n as { inputs: readonly Node[] }).inputs = [m];
    expect(() => verifyGraph(graph([x], [m]))).toThrow(/cycle/);
  });
  test("what is right passes", () => {
    const n = variable("n", 0, 9);
    const y = input({ shape: [n], dtype: "f32" });
    verifyGraph(graph([x, y], [times(x, x), expand(scalar(1, "f32"), [n])], [], []));
  });
});
