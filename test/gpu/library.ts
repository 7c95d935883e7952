/** Products that a library may compute, with everything that its call can take along, and attention. */
import { vjp } from "../../src/autodiff/grad.js";
import type { DType } from "../../src/core/dtype.js";
import type { NdArray } from "../../src/core/ndarray.js";
import { topo } from "../../src/ir/graph.js";
import type { Node } from "../../src/ir/node.js";
import * as o from "../../src/ops/index.js";
import { setFloat32MatmulPrecision } from "../../src/ops/precision.js";
import type { Product } from "../../src/runtime/program.js";
import type { Case } from "../conformance/cases.js";
import { draw, stream } from "../conformance/inputs.js";
import { attentionCase, type Shape } from "./attention.js";

export type Sizes = readonly [m: number, k: number, n: number];
/** Leaves that a use may read, by name; `at` and `bt` are turned, `wide` is f32. */
export type Leaves = Readonly<Record<"a" | "at" | "b" | "bt" | "bias" | "c" | "wide", Node>>;
const shapes = ([m, k, n]: Sizes): Readonly<Record<keyof Leaves, readonly number[]>> => ({
  a: [m, k],
  at: [k, m],
  b: [k, n],
  bt: [n, k],
  bias: [n],
  c: [m, n],
  wide: [m, n],
});
const swap = (x: Node): Node => o.permute(x, [1, 0]);

/** What is computed, and what of the call says so. */
export const libraryUses: Readonly<Record<string, readonly [(x: Leaves) => Node, Partial<Product>]>> = {
  plain: [(x) => o.matmul(x.a, x.b), {}],
  "right turned": [(x) => o.matmul(x.a, swap(x.bt)), {}],
  "left turned": [(x) => o.matmul(swap(x.at), x.b), {}],
  "both turned": [(x) => o.matmul(swap(x.at), swap(x.bt)), {}],
  bias: [(x) => o.linear(x.a, x.bt, x.bias), {}],
  gelu: [(x) => o.gelu(o.linear(x.a, x.bt, x.bias), { approximate: "tanh" }), { gelu: true }],
  residual: [(x) => o.add(x.c, o.linear(x.a, x.bt, x.bias)), {}],
  wide: [(x) => o.add(x.wide, o.cast(o.matmul(x.a, x.b), "f32")), {}],
  part: [(x) => o.matmul(o.sliceDim(x.a, 1, 8, 72, 1), o.sliceDim(x.b, 0, 0, 64, 1)), { k: 64 }],
  rows: [
    (x) => {
      const y = o.matmul(x.a, x.b);
      const [m, n] = y.type.shape as [number, number];
      return o.reshape(o.add(o.reshape(y, [2, m / 2, n]), x.bias), [m, n]);
    },
    {},
  ],
};
export const batched = (x: Leaves): Node => o.matmul(o.stack([x.a, o.neg(x.a)], 0), o.stack([x.b, x.b], 0));

/** A case on drawn values. */
export function libraryCase(name: string, dtype: DType, f: (x: Leaves) => Node, sizes: Sizes): Case {
  const label = `${name} ${sizes.join("x")} ${dtype === "f32" ? "tf32" : dtype}`;
  const next = stream(label);
  const feeds = new Map<Node, NdArray>();
  const leaves = Object.fromEntries(
    Object.entries(shapes(sizes)).map(([leaf, shape]) => {
      const own = leaf === "wide" ? "f32" : dtype;
      const node = o.input({ shape, dtype: own }, leaf);
      feeds.set(node, draw(next, own, [...shape], [-1, 1]));
      return [leaf, node];
    }),
  ) as unknown as Leaves;
  const root = f(leaves);
  const used = new Set(topo([root]));
  for (const leaf of feeds.keys()) if (!used.has(leaf)) feeds.delete(leaf);
  return { name: label, op: "product", roots: [root], feeds };
}

/** Attention that a library may compute. */
const attentionShapes: readonly Shape[] = (["bf16", "f16"] as const).flatMap((dtype): readonly Shape[] => [
  { queries: 64, keys: 64, dtype },
  { queries: 130, keys: 130, isCausal: true, dtype, depth: 128 },
  { batch: 2, heads: 6, keyHeads: 2, queries: 100, keys: 77, isCausal: true, dtype, scale: 0.3 },
  { queries: 64, keys: 64, derivatives: true, dtype },
  { heads: 4, queries: 130, keys: 130, isCausal: true, derivatives: true, dtype, depth: 128 },
  { batch: 2, heads: 6, keyHeads: 2, queries: 100, keys: 100, isCausal: true, derivatives: true, dtype, turned: true },
  { heads: 4, keyHeads: 2, queries: 70, keys: 90, derivatives: true, dtype, turned: true, scale: 0.3 },
]);

/** Attention as a model has it, with derivatives: its operands are parts of one product's rows, its result is multiplied. */
export function blockCase([batch, heads, keyHeads, time, depth]: readonly [number, number, number, number, number]): Case {
  const name = `block ${[batch, heads, keyHeads, time, depth].join("x")}`;
  const next = stream(name);
  const feeds = new Map<Node, NdArray>();
  const leaf = (shape: readonly number[]): Node => {
    const node = o.input({ shape, dtype: "bf16" });
    feeds.set(node, draw(next, "bf16", [...shape], [-0.5, 0.5]));
    return node;
  };
  const [width, all] = [heads * depth, (heads + 2 * keyHeads) * depth];
  const [x, w, out, ct] = [leaf([batch, time, width]), leaf([all, width]), leaf([width, width]), leaf([batch, time, width])];
  const rows = o.linear(x, w);
  const part = (from: number, count: number): Node =>
    o.permute(o.reshape(o.sliceDim(rows, 2, from * depth, (from + count) * depth, 1), [batch, time, count, depth]), [0, 2, 1, 3]);
  const [q, k, v] = [part(0, heads), part(heads, keyHeads), part(heads + keyHeads, keyHeads)];
  const y = o.scaledDotProductAttention(q, k, v, null, { isCausal: true, enableGqa: true });
  const z = o.linear(o.reshape(o.permute(y, [0, 2, 1, 3]), [batch, time, width]), out);
  return { name, op: "attention", roots: [z, ...(vjp([z], [ct], [x, w, out]) as Node[])], feeds };
}

/** Cases for a GPU, to be made when they are needed: whole tiles and not, rows that begin at any place. */
export function libraryCases(): (() => Case)[] {
  const sizes: readonly Sizes[] = [
    [72, 96, 80],
    [128, 768, 320],
    [200, 264, 136],
    [512, 256, 200],
    [100, 200, 257],
  ];
  const all = [...Object.entries(libraryUses).map(([name, [f]]) => [name, f] as const), ["batched", batched] as const];
  const products = (["bf16", "f16", "f32"] as const).flatMap((dtype) =>
    sizes.flatMap((s) =>
      all
        .filter(([name]) => name !== "wide" || dtype !== "f32")
        .map(([name, f]) => () => {
          setFloat32MatmulPrecision(dtype === "f32" ? "high" : "highest");
          return libraryCase(name, dtype, f, s);
        }),
    ),
  );
  return [...products, ...attentionShapes.map((shape) => () => attentionCase(shape)), () => blockCase([2, 6, 2, 72, 64])];
}
