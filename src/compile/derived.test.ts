import { describe, expect, test } from "vitest";
import { interpret } from "../backends/interp/interpret.js";
import type { DType } from "../core/dtype.js";
import { NdArray } from "../core/ndarray.js";
import { type Graph, roots } from "../ir/graph.js";
import type { Node } from "../ir/node.js";
import { printGraph } from "../ir/print.js";
import { verifyGraph } from "../ir/verify.js";
import { mul, sub } from "../ops/arithmetic.js";
import { cast } from "../ops/cast.js";
import { gt, where } from "../ops/comparison.js";
import { matmul } from "../ops/matmul.js";
import { expand, permute, slice, unslice } from "../ops/movement.js";
import { sum } from "../ops/reduce.js";
import { full, input } from "../ops/source.js";
import { keepDerived } from "./derived.js";

const leaf = (name: string, shape: readonly number[], dtype: DType = "f32"): Node => input({ shape, dtype }, name);
const [w, x] = [leaf("w", [128, 128]), leaf("x", [4, 128], "bf16")];
const graph = (outputs: readonly Node[], value: Node, state: Node = w): Graph => ({
  inputs: [x],
  state: [state],
  outputs,
  updates: [{ state, value }],
});
const shrunk = mul(w, full([128, 128], 0.5));
const names = (g: Graph): unknown[] => keepDerived(g).derived.map((d) => d.leaf.attrs["name"]);

describe("what is kept of a state", () => {
  test("its narrow cast, once, and the update writes the next one", () => {
    const again = cast(w, "bf16");
    const g = graph([matmul(x, cast(w, "bf16")), sum(again, [0])], sub(shrunk, cast(again, "f32")));
    const kept = keepDerived(g);
    verifyGraph(kept.graph);
    expect(kept.derived).toMatchObject([{ of: 0, leaf: { type: { dtype: "bf16", shape: [128, 128] } } }]);
    expect(kept.graph.state.map((s) => s.attrs["name"])).toEqual(["w", "w_bf16"]);
    // What reads the state itself is its own update alone.
    expect(printGraph(kept.graph).match(/= cast/g)?.length).toBe(2);
    const values = new Map([w, x].map((n, k) => [n, NdArray.of(n.type.dtype, n.type.shape as number[], (_i, i) => Math.sin(i + k))]));
    const before = interpret(roots(g), values);
    const copy = interpret([cast(w, "bf16")], values)[0]!;
    const after = interpret(roots(kept.graph), new Map([...values, [kept.derived[0]!.leaf, copy]]));
    expect(after.slice(0, 3).map((a) => a.data)).toEqual(before.map((b) => b.data));
    expect(after[3]!.data).toEqual(interpret([cast(g.updates[0]!.value, "bf16")], values)[0]!.data);
  });
  test("also what is cast behind index maps that keep every element", () => {
    const { graph: now, derived } = keepDerived(graph([matmul(x, cast(permute(w, [1, 0]), "bf16"))], shrunk));
    expect(derived.length).toBe(1);
    expect(now.outputs[0]!.inputs[1]).toMatchObject({ op: { name: "permute" }, inputs: [derived[0]!.leaf] });
  });
  test("in each dtype that is read", () => {
    expect(names(graph([cast(w, "bf16"), cast(w, "f16")], shrunk))).toEqual(["w_bf16", "w_f16"]);
  });
  test("where an update is left out as a whole, too", () => {
    const on = expand(gt(sum(cast(x, "f32"), [0, 1]), 0), [128, 128]);
    expect(names(graph([cast(w, "bf16")], where(on, shrunk, w)))).toEqual(["w_bf16"]);
  });
});
describe("what is not", () => {
  const small = leaf("s", [127, 128]);
  const [rows, some] = [slice(shrunk, [0, 0], [1, 128]), unslice(full([1, 128], 1, "bool"), [128, 128], [3, 0], [1, 1])];
  const cases: Record<string, Graph> = {
    "a state that the graph does not change": { ...graph([cast(w, "bf16")], shrunk), updates: [] },
    "a wider value": graph([cast(w, "f64")], shrunk),
    "whole numbers": graph([cast(w, "i8")], shrunk),
    "a few elements": graph([cast(small, "bf16")], mul(small, small), small),
    "a cast of a part": graph([cast(slice(w, [0, 0], [1, 128]), "bf16")], shrunk),
    "a cache that takes some rows": graph([cast(w, "bf16")], where(some, unslice(rows, [128, 128], [3, 0], [1, 1]), w)),
    "what is no elementwise update": graph([cast(w, "bf16")], permute(w, [1, 0])),
  };
  test.each(Object.entries(cases))("%s", (_name, g) => {
    expect(keepDerived(g)).toEqual({ graph: g, derived: [] });
  });
});
