/** Products that matrix units take, and those of one row, whole tiles or not, with what may stand before and behind them. */
import { interpret } from "../../src/backends/interp/interpret.js";
import type { DType } from "../../src/core/dtype.js";
import type { NdArray } from "../../src/core/ndarray.js";
import { topo } from "../../src/ir/graph.js";
import type { Node } from "../../src/ir/node.js";
import * as o from "../../src/ops/index.js";
import { setFloat32MatmulPrecision } from "../../src/ops/precision.js";
import { type Case, valuesOf } from "../conformance/cases.js";
import { draw, stream } from "../conformance/inputs.js";

const sizes: readonly (readonly [m: number, k: number, n: number])[] = [
  [1, 96, 512],
  [1, 776, 130],
  [1, 2100, 200],
  [1, 768, 768],
  [128, 64, 256],
  [5, 64, 192],
  [2, 8, 2],
  [3, 72, 333],
  [65, 200, 130],
  [300, 128, 1000],
  [129, 640, 257],
  [256, 1024, 512],
  [200, 768, 768],
  [64, 2048, 64],
  [48, 8200, 96],
];
/** What is computed of the product of a [m, k] and w [n, k]; of `rows` w is [k, n], of `turned` a is [k, m]; v is like w. */
const uses: Readonly<Record<string, (a: Node, w: Node, bias: Node, v: Node) => Node[]>> = {
  plain: (a, w) => [o.matmul(a, o.permute(w, [1, 0]))],
  bias: (a, w, bias) => [o.relu(o.add(o.matmul(a, o.permute(w, [1, 0])), bias))],
  wide: (a, w, bias) => [o.add(o.cast(o.matmul(a, o.permute(w, [1, 0])), "f32"), o.cast(bias, "f32"))],
  two: (a, w, bias) => ((y: Node) => [o.gelu(y), o.mul(y, bias)])(o.matmul(a, o.permute(w, [1, 0]))),
  part: (a, w) => [o.matmul(o.sliceDim(a, 0, 1, 3, 1), o.permute(w, [1, 0]))],
  rows: (a, w) => [o.matmul(a, w)],
  gated: (a, w, bias, v) =>
    ((y: Node) => [o.mul(o.silu(o.add(y, bias)), o.matmul(a, o.permute(v, [1, 0])))])(o.matmul(a, o.permute(w, [1, 0]))),
  turned: (a, w) => [o.matmul(o.permute(a, [1, 0]), o.permute(w, [1, 0]))],
  both: (a, w) => [o.matmul(o.permute(a, [1, 0]), w)],
  rounded: (a, w) => [o.matmul(a, o.permute(o.cast(w, a.type.dtype), [1, 0]))],
  batched: (a, w) => [o.matmul(o.stack([a, o.neg(a), a], 0), o.permute(o.stack([w, w, o.neg(w)], 0), [0, 2, 1]))],
};
/** Which uses have a as [k, m], w as [k, n], w in f32. */
const shaped = { turned: ["turned", "both"], rows: ["rows", "both"], wide: ["rounded"] } as const;
const has = (list: readonly string[], use: string): boolean => list.includes(use);

/** The cases, to be made when they are needed. */
export const productCases = (): (() => Case)[] =>
  (["bf16", "f16", "tf32", "f32"] as const).flatMap((kind) =>
    sizes.flatMap((size) =>
      Object.keys(uses)
        .filter((use) => (use !== "part" || size[0] >= 3) && (use !== "rounded" || kind === "bf16" || kind === "f16"))
        .map((use) => () => productCase(use, size, kind)),
    ),
  );
function productCase(use: string, [m, k, n]: (typeof sizes)[number], kind: "bf16" | "f16" | "tf32" | "f32"): Case {
  const dtype: DType = kind === "tf32" ? "f32" : kind;
  setFloat32MatmulPrecision(kind === "tf32" ? "high" : "highest");
  const name = `${use} ${m}x${k}x${n} ${kind}`;
  const next = stream(name);
  const feeds = new Map<Node, NdArray>();
  const leaf = (shape: number[], label: string, of: DType = dtype): Node => {
    const node = o.input({ shape, dtype: of }, label);
    feeds.set(node, draw(next, of, shape, [-1, 1]));
    return node;
  };
  const [a, w, bias, v] = [
    leaf(has(shaped.turned, use) ? [k, m] : [m, k], "a"),
    leaf(has(shaped.rows, use) ? [k, n] : [n, k], "w", has(shaped.wide, use) ? "f32" : dtype),
    leaf([n], "bias"),
    leaf([n, k], "v"),
  ];
  const roots = uses[use]!(a, w, bias, v);
  const used = new Set(topo(roots));
  for (const leaf of feeds.keys()) if (!used.has(leaf)) feeds.delete(leaf);
  return { name, op: "product", roots, feeds };
}
/**
 * Parts of the largest result that operands and sums may lose: f32 in whatever order, what matrix units leave of tf32, and of sums of
 * narrow products, which they cut off at 2^-23 once for every 16 of up to 8,200 terms.
 */
const lost: Readonly<Record<string, number>> = { f32: 4e-6, tf32: 2e-3, bf16: 2 ** -14, f16: 2 ** -14 };
/** What rounding a value may change of it: half of its last place. */
const rounding: Partial<Readonly<Record<DType, number>>> = { bf16: 2 ** -8, f16: 2 ** -11 };
/** Operations whose results need no rounding. */
const exactOps: ReadonlySet<string> = new Set(["neg", "relu"]);

/**
 * Parts of the largest result that roundings to narrow dtypes may change on the way to `root`. A kernel keeps values in f32 or stores
 * them for another one, so each is rounded at most once; a change of one factor or term is at most as large a part of the result.
 */
function roundings(root: Node): number {
  const rounded = topo([root]).filter((n) => n.op.kind !== "leaf" && n.op.kind !== "movement" && !exactOps.has(n.op.name));
  return rounded.reduce((sum, n) => sum + (rounding[n.type.dtype] ?? 0), 0);
}

/** The interpreter adds products up in f64, which no f32 accumulator follows: results are held to a part of the largest one. */
export function judgeProduct(c: Case, got: readonly NdArray[]): { readonly wrong: string[]; readonly notCompared: string[] } {
  const roots = valuesOf(c);
  const exact = interpret(roots, c.feeds, { exact: true });
  const wrong = got.flatMap((g, i): string[] => {
    const want = exact[i]!.data as Float64Array;
    const largest = want.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    const worst = want.reduce((most, x, j) => Math.max(most, Math.abs(x - Number(g.data[j]))), 0);
    const allowed = (lost[c.name.split(" ").find((word) => word in lost)!]! + roundings(roots[i]!)) * largest;
    return worst <= allowed ? [] : [`${c.name} result ${i}: off by ${worst}, allowed ${allowed}`];
  });
  return { wrong, notCompared: [] };
}
