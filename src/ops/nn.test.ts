import { describe, expect, it } from "vitest";
import { vjp } from "../autodiff/grad.js";
import { interpret } from "../backends/interp/interpret.js";
import { ShapeError } from "../core/errors.js";
import { type Dim, variable } from "../core/expr.js";
import { NdArray } from "../core/ndarray.js";
import type { Shape } from "../core/type.js";
import type { Node } from "../ir/node.js";
import * as ops from "./index.js";

/** Inputs by shape; i64 ones hold small class numbers. */
type Model = { readonly shapes: (n: Dim, s: Dim) => readonly Shape[]; readonly integer?: number; readonly f: (...x: Node[]) => Node };
const models: Readonly<Record<string, Model>> = {
  "linear and gelu": { shapes: (n, s) => [[n, s, 4], [5, 4], [5]], f: (x, w, b) => ops.gelu(ops.linear(x!, w!, b!)) },
  "matmul of batches": {
    shapes: (n, s) => [
      [n, 1, s, 3],
      [2, 3, 4],
    ],
    f: (x, y) => ops.matmul(x!, y!),
  },
  einsum: {
    shapes: (n, s) => [
      [n, s, 4],
      [4, 3],
      [n, 3],
    ],
    f: (x, w, y) => ops.einsum("bsi,ij,bj->bs", x!, w!, y!),
  },
  softmax: { shapes: (n, s) => [[n, s, s]], f: (x) => ops.softmax(x!, -1) },
  "softmax of the batch": { shapes: (n, s) => [[n, s]], f: (x) => ops.logSoftmax(x!, 0) },
  layerNorm: { shapes: (n, s) => [[n, s, 6], [6], [6]], f: (x, w, b) => ops.layerNorm(x!, 6, w!, b!) },
  rmsNorm: { shapes: (n, s) => [[n, s, 6], [6]], f: (x, w) => ops.rmsNorm(x!, 6, w!) },
  groupNorm: { shapes: (n, s) => [[n, 4, s], [4], [4]], f: (x, w, b) => ops.groupNorm(x!, 2, w!, b!, { eps: 0.1 }) },
  "causal attention": {
    shapes: (n, s) => [
      [n, 4, s, 6],
      [n, 2, s, 6],
      [n, 2, s, 6],
    ],
    f: (q, k, v) => ops.scaledDotProductAttention(q!, k!, v!, null, { isCausal: true, enableGqa: true }),
  },
  "attention with a mask": {
    shapes: (n, s) => [
      [n, 2, s, 4],
      [n, 2, 3, 4],
      [n, 2, 3, 4],
      [s, 3],
    ],
    f: (q, k, v, m) => ops.scaledDotProductAttention(q!, k!, v!, m!),
  },
  convolution: { shapes: (n, s) => [[n, 2, s], [3, 2, 3], [3]], f: (x, w, b) => ops.conv1d(x!, w!, b!, { padding: 1 }) },
  "convolution with a stride": {
    shapes: (n, s) => [
      [n, 2, s, 5],
      [4, 1, 3, 2],
    ],
    f: (x, w) => ops.conv2d(x!, w!, null, { stride: 2, padding: 1, groups: 2 }),
  },
  "average pooling": { shapes: (n) => [[n, 2, 6]], f: (x) => ops.avgPool1d(x!, 2) },
  "maximum pooling": { shapes: (n) => [[n, 2, 6, 4]], f: (x) => ops.maxPool2d(x!, 2) },
  "mean squared error": {
    shapes: (n, s) => [
      [n, s],
      [n, s],
    ],
    f: (x, y) => ops.mseLoss(x!, y!),
  },
  "cross entropy": {
    shapes: (n, s) => [
      [n, 5, s],
      [n, s],
    ],
    integer: 1,
    f: (x, t) => ops.crossEntropy(x!, t!),
  },
  "label smoothing": {
    shapes: (n) => [[n, 5], [n]],
    integer: 1,
    f: (x, t) => ops.crossEntropy(x!, t!, { labelSmoothing: 0.2, reduction: "sum" }),
  },
};
const sizes = [
  [0, 3],
  [1, 1],
  [2, 1],
  [3, 7],
] as const;

/** Values and gradients of a model whose dims are given, fed with arrays of concrete ones. */
function run({ shapes, integer, f }: Model, dims: readonly [Dim, Dim], concrete: readonly [number, number]): NdArray[] {
  const feeds = new Map<Node, NdArray>();
  const arrays = shapes(...concrete) as readonly (readonly number[])[];
  const value = (i: number, k: number): number => (i === integer ? (k * 3) % 5 : Math.sin(i + 1.3 * k) * 2);
  const inputs = shapes(...dims).map((shape, i) => {
    const node = ops.input({ shape, dtype: i === integer ? "i64" : "f64" }, `x${i}`);
    feeds.set(
      node,
      NdArray.of(node.type.dtype, arrays[i]!, (_, k) => value(i, k)),
    );
    return node;
  });
  const y = f(...inputs);
  const grads = vjp(
    [y],
    [ops.full(y.type.shape, 1.5, "f64")],
    inputs.filter((_, i) => i !== integer),
  );
  return interpret([y, ...grads.filter((g) => g !== null)], feeds, { exact: true, dims: { n: concrete[0], s: concrete[1] } });
}

