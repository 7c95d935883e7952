import { describe, expect, test } from "vitest";
import { adamW, leaf, transformerBlock } from "../../test/compile/models.js";
import { labels, schedule } from "../../test/compile/simulate.js";
import { grad, vjp } from "../autodiff/grad.js";
import { nullBackend } from "../backends/null/index.js";
import { variable } from "../core/expr.js";
import type { Graph } from "../ir/graph.js";
import type { Node } from "../ir/node.js";
import type { Codegen } from "../kernel/codegen.js";
import { contractTemplate } from "../kernel/templates/contract/index.js";
import {
  add,
  cast,
  cat,
  dropout,
  exp,
  indexSelect,
  layerNorm,
  matmul,
  mul,
  neg,
  permute,
  softmax,
  sqrt,
  sub,
  sum,
  tanh,
  uniform,
} from "../ops/index.js";

/** A target with the matmul template. */
const codegen: Codegen = { ...nullBackend.codegen(), claims: [contractTemplate] };
const kernels = (
  inputs: readonly Node[],
  outputs: readonly Node[],
  state: readonly Node[] = [],
  updates: Graph["updates"] = [],
): string[] => labels(schedule({ inputs, state, outputs, updates }, codegen));
const sizes = { batch: 4, time: 128, channels: 256, heads: 4 };
const { batch: B, time: T, channels: C } = sizes;

describe("kernel counts", () => {
  test("a chain of 8 elementwise ops is 1 kernel", () => {
    const x = leaf("x", [1000]);
    expect(kernels([x], [neg(tanh(mul(add(sqrt(exp(sub(neg(x), x))), x), x)))])).toEqual(["neg"]);
  });
  test("softmax is 1 kernel", () => {
    const x = leaf("x", [8, 16, 64]);
    expect(kernels([x], [softmax(x, 2)])).toEqual(["amax_sum_mul"]);
    expect(kernels([x], [softmax(x, 0)])).toHaveLength(1);
  });
  test("softmax forward and backward are 2 kernels", () => {
    const [x, ct] = [leaf("x", [16, 64]), leaf("ct", [16, 64])];
    const y = softmax(x, 1);
    expect(kernels([x, ct], [y, vjp([y], [ct], [x])[0]!]).length).toBeLessThanOrEqual(2);
  });
  test("layerNorm is 1 kernel", () => {
    const [x, w, b] = [leaf("x", [B, T, C]), leaf("w", [C]), leaf("b", [C])];
    expect(kernels([x, w, b], [layerNorm(x, [C], w, b)])).toEqual(["sum_add"]);
  });
  test("rows that an index picks are written once on a CPU, so that the first layer's kernels are those of the others", () => {
    const [table, index] = [leaf("table", [1000, C]), leaf("index", [T], "i64")];
    const weights = Array.from({ length: 3 }, (_, i) => leaf(`w${i}`, [C, C]));
    const layer = (x: Node, w: Node): Node => add(x, matmul(softmax(x, 1), w));
    const outputs = [weights.reduce(layer, indexSelect(table, 0, index))];
    /** How often each product's kernel picks rows itself. */
    const picks = (threads: number): readonly number[] => {
      const target = { ...codegen.target, threads };
      const { order } = schedule({ inputs: [table, index, ...weights], state: [], outputs, updates: [] }, { ...codegen, target });
      const products = order.flatMap(({ group }) => (group?.kind === "claimed" ? [group] : []));
      return products.map((g) => g.nodes.filter((n) => n.op.name === "gather").length);
    };
    expect(picks(1)).toEqual([0, 0, 0]);
    expect(picks(128)).toEqual([1, 0, 0]);
  });
  test("matmul with bias, activation and residual is 1 kernel", () => {
    const [x, w, b, r] = [leaf("x", [64, 32]), leaf("w", [32, 48]), leaf("b", [48]), leaf("r", [64, 48])];
    expect(kernels([x, w, b, r], [add(tanh(add(matmul(x, w), b)), r)])).toEqual(["dot_add"]);
  });
  test("weights that several products read rounded are rounded once; one product rounds them as it reads them", () => {
    const [x, y, w] = [leaf("x", [64, 256], "bf16"), leaf("y", [64, 512], "bf16"), leaf("w", [256, 512])];
    const narrow = cast(w, "bf16");
    expect(kernels([x, y, w], [matmul(x, narrow), matmul(y, permute(narrow, [1, 0]))])).toEqual(["cast", "dot", "dot"]);
    expect(kernels([x, w], [matmul(x, narrow)])).toEqual(["dot"]);
  });
  test("a transformer block forward: 9 kernels", () => {
    const params: Node[] = [];
    const x = leaf("x", [B, T, C]);
    const y = transformerBlock(x, params, sizes);
    expect(kernels([x, ...params], [y])).toEqual([
      "sum_add", // the first norm
      "dot_add", // queries, keys and values, with bias
      "dot", // scores
      "amax_sum_div", // scale, mask, softmax
      "dot", // values by weights
      "dot_add", // projection, bias, residual
      "sum_add", // the second norm
      "dot_mul", // hidden layer, bias, gelu
      "dot_add", // output layer, bias, residual
    ]);
  });
  test("a transformer block forward and backward: at most 30 kernels", () => {
    const params: Node[] = [];
    const [x, ct] = [leaf("x", [B, T, C]), leaf("ct", [B, T, C])];
    const y = transformerBlock(x, params, sizes);
    const list = kernels([x, ct, ...params], [y, ...(vjp([y], [ct], [x, ...params]) as Node[])]);
    // 18 products, 3 softmax parts, 2 norms forward and 2 backward, column sums of biases and norms.
    expect(list.filter((k) => k.startsWith("dot"))).toHaveLength(18);
    expect(list.length).toBeLessThanOrEqual(30);
  });
  test("the same with symbolic batch and time", () => {
    const symbolic = { ...sizes, batch: variable("b", 0, 64), time: variable("t", 0, 512) };
    const params: Node[] = [];
    const x = leaf("x", [symbolic.batch, symbolic.time, C]);
    const ct = leaf("ct", [symbolic.batch, symbolic.time, C]);
    const y = transformerBlock(x, params, symbolic);
    expect(kernels([x, ...params], [y]).length).toBeLessThanOrEqual(10);
    expect(kernels([x, ct, ...params], [y, ...(vjp([y], [ct], [x, ...params]) as Node[])]).length).toBeLessThanOrEqual(30);
  });
  test("dropout draws its numbers inside the kernels that use them", () => {
    const params: Node[] = [];
    const x = leaf("x", [B, T, C]);
    const drop = { p: leaf("p", []), state: leaf("rng", [4], "u32") };
    const y = transformerBlock(x, params, sizes, drop);
    expect(kernels([x, drop.p, drop.state, ...params], [y]).length).toBeLessThanOrEqual(10);
    expect(kernels([x, drop.p, drop.state], [dropout(x, drop.p, drop.state, 1)])).toHaveLength(1);
  });
  test("AdamW is at most 1 kernel for each parameter, in place", () => {
    const shapes = [[64, 32], [64], [32, 64], [7]];
    const params = shapes.map((s, i) => leaf(`p${i}`, s));
    const grads = shapes.map((s, i) => leaf(`g${i}`, s));
    const [m, v] = ["m", "v"].map((n) => shapes.map((s, i) => leaf(`${n}${i}`, s))) as [Node[], Node[]];
    const [lr, step] = [leaf("lr", []), leaf("step", [])];
    const updates = params.flatMap((p, i) => {
      const [p2, m2, v2] = adamW(p, m[i]!, v[i]!, grads[i]!, lr, step);
      return [
        { state: p, value: p2 },
        { state: m[i]!, value: m2 },
        { state: v[i]!, value: v2 },
      ];
    });
    const s = schedule({ inputs: [...grads, lr, step], state: [...params, ...m, ...v], outputs: [], updates }, codegen);
    expect(labels(s)).toHaveLength(4);
    expect(s.plan.tasks.every((t) => t.kind === "group" && t.group!.outputs.every((o) => s.plan.slotOf.get(o)!.role === "state"))).toBe(
      true,
    );
  });
  test("two layers trained with AdamW: products with their update, and nothing is copied", () => {
    const [x, w1, w2, lr, step] = [leaf("x", [64, 32]), leaf("w1", [32, 48]), leaf("w2", [48, 16]), leaf("lr", []), leaf("step", [])];
    const y = matmul(tanh(matmul(x, w1)), w2);
    const loss = sum(mul(y, y), [0, 1]);
    const state: Node[] = [w1, w2];
    const updates = grad(loss, [w1, w2]).flatMap((g, i) => {
      const p = state[i]!;
      const [m, v] = [leaf(`m${i}`, p.type.shape), leaf(`v${i}`, p.type.shape)];
      state.push(m, v);
      return adamW(p, m, v, g, lr, step).map((value, k) => ({ state: [p, m, v][k]!, value }));
    });
    const list = kernels([x, lr, step], [loss], state, updates);
    expect(list).not.toContain("copy");
    expect(list.length).toBeLessThanOrEqual(8);
  });
});

