import { describe, expect, it } from "vitest";
import { add as plus, mul as times, variable } from "../core/expr.js";
import { topo } from "../ir/graph.js";
import type { Node } from "../ir/node.js";
import { cast } from "../ops/cast.js";
import { add, mul } from "../ops/elementwise.js";
import { expand, reshape, slice, unslice } from "../ops/movement.js";
import { input } from "../ops/source.js";
import { exp } from "../ops/transcendental.js";
import { makeEvaluator } from "./evaluate.js";
import { type Group, groupBuffers } from "./group.js";
import { axis, type Stmt, type Value } from "./kernel.js";

const f32 = (shape: readonly number[]): Node => input({ shape, dtype: "f32" });
function groupOf(...outputs: Node[]): Group {
  const all = topo(outputs);
  const inputs = all.filter((n) => n.op.name === "input");
  return { name: "test", kind: "kernel", nodes: all.filter((n) => !inputs.includes(n)), inputs, outputs, why: [] };
}
const i = variable("i", 0, 3);
const j = variable("j", 0, 4);
const at = (g: Group, index = [i, j]): { v: Value; into: Stmt[] } => {
  const into: Stmt[] = [];
  return { v: makeEvaluator(g, groupBuffers(g)).value(g.outputs[0]!, index, into), into };
};

describe("the evaluator", () => {
  it("turns views into index arithmetic", () => {
    const x = f32([6, 5]);
    expect(at(groupOf(slice(x, [1, 0], [4, 5]))).v).toEqual({ kind: "load", dtype: "f32", buffer: "in0", index: plus(times(i, 5), j, 5) });
    expect(at(groupOf(reshape(x, [30])), [plus(times(i, 5), j)]).v).toMatchObject({ index: plus(times(i, 5), j) });
  });
  it("names what is used twice, once", () => {
    const x = f32([4, 5]);
    const s = add(x, x);
    const { into } = at(groupOf(mul(s, s)));
    expect(into.map((s) => s.kind === "let" && s.value.kind)).toEqual(["load", "op"]);
  });
  it("never evaluates the branch not taken: small ones are selects, large ones statements", () => {
    const x = f32([2, 5]);
    expect(at(groupOf(unslice(x, [4, 5], [1, 0]))).v).toMatchObject({
      kind: "select",
      then: { kind: "load" },
      else: { kind: "const", value: 0 },
    });
    let y = x;
    for (let n = 0; n < 12; n++) y = mul(add(y, y), y);
    const { v, into } = at(groupOf(unslice(y, [4, 5], [1, 0])));
    expect(v.kind).toBe("load");
    expect(into.map((s) => s.kind)).toEqual(["store", "if"]);
  });
  it("drops tests that bounds decide", () => {
    const x = f32([2, 5]);
    expect(at(groupOf(unslice(x, [4, 5], [0, 0])), [variable("k", 0, 1), j]).v.kind).toBe("load");
    expect(at(groupOf(unslice(x, [4, 5], [0, 0])), [variable("k", 2, 3), j]).v.kind).toBe("const");
  });
  it("computes what a loop does not change in front of it", () => {
    const x = f32([4, 5]);
    const b = f32([4]);
    const g = groupOf(add(x, expand(reshape(mul(b, b), [4, 1]), [4, 5])));
    const before: Stmt[] = [];
    const inner: Stmt[] = [];
    const scope = makeEvaluator(g, groupBuffers(g)).scope({ axes: [axis("j", 5, "vector")], before });
    const v = scope.value(g.outputs[0]!, [i, j], inner);
    expect(inner).toEqual([]);
    expect(before).toHaveLength(2);
    expect(v).toMatchObject({ kind: "op", op: "add", args: [{ kind: "load" }, { kind: "ref" }] });
  });
  it("takes an exponential that is near enough where all that leaves is rounded to 16 bits", () => {
    const x = input({ shape: [4, 5], dtype: "bf16" });
    const y = exp(x);
    const wide = exp(cast(x, "f32"));
    expect(at(groupOf(y)).v).toMatchObject({ op: "expnear" });
    expect(at(groupOf(cast(wide, "f16"))).v).toMatchObject({ op: "cast", args: [{ op: "expnear" }] });
    expect(at(groupOf(wide)).v).toMatchObject({ op: "exp" });
    const sum = groupOf(y, wide);
    expect(makeEvaluator(sum, groupBuffers(sum)).value(y, [i, j], [])).toMatchObject({ op: "exp" });
  });
  it("takes chains of thousands of ops", () => {
    let y = f32([4, 5]);
    for (let n = 0; n < 20_000; n++) y = add(y, f32([]).type.shape.length ? y : y);
    const { into } = at(groupOf(y));
    expect(into.length).toBeGreaterThan(600);
  });
});