describe("symbolic sizes give what fixed ones give", () => {
  const dims = [variable("n", 0, 64), variable("s", 1, 64)] as const;
  it.each(Object.keys(models))("%s", (name) => {
    for (const concrete of sizes) {
      const [got, want] = [run(models[name]!, dims, concrete), run(models[name]!, concrete, concrete)];
      expect(got.map((v) => v.shape)).toEqual(want.map((v) => v.shape));
      got.forEach((v, i) => {
        v.data.forEach((e, k) => {
          expect(
            Object.is(Number(e), Number(want[i]!.data[k])) || Math.abs(Number(e) - Number(want[i]!.data[k])) < 1e-12,
            `${name} ${concrete}: result ${i} at ${k} is ${e}, not ${want[i]!.data[k]}`,
          ).toBe(true);
        });
      });
    }
  });
});

describe("errors name the op and the shapes", () => {
  it("rows of an embedding are whole numbers", () => {
    const [rows, weight] = [ops.input({ shape: [2], dtype: "f32" }), ops.input({ shape: [5, 4], dtype: "f32" })];
    expect(() => ops.embedding(rows, weight)).toThrow("embedding: f32[2] must hold integers");
  });
  const x = (...shape: number[]): Node => ops.input({ shape, dtype: "f32" });
  const wrong: Readonly<Record<string, () => unknown>> = {
    "matmul: f32[2, 3] x f32[4, 5]": () => ops.matmul(x(2, 3), x(4, 5)),
    "linear: f32[2, 3] with weight f32[5, 4]": () => ops.linear(x(2, 3), x(5, 4)),
    "layerNorm: normalized shape [4]": () => ops.layerNorm(x(2, 3), 4),
    "convolve: f32[1, 3, 5, 5] with f32[4, 2, 3, 3]": () => ops.conv2d(x(1, 3, 5, 5), x(4, 2, 3, 3)),
    "crossEntropy: target i64[4]": () => ops.crossEntropy(x(3, 5), ops.input({ shape: [4], dtype: "i64" })),
    "conv2d: [1, 3, 2, 4] padded by 0,0 is smaller than the kernel of [4, 3, 3, 3]": () => ops.conv2d(x(1, 3, 2, 4), x(4, 3, 3, 3)),
    "stack: [2, 3] and [4, 5] differ": () => ops.stack([x(2, 3), x(2, 3), x(4, 5)]),
    "expand: [-1, 3] is no shape": () => ops.expand(x(3), [-1, 3]),
    "mseLoss: shapes [2, 3] and [4, 5] do not broadcast": () => ops.mseLoss(x(2, 3), x(4, 5)),
    "maxPool2d: [3, 4]": () => ops.maxPool2d(x(3, 4), 2),
    'einsum("ij,jk"; [2, 3], [4, 5]): axis j has sizes [3] and [4]': () => ops.einsum("ij,jk", x(2, 3), x(4, 5)),
  };
  it.each(Object.keys(wrong))("%s", (message) => {
    expect(wrong[message]!).toThrow(ShapeError);
    expect(wrong[message]!).toThrow(message);
  });
});

describe("attention against a cache", () => {
  const inputs = (batch: number): Node[] =>
    [
      [batch, 4, 3, 8],
      [batch, 2, 10, 8],
      [batch, 2, 10, 8],
    ].map((shape) => ops.input({ shape, dtype: "f64" }));
  const feedsOf = (nodes: readonly Node[]): [Node, NdArray][] =>
    nodes.map((n, j) => [n, NdArray.of("f64", n.type.shape as number[], (_, i) => Math.sin(i * (j + 1) * 0.7))]);

  it("sees what the mask of a PyTorch cache of fixed size shows: keys up to each query's position", () => {
    const [q, k, v] = inputs(2) as [Node, Node, Node];
    const offset = ops.input({ shape: [2], dtype: "i64" });
    const mask = ops.input({ shape: [2, 1, 3, 10], dtype: "bool" });
    for (const at of [
      [0, 5],
      [-2, 20],
    ]) {
      const y = ops.scaledDotProductAttention(q, k, v, null, { isCausal: true, enableGqa: true, offset });
      const z = ops.scaledDotProductAttention(q, k, v, mask, { enableGqa: true });
      const shown = NdArray.of("bool", [2, 1, 3, 10], ([b, , i, j]) => (j! <= at[b!]! + i! ? 1 : 0));
      const feeds = new Map([...feedsOf([q, k, v]), [offset, NdArray.of("i64", [2], (_, i) => at[i]!)] as const, [mask, shown] as const]);
      const [a, b] = interpret([y, z], feeds, { exact: true });
      expect(a!.data).toEqual(b!.data);
      expect((a!.data as Float64Array).some((x) => x !== 0)).toBe(true);
    }
  });
  it("says what is wrong with an offset", () => {
    const [q, k, v] = inputs(2) as [Node, Node, Node];
    const call =
      (offset: Node | number, isCausal = true) =>
      () =>
        ops.scaledDotProductAttention(q, k, v, null, { isCausal, enableGqa: true, offset });
    expect(call(3, false)).toThrow("isCausal");
    expect(call(ops.input({ shape: [], dtype: "f32" }))).toThrow("whole number");
    expect(call(ops.input({ shape: [3], dtype: "i64" }))).toThrow(ShapeError);
  });
});
