/** A step of decoding as one op: a key and a value go into their caches, and queries meet what those then hold. */
import { computeDType, isFloat, isInt } from "../core/dtype.js";
import { ShapeError } from "../core/errors.js";
import type { Dim } from "../core/expr.js";
import { numel, sameShape, showType } from "../core/type.js";
import { make, type Node, type Op, op } from "../ir/node.js";
import { pick, picks } from "../ir/pick.js";
import { clamp, div, floorDivide, mul, sub } from "./arithmetic.js";
import { attentionOp } from "./attention.js";
import { cast } from "./cast.js";
import { eq, le, where } from "./comparison.js";
import { widen } from "./composite.js";
import { logicalAnd } from "./elementwise.js";
import { scatterInto } from "./gather.js";
import { dot, swapLast } from "./matmul.js";
import { cat, expand, narrow, permute, reshape } from "./movement.js";
import { amax, broadcastBack, sum } from "./reduce.js";
import { iota } from "./source.js";
import { exp2 } from "./transcendental.js";

type CachedAttrs = {
  scale: number;
  /** In how many equal parts the keys that are seen are shared out; 1: the result is whole. */
  shares: number;
  /** As attention's attributes say it. */
  causal: true;
  offset: true;
};
type Six = readonly [Node, Node, Node, Node, Node, Node];

/**
 * Queries [..., heads, 1, d], caches [..., key heads, n, d], the key and the value that go into them [..., key heads, 1, d], and one integer,
 * their place, beyond which nothing is seen. Gives both caches, then attention's result; with shares what `joinShares` takes: of each share and query
 * the sum of weighted values, the greatest exponent of 2, and the sum of weights, one after the other in one array.
 */
export const cachedAttentionOp: Op<Six, CachedAttrs> = op({
  name: "cachedAttention",
  kind: "composite",
  infer: ([q, keys, values, k, v, at], { shares }) => {
    const r = q.shape.length;
    const [heads, keyHeads] = [q.shape[r - 3], keys.shape[r - 3]];
    const one = [...keys.shape.slice(0, -2), 1, keys.shape[r - 1]!];
    const fits =
      r >= 3 &&
      isFloat(q.dtype) &&
      [keys, values, k, v].every((x) => x.dtype === q.dtype) &&
      q.shape[r - 2] === 1 &&
      sameShape(keys.shape, values.shape) &&
      [k, v].every((x) => sameShape(x.shape, one)) &&
      sameShape(q.shape.slice(0, -3), keys.shape.slice(0, -3)) &&
      q.shape[r - 1] === keys.shape[r - 1] &&
      typeof heads === "number" &&
      typeof keyHeads === "number" &&
      heads % keyHeads === 0 &&
      isInt(at.dtype) &&
      at.shape.length === r - 3 &&
      numel(at.shape) === 1;
    if (!fits) throw new ShapeError(`cachedAttention: ${[q, keys, values, k, v, at].map(showType).join(", ")} do not fit together`);
    const rows = numel(q.shape.slice(0, -1)) as number;
    const parts = { shape: [shares * rows * ((q.shape[r - 1] as number) + 2)], dtype: computeDType(q.dtype) };
    return [keys, values, shares === 1 ? q : parts];
  },
  decompose: (y, [q, keys, values, k, v, at]) => {
    const { scale, shares } = y.attrs;
    const shape = keys.type.shape;
    const length = shape.at(-2)! as number;
    const place = clamp(at, 0, length - 1);
    const index = expand(reshape(place, [...shape.slice(0, -2).map(() => 1), 1]), [...shape.slice(0, -2), 1]);
    const [allKeys, allValues] = [
      scatterInto(keys, index, k, shape.length - 2, "set"),
      scatterInto(values, index, v, shape.length - 2, "set"),
    ];
    const attrs = { scale, causal: true, mask: false, dropout: false, offset: true };
    const whole = (): Node => pick(make(attentionOp, [q, allKeys, allValues, place], attrs), 0);
    return [allKeys, allValues, shares === 1 ? whole() : partsOf(q, allKeys, allValues, reshape(cast(place, "i32"), []), scale, shares)];
  },
  samples: [1, 3].map((shares) => ({
    shapes: [[1, 4, 1, 8], [1, 2, 20, 8], [1, 2, 20, 8], [1, 2, 1, 8], [1, 2, 1, 8], [1]],
    dtypes: [null, null, null, null, null, "i64" as const],
    range: [[-2, 2] as const, [-2, 2] as const, [-2, 2] as const, [-2, 2] as const, [-2, 2] as const, [3, 19] as const],
    call: (...x: readonly (Node | undefined)[]) =>
      picks(make(cachedAttentionOp, x as unknown as Six, { scale: 0.4, shares, causal: true, offset: true })),
  })),
});