describe("what fusion refuses, and why", () => {
  const why = (inputs: readonly Node[], outputs: readonly Node[], target: Codegen = codegen): string =>
    schedule({ inputs, state: [], outputs, updates: [] }, target)
      .order.flatMap((t) => t.why)
      .join("\n");
  test("a row reduction over tiles", () => {
    const [x, w] = [leaf("x", [64, 32]), leaf("w", [32, 48])];
    expect(why([x, w], [softmax(matmul(x, w), 1)])).toContain("are spread over the tiles of dot");
  });
  test("too many buffers", () => {
    const xs = Array.from({ length: 12 }, (_, i) => leaf(`x${i}`, [64]));
    const narrow: Codegen = { ...codegen, target: { ...codegen.target, maxBuffers: 8 } };
    const total = xs.map((x, i) => (i % 2 ? exp(x) : x)).reduce((a, b) => add(mul(a, b), b));
    const s = schedule({ inputs: xs, state: [], outputs: [total, exp(total)], updates: [] }, narrow);
    for (const t of s.order) expect(t.group!.inputs.length + t.group!.outputs.length).toBeLessThanOrEqual(8);
    const joined = schedule({ inputs: xs, state: [], outputs: [cat(xs, 0)], updates: [] }, narrow);
    for (const t of joined.order) expect(t.group!.inputs.length + t.group!.outputs.length).toBeLessThanOrEqual(8);
  });
  test("a value that many kernels read is computed once if it is dear, and again if it is cheap", () => {
    const [x, y] = [leaf("x", [64, 64]), leaf("y", [64, 64])];
    const dear = tanh(exp(x));
    const three = (v: Node): Node[] => [sum(v, [0]), sum(mul(v, y), [1]), sum(v, [0, 1])];
    expect(
      schedule({ inputs: [x, y], state: [], outputs: three(dear), updates: [] }, codegen).order.flatMap((t) =>
        t.group!.nodes.filter((n) => n.op.name === "exp"),
      ),
    ).toHaveLength(1);
    expect(kernels([x, y], three(neg(x)))).toHaveLength(3);
  });
  test("random numbers are drawn where they are used", () => {
    const state = leaf("rng", [4], "u32");
    expect(kernels([state], [uniform(state, [100], 1)])).toHaveLength(1);
  });
});
