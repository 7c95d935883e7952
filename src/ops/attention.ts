import { isFloat } from "../core/dtype.js";
import { ArgumentError, DTypeError, ShapeError } from "../core/errors.js";
import { type Dim, mul as times } from "../core/expr.js";
import { type Shape, sameShape, showShape, showType } from "../core/type.js";
import { make, type Node, type Op, op } from "../ir/node.js";
import { add, div, mul, sub } from "./arithmetic.js";
import { cast } from "./cast.js";
import { eq, le, where } from "./comparison.js";
import { keepMax, keepSum, sumTo, widen } from "./composite.js";
import { dot, swapLast } from "./matmul.js";
import { expand, reshape } from "./movement.js";
import { broadcastShapes } from "./promotion.js";
import { iota } from "./source.js";
import { exp } from "./transcendental.js";

type AttentionAttrs = { causal: boolean; scale: number; mask: boolean; dropout: boolean };
type Options = {
  /** Query i sees keys 0 to i only. Nothing is materialised: the test is computed from positions. */
  readonly isCausal?: boolean;
  /** Default: 1 / sqrt(size of the last axis). */
  readonly scale?: number;
  /** Key heads may be fewer than query heads: each serves a run of them. */
  readonly enableGqa?: boolean;
  /** Multiplies the probabilities: 0, or 1 / (1 - p) where they are kept. */
  readonly dropoutMask?: Node;
};

/**
 * softmax(query keyᵀ scale + mask) value over [batch, heads, s, d] (torch.nn.functional.scaled_dot_product_attention). A bool mask keeps
 * where it is true, another is added; it broadcasts to [batch, heads, queries, keys]. A query that sees no key gives 0.
 */
export function scaledDotProductAttention(query: Node, key: Node, value: Node, attnMask?: Node | null, options: Options = {}): Node {
  const [q, k, v] = [query.type.shape, key.type.shape, value.type.shape];
  const name = "scaledDotProductAttention";
  const types = [query, key, value].map((x) => showType(x.type)).join(", ");
  if (q.length < 2 || k.length < 2 || v.length < 2) throw new ShapeError(`${name}: ${types} need at least two axes, [..., s, d]`);
  const size = q.at(-1)!;
  if (options.scale === undefined && typeof size !== "number")
    throw new ArgumentError(`${name}: the size ${showShape([size])} of a head is symbolic; pass a scale`);
  const heads = (s: Shape): Dim => (s.length > 2 ? s.at(-3)! : 1);
  const grouped = options.enableGqa === true && heads(q) !== heads(k);
  const keys = broadcastShapes(name, k.slice(0, -2), v.slice(0, -2));
  const batch = grouped
    ? [...broadcastShapes(name, q.slice(0, -3), keys.slice(0, -1)), heads(q)]
    : broadcastShapes(name, q.slice(0, -2), keys);
  const keyBatch = grouped ? [...batch.slice(0, -1), keys.at(-1)!] : batch;
  const to = (x: Node, front: Shape): Node => expand(x, [...front, ...x.type.shape.slice(-2)]);
  const scores = [...batch, q.at(-2)!, k.at(-2)!];
  const masks = [attnMask, options.dropoutMask].flatMap((m) => (m ? [fitMask(m, scores)] : []));
  const attrs = {
    causal: options.isCausal ?? false,
    scale: options.scale ?? 1 / Math.sqrt(size as number),
    mask: !!attnMask,
    dropout: !!options.dropoutMask,
  };
  return make(attentionOp, [to(query, batch), to(key, keyBatch), to(value, keyBatch), ...masks], attrs);
}
/** A mask with every axis of the scores, size 1 where it broadcasts. */
function fitMask(mask: Node, scores: Shape): Node {
  broadcastShapes("scaledDotProductAttention", mask.type.shape, scores);
  return reshape(mask, [...scores.slice(mask.type.shape.length).map(() => 1), ...mask.type.shape]);
}