/** What each share of the keys up to `place` comes to. */
function partsOf(q: Node, keys: Node, values: Node, place: Node, scale: number, shares: number): Node {
  const { shape } = q.type;
  const [length, width] = keys.type.shape.slice(-2) as [Dim, Dim];
  const front = keys.type.shape.slice(0, -2);
  const rows = numel(shape.slice(0, -1)) as number;
  const together = (rows / (numel(front) as number)) as number;
  const scores = mul(dot(reshape(widen(q), [...front, together, width]), swapLast(widen(keys))), scale * Math.LOG2E);
  const key = iota(length, "i32");
  const each = floorDivide(place, shares);
  const share = floorDivide(key, cast(sub(each, -1), "i32"));
  const own = logicalAnd(eq(reshape(share, [1, length]), reshape(iota(shares, "i32"), [shares, 1])), reshape(le(key, place), [1, length]));
  const all = [shares, ...front, together, length];
  const seen = expand(reshape(own, [shares, ...front.map(() => 1), 1, length]), all);
  const s = where(seen, expand(reshape(scores, [1, ...all.slice(1)]), all), Number.NEGATIVE_INFINITY);
  const last = all.length - 1;
  const tops = amax(s, [last]);
  const weights = exp2(sub(s, broadcastBack(where(eq(tops, Number.NEGATIVE_INFINITY), 0, tops), s, [last])));
  // One product for each head of keys, the shares among its rows.
  const inside = [...front.keys()].map((i) => i + 1);
  const rowsOf = permute(weights, [...inside, 0, front.length + 1, front.length + 2]);
  const products = dot(reshape(rowsOf, [...front, shares * together, length]), widen(values));
  const sums = permute(reshape(products, [...front, shares, together, width]), [
    front.length,
    ...front.keys(),
    front.length + 1,
    front.length + 2,
  ]);
  return cat(
    [sums, tops, sum(weights, [last])].map((x) => reshape(x, [numel(x.type.shape)])),
    0,
  );
}

/** Attention's result, like `q`, from what its shares of keys come to. */
export function joinShares(parts: Node, q: Node, shares: number): Node {
  const width = q.type.shape.at(-1)! as number;
  const rows = numel(q.type.shape.slice(0, -1)) as number;
  const all = [shares, rows, width];
  const at = (first: number, size: number): Node =>
    expand(reshape(narrow(parts, 0, first, size), [shares, rows, size / shares / rows]), all);
  const [sums, tops, totals] = [
    at(0, shares * rows * width),
    at(shares * rows * width, shares * rows),
    at(shares * rows * (width + 1), shares * rows),
  ];
  const top = amax(tops, [0]);
  const weight = exp2(sub(tops, broadcastBack(where(eq(top, Number.NEGATIVE_INFINITY), 0, top), tops, [0])));
  const total = sum(mul(weight, totals), [0]);
  // Divided first, so that what readers find is a sum: they read it often.
  const part = div(weight, broadcastBack(where(eq(total, 0), 1, total), weight, [0]));
  return reshape(cast(sum(mul(part, sums), [0]), q.type.dtype), q.type.shape);
}
