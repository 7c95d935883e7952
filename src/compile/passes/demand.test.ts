import { describe, expect, test } from "vitest";
import { leaf, transformerBlock } from "../../../test/compile/models.js";
import { errorOf, fill } from "../../../test/support/groups.js";
import { cudaCodegen } from "../../backends/cuda/codegen.js";
import { interpret } from "../../backends/interp/interpret.js";
import { sub, variable } from "../../core/expr.js";
import type { Graph } from "../../ir/graph.js";
import { roots, topo } from "../../ir/graph.js";
import type { Node } from "../../ir/node.js";
import { runPasses } from "../../ir/rewrite.js";
import { templates } from "../../kernel/templates/index.js";
import { add, gelu, matmul, mul, permute, scaledDotProductAttention, slice, sum } from "../../ops/index.js";
import { standardPasses } from "../index.js";
import { demanded } from "./demand.js";

const codegen = cudaCodegen({ sm: 90, multiprocessors: 2 }, templates);
const graph = (inputs: readonly Node[], output: Node): Graph => ({ inputs, state: [], outputs: [output], updates: [] });
/** Rows of the products and of attention, in order. */
const rowsOf = (g: Graph): string[] =>
  topo(roots(g)).flatMap((n) => (n.op.name === "dot" || n.op.name === "attention" ? [`${n.op.name} ${n.type.shape.at(-2)}`] : []));
/** The rewritten graph, which computes the same. */
function rewritten(g: Graph): Graph {
  const to = demanded.run(g);
  const feeds = new Map(g.inputs.map((n) => [n, fill(n, n.type.shape as readonly number[])]));
  const [got, want] = [to, g].map((x) => interpret(x.outputs, feeds, { exact: true })[0]!) as [
    ReturnType<typeof fill>,
    ReturnType<typeof fill>,
  ];
  expect(got.shape).toEqual(want.shape);
  expect(errorOf(got, want)).toBeLessThan(1e-12);
  return to;
}

describe("only what is asked for", () => {
  const [q, k, v] = [leaf("q", [1, 2, 8, 4]), leaf("k", [1, 2, 8, 4]), leaf("v", [1, 2, 8, 4])];
  const all = [q, k, v];
  const attended = (rows: readonly [number, number], isCausal: boolean, mask?: Node): Node => {
    const y = scaledDotProductAttention(gelu(q), k, v, mask ?? null, { isCausal });
    const p = permute(y, [0, 2, 1, 3]);
    return slice(mul(p, p), [0, rows[0], 0, 0], [1, rows[1], 2, 4]);
  };
  test("the last query of a causal head sees every key", () => {
    const g = rewritten(graph(all, attended([7, 1], true)));
    expect(rowsOf(g)).toEqual(["attention 1"]);
    expect(topo(roots(g)).find((n) => n.op.name === "attention")!.attrs).toMatchObject({ causal: false, offset: false });
  });
  test("queries in between stand where they stood", () => {
    const g = rewritten(graph(all, attended([2, 3], true)));
    expect(topo(roots(g)).find((n) => n.op.name === "attention")!.attrs).toMatchObject({ causal: true, offset: true });
  });
  test("rows of a mask belong to queries", () => {
    const mask = leaf("m", [8, 8], "bool");
    expect(rowsOf(rewritten(graph([...all, mask], attended([5, 2], false, mask))))).toEqual(["attention 2"]);
  });
  test("columns of a product, and sums of rows", () => {
    const [a, b] = [leaf("a", [6, 8]), leaf("b", [8, 10])];
    const p = matmul(a, b);
    const g = rewritten(graph([a, b], slice(p, [0, 3], [6, 2])));
    expect(topo(roots(g)).find((n) => n.op.name === "dot")!.type.shape).toEqual([6, 2]);
    expect(rowsOf(rewritten(graph([a, b], slice(sum(mul(p, p), 1), [1], [2]))))).toEqual(["dot 2"]);
  });
  test("what is read whole, or by half and more, or in different places, stays whole", () => {
    const [a, b] = [leaf("a", [6, 8]), leaf("b", [8, 10])];
    const p = matmul(a, b);
    const at = (i: number, n = 1): Node => slice(p, [i, 0], [n, 10]);
    expect(rowsOf(rewritten(graph([a, b], add(at(0), sum(p, 0)))))).toEqual(["dot 6"]);
    expect(rowsOf(rewritten(graph([a, b], add(at(0), at(1)))))).toEqual(["dot 6"]);
    expect(rowsOf(rewritten(graph([a, b], at(0, 4))))).toEqual(["dot 6"]);
  });
  test("the last layer of a transformer computes one token behind its keys and values, also where the length is symbolic", () => {
    for (const time of [16, variable("t", 1, 64)]) {
      const x = leaf("x", [1, time, 8]);
      const params: Node[] = [];
      const sizes = { batch: 1, time, channels: 8, heads: 2 };
      const y = transformerBlock(transformerBlock(x, params, sizes), params, sizes);
      const last = slice(y, [0, typeof time === "number" ? 15 : sub(time, 1), 0], [1, 1, 8]);
      const g = runPasses(graph([x, ...params], last), standardPasses(codegen), { verify: true });
      // Queries, keys and values of both layers are one product each; behind them only the first layer has products of all tokens.
      const dots = topo(roots(g)).filter((n) => n.op.name === "dot" && n.type.shape.length < 4 && n.type.shape.at(-2) === time);
      expect(dots.map((n) => n.type.shape.at(-1))).toEqual([24, 8, 32, 8, 24]);
    }
  });
});