/** query, key, value, then the mask and the dropout mask that the attributes announce. */
export const attentionOp: Op<readonly Node[], AttentionAttrs> = op({
  name: "attention",
  kind: "composite",
  infer: ([q, k, v, ...rest], attrs) => {
    const [a, b, c] = [q!, k!, v!];
    const list = [a, b, c].map(showType).join(", ");
    if (!isFloat(a.dtype) || b.dtype !== a.dtype || c.dtype !== a.dtype)
      throw new DTypeError(`attention: ${list} must be of one float dtype`);
    const r = a.shape.length;
    const front =
      sameShape(b.shape.slice(0, -2), c.shape.slice(0, -2)) &&
      b.shape.length === r &&
      sameShape(a.shape.slice(0, -3), b.shape.slice(0, -3));
    if (!front || a.shape[r - 1] !== b.shape[r - 1] || b.shape[r - 2] !== c.shape[r - 2] || !groups(a.shape, b.shape))
      throw new ShapeError(`attention: ${list} do not fit together`);
    if (rest.length !== Number(attrs.mask) + Number(attrs.dropout))
      throw new ArgumentError("attention: inputs and attributes differ in masks");
    return { shape: [...a.shape.slice(0, -1), c.shape[r - 1]!], dtype: a.dtype };
  },
  vjp: (ct, y) => {
    const [q, k, v] = y.inputs.slice(0, 3).map(widen) as [Node, Node, Node];
    const [mask, dropout] = [maskOf(y), dropoutOf(y)];
    const g = widen(ct);
    const p = probabilities(y);
    const dp = product(g, swapLast(v));
    const kept = dropout ? mul(dp, dropout) : dp;
    // The rows of p * kept sum to those of g * y, which are shorter; a half float's y is rounded, though.
    const exact = widen(y) === y;
    const ds = mul(p, sub(kept, keepSum(exact ? mul(g, y) : mul(p, kept), [g.type.shape.length - 1])));
    const dq = mul(product(ds, k), y.attrs.scale);
    const dk = mul(dot(swapLast(folded(ds, k.type.shape)), folded(q, k.type.shape)), y.attrs.scale);
    const dv = dot(swapLast(folded(dropout ? mul(p, dropout) : p, v.type.shape)), folded(g, v.type.shape));
    const grads: (Node | null)[] = [dq, dk, dv];
    if (mask) grads.push(mask.type.dtype === "bool" ? null : sumTo(ds, mask.type.shape));
    if (dropout) grads.push(sumTo(mul(p, dp), dropout.type.shape));
    return grads.map((x, i) => x && cast(x, y.inputs[i]!.type.dtype));
  },
  decompose: (y, [, , v]) => {
    const dropout = dropoutOf(y);
    const p = probabilities(y);
    return cast(product(dropout ? mul(p, dropout) : p, widen(v!)), y.type.dtype);
  },
  samples: [
    {
      shapes: [
        [2, 3, 4, 5],
        [2, 3, 6, 5],
        [2, 3, 6, 7],
      ],
      call: (q, k, v) => scaledDotProductAttention(q!, k!, v!),
    },
    {
      shapes: [
        [2, 2, 6, 4],
        [2, 2, 6, 4],
        [2, 2, 6, 4],
      ],
      call: (q, k, v) => scaledDotProductAttention(q!, k!, v!, null, { isCausal: true }),
    },
    {
      shapes: [
        [1, 4, 5, 4],
        [1, 2, 3, 4],
        [1, 2, 3, 4],
        [5, 3],
      ],
      call: (q, k, v, m) => scaledDotProductAttention(q!, k!, v!, m!, { enableGqa: true, scale: 0.7 }),
    },
    {
      shapes: [
        [2, 3, 4],
        [2, 5, 4],
        [2, 5, 4],
        [2, 3, 5],
        [3, 5],
      ],
      dtypes: [null, null, null, "bool", null],
      call: (q, k, v, m, d) => scaledDotProductAttention(q!, k!, v!, m!, { dropoutMask: d! }),
    },
  ],
});

/** How many query heads share a key head; 0 where that is not a whole number. */
function groups(q: Shape, k: Shape): number {
  const [a, b] = [q.at(-3), k.at(-3)];
  if (q.length < 3 || a === b) return 1;
  return typeof a === "number" && typeof b === "number" && b > 0 && a % b === 0 ? a / b : 0;
}
/** [..., query heads, s, d] as [..., key heads, group x s, d], so that a product with a key head serves its whole group: a view. */
function folded(x: Node, k: Shape): Node {
  const [heads, s, d] = x.type.shape.slice(-3) as [Dim, Dim, Dim];
  const by = groups(x.type.shape, k);
  return by === 1 ? x : reshape(x, [...x.type.shape.slice(0, -3), (heads as number) / by, times(s, by), d]);
}
/** The product of [..., query heads, s, a] and [..., key heads, a, b]. */
function product(x: Node, y: Node): Node {
  return reshape(dot(folded(x, y.type.shape), y), [...x.type.shape.slice(0, -1), y.type.shape.at(-1)!]);
}
const maskOf = (y: Node<AttentionAttrs>): Node | null => (y.attrs.mask ? y.inputs[3]! : null);
const dropoutOf = (y: Node<AttentionAttrs>): Node | null => (y.attrs.dropout ? y.inputs.at(-1)! : null);

/** softmax(query keyᵀ scale + masks): [..., heads, queries, keys], in at least f32. */
function probabilities(y: Node<AttentionAttrs>): Node {
  const [q, k] = y.inputs.slice(0, 2).map(widen) as [Node, Node];
  const mask = maskOf(y);
  let s = mul(product(q, swapLast(k)), y.attrs.scale);
  const [rows, columns] = s.type.shape.slice(-2) as [Dim, Dim];
  if (y.attrs.causal) s = where(le(iota(columns, "i32"), reshape(iota(rows, "i32"), [rows, 1])), s, -Infinity);
  if (mask) s = mask.type.dtype === "bool" ? where(mask, s, -Infinity) : add(s, cast(mask, s.type.dtype));
  const axis = s.type.shape.length - 1;
  const top = keepMax(s, [axis]);
  const e = exp(sub(s, mask ? where(eq(top, -Infinity), 0, top) : top));
  const total = keepSum(e, [axis]);
  return div(e, mask ? where(eq(total, 0), 1, total) : total);
}
