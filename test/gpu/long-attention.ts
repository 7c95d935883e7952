/** Attention of many long rows, which units that work in the background take: too much for the interpreter, so some rows are computed here. */
import { NdArray } from "../../src/core/ndarray.js";
import type { Node } from "../../src/ir/node.js";
import * as o from "../../src/ops/index.js";
import type { Case } from "../conformance/cases.js";
import { draw, stream } from "../conformance/inputs.js";

interface Shape {
  readonly heads: number;
  readonly keyHeads: number;
  readonly queries: number;
  readonly keys: number;
  readonly depth: 64 | 128;
  readonly causal: boolean;
  readonly dtype: "bf16" | "f16";
  /** Of queries and keys: a large one makes weights that are 0 and 1, and a maximum that grows late. */
  readonly span?: number;
  /** Where the first query stands. */
  readonly offset?: number;
  /** Numbers that are added to scores. */
  readonly mask?: true;
}
const shapes: readonly Shape[] = [
  { heads: 88, keyHeads: 22, queries: 520, keys: 520, depth: 64, causal: true, dtype: "bf16" },
  { heads: 88, keyHeads: 88, queries: 576, keys: 640, depth: 64, causal: false, dtype: "f16" },
  { heads: 88, keyHeads: 11, queries: 513, keys: 777, depth: 64, causal: false, dtype: "bf16", span: 8 },
  { heads: 90, keyHeads: 9, queries: 520, keys: 900, depth: 64, causal: true, dtype: "bf16", offset: 380 },
  { heads: 60, keyHeads: 60, queries: 520, keys: 600, depth: 64, causal: true, dtype: "bf16", mask: true },
  { heads: 12, keyHeads: 3, queries: 4500, keys: 4500, depth: 64, causal: true, dtype: "bf16", span: 4 },
  { heads: 54, keyHeads: 27, queries: 600, keys: 600, depth: 128, causal: true, dtype: "f16" },
  { heads: 54, keyHeads: 54, queries: 520, keys: 1024, depth: 128, causal: false, dtype: "bf16", span: 4 },
];
const named = new Map<string, Shape>(shapes.map((s) => [`long attention ${JSON.stringify(s)}`, s]));

/** The cases, to be made when they are needed. */
export const longAttentionCases = (): (() => Case)[] =>
  [...named].map(([name, s]) => () => {
    const { span = 2 } = s;
    const next = stream(name);
    const feeds = new Map<Node, NdArray>();
    const leaf = (heads: number, rows: number, most: number): Node => {
      const node = o.input({ shape: [1, heads, rows, s.depth], dtype: s.dtype });
      feeds.set(node, draw(next, s.dtype, node.type.shape as number[], [-most, most]));
      return node;
    };
    const [q, k, v] = [leaf(s.heads, s.queries, span), leaf(s.keyHeads, s.keys, span), leaf(s.keyHeads, s.keys, 2)];
    const mask = s.mask ? o.input({ shape: [s.queries, s.keys], dtype: "f32" }) : null;
    if (mask) feeds.set(mask, draw(next, "f32", [s.queries, s.keys], [-2, 2]));
    const offset = s.offset === undefined ? undefined : o.input({ shape: [1], dtype: "i64" });
    if (offset)
      feeds.set(
        offset,
        NdArray.of("i64", [1], () => BigInt(s.offset!)),
      );
    const y = o.scaledDotProductAttention(q, k, v, mask, { isCausal: s.causal, enableGqa: true, ...(offset && { offset }) });
    return { name, op: "attention", roots: [y], feeds };
  });

/** Weights are rounded before they are multiplied, and results once more. */
const unitOf = { bf16: 2 ** -8, f16: 2 ** -11 } as const;
/** A prime number of rows apart: every place in a tile is looked at. */
const apart = 53;

/** Compares some rows of each head with sums in f64. */
export function judgeLongAttention(c: Case, got: readonly NdArray[]): { readonly wrong: string[]; readonly notCompared: string[] } {
  const s = named.get(c.name)!;
  const { depth, keys, queries } = s;
  const [q, k, v, mask] = [...c.feeds.values()].map((x) => x.data) as [Float64Array, Float64Array, Float64Array, Float64Array];
  const y = got[0]!.data as Float64Array;
  const weights = new Float64Array(keys);
  let worst = 0;
  let where = "";
  for (let row = 0; row < s.heads * queries; row += apart) {
    const [head, query] = [Math.floor(row / queries), row % queries];
    const from = Math.floor((head * s.keyHeads) / s.heads) * keys * depth;
    const seen = s.causal ? Math.min(keys, query + (s.offset ?? 0) + 1) : keys;
    let most = Number.NEGATIVE_INFINITY;
    for (let j = 0; j < seen; j++) {
      let score = 0;
      for (let d = 0; d < depth; d++) score += q[row * depth + d]! * k[from + j * depth + d]!;
      weights[j] = score / Math.sqrt(depth) + (s.mask ? mask[query * keys + j]! : 0);
      most = Math.max(most, weights[j]!);
    }
    let total = 0;
    for (let j = 0; j < seen; j++) total += weights[j] = Math.exp(weights[j]! - most);
    for (let d = 0; d < depth; d++) {
      let [sum, size] = [0, 0];
      for (let j = 0; j < seen; j++) {
        const term = (weights[j]! / total) * v[from + j * depth + d]!;
        sum += term;
        size += Math.abs(term);
      }
      const off = Math.abs(sum - Number(y[row * depth + d])) / (unitOf[s.dtype] * (Math.abs(sum) + size) + 1e-6);
      if (!(off <= worst)) [worst, where] = [off, `head ${head}, query ${query}, ${d}: ${y[row * depth + d]} for ${sum}`];
    }
  }
  return { wrong: worst <= 1 ? [] : [`${c.name}: ${worst} times what is allowed at ${where}`], notCompared: [] };
}
