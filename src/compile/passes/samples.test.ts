import { expect, test } from "vitest";
import { vjp } from "../../autodiff/grad.js";
import { interpret } from "../../backends/interp/interpret.js";
import { roundTo } from "../../core/convert.js";
import { isFloat, isWide } from "../../core/dtype.js";
import { hostData, NdArray } from "../../core/ndarray.js";
import type { Graph } from "../../ir/graph.js";
import { intern } from "../../ir/intern.js";
import { allOps, type Node, type Sample } from "../../ir/node.js";
import { pick } from "../../ir/pick.js";
import { verifyGraph } from "../../ir/verify.js";
import "../../ops/index.js";
import { input } from "../../ops/source.js";
import { canonicalize } from "./canonicalize.js";
import { decomposeWhere, isPrimitive } from "./decompose.js";

const special = [Number.NaN, Infinity, -Infinity, -0, 0, 1, -1];

/** A sample's results and derivatives as a graph, and inputs of which every third is a special value. */
function caseOf(sample: Sample): { graph: Graph; feeds: Map<Node, NdArray> } {
  let seed = 9;
  const feeds = new Map<Node, NdArray>();
  const feed = (n: Node, low: number, high: number, odd: boolean): Node => {
    const shape = n.type.shape as readonly number[];
    const data = hostData(
      n.type.dtype,
      shape.reduce((a, b) => a * b, 1),
    );
    for (let i = 0; i < data.length; i++) {
      seed = (Math.imul(seed, 1664525) + 1013904223) | 0;
      const u = (seed >>> 8) / 2 ** 24;
      if (isFloat(n.type.dtype)) data[i] = odd && seed % 3 === 0 ? special[Math.floor(u * special.length)]! : low + u * (high - low);
      else
        data[i] = isWide(n.type.dtype)
          ? BigInt(Math.floor(low + u * (high - low)))
          : n.type.dtype === "bool"
            ? Math.floor(u * 2)
            : Math.max(n.type.dtype[0] === "u" ? 0 : low, Math.floor(low + u * (high - low)));
    }
    feeds.set(n, new NdArray(n.type.dtype, shape, roundTo(n.type.dtype, data)));
    return n;
  };
  const ranges = sample.range ?? [-2, 2];
  const inputs = sample.shapes.map((shape, i) => {
    const [low, high] = (typeof ranges[0] === "number" ? ranges : ranges[i]) as readonly [number, number];
    const dtype = sample.dtypes?.[i] ?? (!sample.test || sample.test.includes("f32") ? "f32" : sample.test[0]!);
    return feed(input({ shape, dtype }, `x${i}`), low, high, true);
  });
  const got = sample.call(...inputs);
  const outputs = ("op" in got ? [got] : got).flatMap((r) => (r.tuple ? r.tuple.map((_, i) => pick(r, i)) : [r]));
  const from = outputs.filter((r) => isFloat(r.type.dtype));
  const cts = from.map((r) => feed(input(r.type, "ct"), -1, 1, false));
  let grads: (Node | null)[] = [];
  try {
    grads = vjp(
      from,
      cts,
      inputs.filter((x) => isFloat(x.type.dtype)),
    );
  } catch {
    // Not differentiable.
  }
  return {
    graph: { inputs: [...inputs, ...cts], state: [], outputs: [...outputs, ...grads.filter((x): x is Node => x !== null)], updates: [] },
    feeds,
  };
}

test("the canonical form of every sample and its derivative computes the same bits", () => {
  const wrong: string[] = [];
  for (const o of allOps())
    o.samples.forEach((sample, at) => {
      const { graph, feeds } = caseOf(sample);
      const primitive = intern(decomposeWhere(graph, (n) => !isPrimitive(n) && !!n.op.decompose));
      const canonical = intern(canonicalize.run(primitive));
      verifyGraph(primitive);
      verifyGraph(canonical);
      const before = interpret(primitive.outputs, feeds);
      const after = interpret(canonical.outputs, feeds);
      before.forEach((want, k) => {
        const bad = want.data.findIndex((v: number | bigint, i: number) => !Object.is(v, after[k]!.data[i]));
        if (bad >= 0) wrong.push(`${o.name}.${at}, output ${k}: element ${bad} was ${want.data[bad]} and became ${after[k]!.data[bad]}`);
      });
    });
  expect(wrong).toEqual([]);
});
