import { describe, expect, test } from "vitest";
import { interpret } from "../backends/interp/interpret.js";
import { NdArray } from "../core/ndarray.js";
import { topo } from "../ir/graph.js";
import { make, type Node, type Op, op } from "../ir/node.js";
import { pick } from "../ir/pick.js";
import { add, cast, exp, mul, sin, sub } from "../ops/elementwise.js";
import { argmax, sum } from "../ops/index.js";
import { input } from "../ops/source.js";
import { grad, vjp } from "./grad.js";

const x = input({ shape: [3], dtype: "f64" }, "x");
const y = input({ shape: [3], dtype: "f64" }, "y");
const feeds = new Map([
  [x, NdArray.of("f64", [3], ([i]) => 0.5 + i!)],
  [y, NdArray.of("f64", [3], ([i]) => 2 - i!)],
]);
const values = (...nodes: Node[]): number[][] => interpret(nodes, feeds).map((a) => [...(a.data as Float64Array)]);
const near = (got: readonly number[], want: readonly number[]): void => {
  expect(got.length).toBe(want.length);
  for (const [i, v] of got.entries()) expect(v).toBeCloseTo(want[i]!, 12);
};
const xs = [0.5, 1.5, 2.5];
const ys = [2, 1, 0];

/** No derivative of its own: differentiated through its decomposition. */
const bumpOp: Op<[Node, Node], Record<string, never>> = op({
  name: "testBump",
  kind: "composite",
  infer: ([a]) => a,
  decompose: (_, [a, b]) => add(mul(a, sin(b)), a),
});
const bump = (a: Node, b: Node): Node => make(bumpOp, [a, b], {});
/** Two results, with a rule that sees both cotangents. */
const bothOp: Op<[Node], Record<string, never>> = op<[Node], Record<string, never>>({
  name: "testBoth",
  kind: "composite",
  infer: ([a]) => [a, a],
  decompose: (_, [a]) => [mul(a, a), exp(a)],
});
/** Several results and a rule of its own. */
const pairOp: Op<[Node], Record<string, never>> = op<[Node], Record<string, never>>({
  name: "testPair",
  kind: "composite",
  infer: ([a]) => [a, a],
  vjp: (_, n, [p, q]) => {
    const a = n.inputs[0]!;
    const terms = [p && mul(p, cast(mul(a, 2), "f64")), q && mul(q, exp(a))].filter((t): t is Node => !!t);
    return [terms.reduce((s, t) => add(s, t))];
  },
  decompose: (_, [a]) => [mul(a, a), exp(a)],
});
const opaqueOp: Op<[Node], Record<string, never>> = op({ name: "testOpaque", kind: "opaque", infer: ([a]) => a, reference: ([a]) => a });

describe("grad", () => {
  test("shared values add up, unused ones are zero", () => {
    const z = input({ shape: [2], dtype: "f32" });
    const loss = sum(mul(add(x, x), mul(x, y)));
    const [gx, gy, gz] = grad(loss, [x, y, z]);
    near(
      values(gx!)[0]!,
      xs.map((a, i) => 4 * a * ys[i]!),
    );
    near(
      values(gy!)[0]!,
      xs.map((a) => 2 * a * a),
    );
    expect(gz!.type).toEqual({ shape: [2], dtype: "f32" });
    expect([...(interpret([gz!], feeds)[0]!.data as Float64Array)]).toEqual([0, 0]);
  });
  test("of intermediate values, and through them", () => {
    const s = sin(x);
    const [gs, gx] = grad(sum(mul(s, s)), [s, x]);
    near(
      values(gs!)[0]!,
      xs.map((a) => 2 * Math.sin(a)),
    );
    near(
      values(gx!)[0]!,
      xs.map((a) => 2 * Math.sin(a) * Math.cos(a)),
    );
  });
  test("twice", () => {
    const [g] = grad(sum(mul(mul(x, x), x)), [x]);
    const [h] = grad(sum(g!), [x]);
    near(
      values(h!)[0]!,
      xs.map((a) => 6 * a),
    );
  });
  test("through a decomposition, also with one input twice and one input made of another", () => {
    const [gx, gy] = grad(sum(bump(x, y)), [x, y]);
    near(
      values(gx!)[0]!,
      ys.map((b) => Math.sin(b) + 1),
    );
    near(
      values(gy!)[0]!,
      xs.map((a, i) => a * Math.cos(ys[i]!)),
    );
    near(
      values(grad(sum(bump(x, x)), [x])[0]!)[0]!,
      xs.map((a) => Math.sin(a) + 1 + a * Math.cos(a)),
    );
    const s = mul(x, x);
    near(
      values(grad(sum(bump(s, x)), [x])[0]!)[0]!,
      xs.map((a) => 2 * a * (Math.sin(a) + 1) + a * a * Math.cos(a)),
    );
    near(
      values(grad(sum(bump(s, x)), [s])[0]!)[0]!,
      xs.map((a) => Math.sin(a) + 1),
    );
  });
  test("of nodes with several results", () => {
    for (const o of [bothOp, pairOp]) {
      const t = make(o, [x], {});
      const both = grad(sum(add(mul(pick(t, 0), y), pick(t, 1))), [x])[0]!;
      near(
        values(both)[0]!,
        xs.map((a, i) => 2 * a * ys[i]! + Math.exp(a)),
      );
      near(
        values(grad(sum(pick(t, 1)), [x])[0]!)[0]!,
        xs.map((a) => Math.exp(a)),
      );
    }
  });
  test("integers and what has no derivative", () => {
    const i = input({ shape: [3], dtype: "i32" });
    expect(vjp([mul(x, cast(i, "f64"))], [y], [x, i])[1]).toBeNull();
    const chosen = vjp([mul(x, cast(argmax(y, 0), "f64"))], [y], [y]);
    expect(chosen).toEqual([null]);
    expect(() => grad(sum(make(opaqueOp, [x], {})), [x])).toThrow(/testOpaque has no derivative/);
    // Only where a derivative is asked for.
    near(values(grad(sum(mul(make(opaqueOp, [y], {}), x)), [x])[0]!)[0]!, ys);
    expect(() => grad(x, [x])).toThrow(/one element/);
    expect(() => grad(sum(i), [x])).toThrow(/float/);
    expect(() => vjp([x], [], [x])).toThrow(/1 outputs, but 0/);
  });
  test("depth is no limit, and the graph grows linearly", () => {
    let v = x;
    for (let k = 0; k < 20000; k++) v = sub(mul(v, y), x);
    const [g] = grad(sum(v), [x]);
    expect(topo([g!]).length).toBeLessThan(7 * 20000);
  });
});
