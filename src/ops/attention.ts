import { bytesOf, computeDType, dtypes, isFloat, isInt } from "../core/dtype.js";
import { ArgumentError, DTypeError, ShapeError } from "../core/errors.js";
import { type Dim, mul as times } from "../core/expr.js";
import { type Shape, sameShape, showShape, showType } from "../core/type.js";
import { make, type Node, type Op, op } from "../ir/node.js";
import { pick, picks } from "../ir/pick.js";
import { add, clamp, div, mul, sub } from "./arithmetic.js";
import { cast } from "./cast.js";
import { eq, le, where } from "./comparison.js";
import { keepMax, keepSum, sumTo, widen } from "./composite.js";
import { dotIn, swapLast } from "./matmul.js";
import { expand, permute, reshape } from "./movement.js";
import { computesIn, float32MatmulPrecision } from "./precision.js";
import { broadcastShapes, toNode } from "./promotion.js";
import { sum } from "./reduce.js";
import { iota } from "./source.js";
import { exp, log } from "./transcendental.js";

type AttentionAttrs = {
  causal: boolean;
  scale: number;
  mask: boolean;
  dropout: boolean;
  offset: boolean;
  /** Products of f32 may round their operands to tf32. */
  precision?: "tf32";
  /** The result is [..., queries, heads, d], and so are derivatives: a compiler's choice, where that is how they are read. */
  rows?: boolean;
};
type Options = {
  /** Query i sees keys 0 to i only. Nothing is materialised: the test is computed from positions. */
  readonly isCausal?: boolean;
  /**
   * With `isCausal`: query i sees keys 0 to offset + i, so keys and values may be a cache of fixed size of which the device knows how
   * much is filled. An integer, or a tensor of them that broadcasts to [batch]; what lies behind is not even read.
   */
  readonly offset?: Node | number;
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
    offset: options.offset !== undefined,
    ...(float32MatmulPrecision() === "high" && query.type.dtype === "f32" && { precision: "tf32" as const }),
  };
  const start = options.offset === undefined ? [] : [fitOffset(options.offset, batch, attrs.causal)];
  return pick(make(attentionOp, [to(query, batch), to(key, keyBatch), to(value, keyBatch), ...masks, ...start], attrs), 0);
}
/** An offset with every axis in front of the heads, size 1 where it broadcasts. */
function fitOffset(offset: Node | number, heads: Shape, causal: boolean): Node {
  const batch = heads.slice(0, -1);
  const name = "scaledDotProductAttention";
  if (!causal) throw new ArgumentError(`${name}: an offset says where causal queries stand; pass isCausal, too`);
  const at = toNode(offset, "i32");
  if (!isInt(at.type.dtype)) throw new DTypeError(`${name}: an offset of ${showType(at.type)}; it is a whole number`);
  if (!sameShape(broadcastShapes(name, at.type.shape, batch), batch))
    throw new ShapeError(`${name}: an offset of ${showType(at.type)} does not broadcast to ${showShape(batch)}`);
  return reshape(at, [...batch.slice(at.type.shape.length).map(() => 1), ...at.type.shape]);
}
/** A mask with every axis of the scores, size 1 where it broadcasts. */
function fitMask(mask: Node, scores: Shape): Node {
  broadcastShapes("scaledDotProductAttention", mask.type.shape, scores);
  return reshape(mask, [...scores.slice(mask.type.shape.length).map(() => 1), ...mask.type.shape]);
}

/**
 * query, key, value, then the mask, the dropout mask and the offset that the attributes announce. The second result is the logarithm of each
 * query's sum of exponentials, in at least f32 (0 where it sees no key): the derivative recomputes probabilities from it.
 */
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
    if (rest.length !== Number(attrs.mask) + Number(attrs.dropout) + Number(attrs.offset ?? false))
      throw new ArgumentError("attention: inputs and attributes differ in masks");
    if (attrs.offset && !(attrs.causal && isInt(rest.at(-1)!.dtype) && rest.at(-1)!.shape.length === Math.max(0, r - 3)))
      throw new ArgumentError(`attention: ${showType(rest.at(-1)!)} says where no queries stand`);
    return [
      { shape: turned([...a.shape.slice(0, -1), c.shape[r - 1]!], attrs.rows), dtype: a.dtype },
      { shape: a.shape.slice(0, -1), dtype: computeDType(a.dtype) },
    ];
  },
  vjp: (_, y, [ct, ctRows]) => {
    const mask = maskOf(y);
    const dropout = dropoutOf(y);
    const ofMask = !!mask && mask.type.dtype !== "bool";
    const rest: null[] = y.inputs.slice(3).map(() => null);
    if (dropout || ctRows || y.attrs.offset) return rounded(derivatives(y, y.inputs, ct ?? null, ctRows ?? null, null), y.inputs);
    // Each row's sum of p times its cotangent is that of result times cotangent, which is shorter; a half float's result is rounded.
    const result = pick(y, 0);
    const exact = widen(ct!) === ct!;
    const shares = exact ? sum(mul(ct!, result), [-1]) : null;
    const inputs = [...y.inputs.slice(0, 3), ...(mask ? [mask] : []), ct!, pick(y, 1), shares ?? result];
    const grads: (Node | null)[] = [...picks(make(attentionBackwardOp, inputs, { ...y.attrs, shares: exact, result: !exact })), ...rest];
    // Scores as wide as the mask cannot be avoided where its own derivative is asked for.
    if (ofMask) grads[3] = rounded(derivatives(y, y.inputs, ct!, null, shares), y.inputs)[3]!;
    return grads;
  },
  decompose: (y, [, , v]) => {
    const dropout = dropoutOf(y);
    const { p, rows } = probabilities(y);
    const whole = cast(product(dropout ? mul(p, dropout) : p, widen(v!), y.attrs.precision), y.type.dtype);
    return [y.attrs.rows ? permute(whole, turned([...whole.type.shape.keys()], true)) : whole, rows()];
  },
  samples: [
    {
      shapes: [[2, 4, 3, 8], [2, 2, 9, 8], [2, 2, 9, 8], [2]],
      dtypes: [null, null, null, "i64"],
      range: [
        [-2, 2],
        [-2, 2],
        [-2, 2],
        [-2, 9],
      ],
      call: (q, k, v, at) =>
        picks(scaledDotProductAttention(q!, k!, v!, null, { isCausal: true, enableGqa: true, offset: at! }).inputs[0]!),
    },
    {
      shapes: [[1, 2, 1, 4], [1, 2, 40, 4], [1, 2, 40, 4], []],
      dtypes: [null, null, null, "i32"],
      range: [
        [-2, 2],
        [-2, 2],
        [-2, 2],
        [20, 30],
      ],
      call: (q, k, v, at) => scaledDotProductAttention(q!, k!, v!, null, { isCausal: true, offset: at! }),
    },
    {
      shapes: [
        [2, 3, 4, 5],
        [2, 3, 6, 5],
        [2, 3, 6, 7],
      ],
      call: (q, k, v) => picks(scaledDotProductAttention(q!, k!, v!).inputs[0]!),
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

/** Queries in front of heads. */
function turned<T>(shape: readonly T[], rows: boolean | undefined): T[] {
  if (!rows) return [...shape];
  return [...shape.slice(0, -3), shape.at(-2)!, shape.at(-3)!, shape.at(-1)!];
}

/**
 * Derivatives of attention: query, key, value, perhaps a mask, then the cotangent of the result and the rows' logarithms of sums; at the end
 * perhaps each row's sum of result times cotangent (`shares`), or the result (`result`), from whose rounded values such sums may be made
 * where that is how it is done fast. Gives derivatives of query, key and value; no memory for scores where it is claimed.
 */
export const attentionBackwardOp: Op<readonly Node[], AttentionAttrs & { shares: boolean; result?: boolean }> = op({
  name: "attentionBackward",
  kind: "composite",
  infer: ([q, k, v, ...rest], attrs) => {
    const result = Number(attrs.result ?? false);
    if (rest.length !== 2 + Number(attrs.mask) + Number(attrs.shares) + result || attrs.dropout || attrs.offset)
      throw new ArgumentError("attentionBackward: inputs and attributes differ");
    const [ct, ...more] = rest.slice(Number(attrs.mask));
    const [sums, results] = [more.slice(0, more.length - result), more.slice(more.length - result)];
    const shape = [...q!.shape.slice(0, -1), v!.shape.at(-1)!];
    const fit = [ct!, ...results].every((x) => sameShape(x.shape, shape)) && sums.every((x) => sameShape(x.shape, shape.slice(0, -1)));
    if (!fit) throw new ShapeError(`attentionBackward: ${[ct!, ...more].map(showType).join(", ")} do not fit ${showShape(shape)}`);
    return [q!, k!, v!].map(({ shape: s, dtype }) => ({ shape: turned(s, attrs.rows), dtype }));
  },
  decompose: (y, inputs) => {
    const [ct, , shares] = inputs.slice(3 + Number(y.attrs.mask));
    const grads = rounded(derivatives(y, inputs, ct!, null, y.attrs.shares ? shares! : null).slice(0, 3), y.inputs) as Node[];
    return y.attrs.rows ? grads.map((g) => permute(g, turned([...g.type.shape.keys()], true))) : grads;
  },
  samples: [
    {
      shapes: [
        [2, 4, 5, 3],
        [2, 2, 6, 3],
        [2, 2, 6, 4],
        [2, 4, 5, 4],
      ],
      call: (q, k, v, ct) => attentionDerivatives(q!, k!, v!, null, ct!, true),
    },
    {
      shapes: [
        [2, 3, 4],
        [2, 5, 4],
        [2, 5, 4],
        [3, 5],
        [2, 3, 4],
      ],
      dtypes: [null, null, null, "bool", null],
      call: (q, k, v, m, ct) => attentionDerivatives(q!, k!, v!, m!, ct!, false),
    },
    {
      // As a model's products read them: heads beside each other.
      shapes: [
        [2, 4, 18, 16],
        [2, 2, 19, 16],
        [2, 2, 19, 16],
        [2, 4, 18, 16],
      ],
      call: (q, k, v, ct) => attentionDerivatives(q!, k!, v!, null, ct!, false).map((x) => permute(x, [0, 2, 1, 3])),
    },
  ],
});
/** What the derivative of scaledDotProductAttention records. */
const attentionDerivatives = (q: Node, k: Node, v: Node, mask: Node | null, ct: Node, isCausal: boolean): readonly Node[] => {
  const y = scaledDotProductAttention(q, k, v, mask, { isCausal, enableGqa: true }).inputs[0]!;
  return attentionOp.vjp!(ct, y as Node<AttentionAttrs>, [ct, null]).slice(0, 3) as Node[];
};

/** Cotangents of all inputs of attention, from those of its result and of its rows' logarithms, with whole matrices of scores. */
function derivatives(
  y: Node<AttentionAttrs>,
  inputs: readonly Node[],
  ct: Node | null,
  ctRows: Node | null,
  shares: Node | null,
): (Node | null)[] {
  const [q, k, v] = inputs.slice(0, 3).map(widen) as [Node, Node, Node];
  const [mask, dropout] = [maskOf(y), dropoutOf(y)];
  const { p } = probabilities(y);
  const g = ct ? widen(ct) : undefined;
  const { precision } = y.attrs;
  const dp = g && product(g, swapLast(v), precision);
  const kept = dp && (dropout ? mul(dp, dropout) : dp);
  const column = (x: Node): Node => reshape(x, [...x.type.shape, 1]);
  const total = kept && (shares ? column(shares) : keepSum(mul(p, kept), [p.type.shape.length - 1]));
  const rest = [kept && sub(kept, total!), ctRows && expand(column(ctRows), p.type.shape)].filter((x) => !!x) as Node[];
  const ds = mul(p, rest.length > 1 ? add(rest[0]!, rest[1]!) : rest[0]!);
  const dq = mul(product(ds, k, precision), y.attrs.scale);
  const dk = mul(dotIn(swapLast(folded(ds, k.type.shape)), folded(q, k.type.shape), precision), y.attrs.scale);
  const dv = g && dotIn(swapLast(folded(dropout ? mul(p, dropout) : p, v.type.shape)), folded(g, v.type.shape), precision);
  const grads: (Node | null)[] = [dq, dk, dv ?? null];
  if (mask) grads.push(mask.type.dtype === "bool" ? null : sumTo(ds, mask.type.shape));
  if (dropout) grads.push(dp ? sumTo(mul(p, dp), dropout.type.shape) : null);
  if (y.attrs.offset) grads.push(null);
  return grads;
}
const rounded = (grads: readonly (Node | null)[], like: readonly Node[]): (Node | null)[] =>
  grads.map((x, i) => x && cast(x, like[i]!.type.dtype));

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
function product(x: Node, y: Node, precision: "tf32" | undefined): Node {
  return reshape(dotIn(folded(x, y.type.shape), y, precision), [...x.type.shape.slice(0, -1), y.type.shape.at(-1)!]);
}
const maskOf = (y: Node<AttentionAttrs>): Node | null => (y.attrs.mask ? y.inputs[3]! : null);
const dropoutOf = (y: Node<AttentionAttrs>): Node | null => (y.attrs.dropout ? y.inputs[3 + Number(y.attrs.mask)]! : null);
const offsetOf = (y: Node<AttentionAttrs>): Node | null => (y.attrs.offset ? y.inputs.at(-1)! : null);

/** softmax(query keyᵀ scale + masks): [..., heads, queries, keys], in at least f32, and the logarithms of its rows' sums. */
function probabilities(y: Node<AttentionAttrs>): { readonly p: Node; rows(): Node } {
  const [q, k] = y.inputs.slice(0, 2).map(widen) as [Node, Node];
  const mask = maskOf(y);
  let s = mul(product(q, swapLast(k), y.attrs.precision), y.attrs.scale);
  const [rows, columns] = s.type.shape.slice(-2) as [Dim, Dim];
  const offset = offsetOf(y);
  if (y.attrs.causal) s = where(le(iota(columns, "i32"), positions(rows, offset, s.type.shape.length)), s, -Infinity);
  if (mask) s = mask.type.dtype === "bool" ? where(mask, s, -Infinity) : add(s, cast(mask, s.type.dtype));
  const axis = s.type.shape.length - 1;
  const blind = !!mask || !!offset || columns === 0;
  const top = keepMax(s, [axis]);
  const base = blind ? where(eq(top, -Infinity), 0, top) : top;
  const e = exp(sub(s, base));
  const total = keepSum(e, [axis]);
  const whole = blind ? where(eq(total, 0), 1, total) : total;
  const rowsOf = (): Node => {
    const seen = add(where(eq(top, -Infinity), 0, top), log(where(eq(total, 0), 1, total)));
    return reshape(seen, s.type.shape.slice(0, -1));
  };
  return { p: div(e, whole), rows: rowsOf };
}
/** Where queries stand among the keys, in i32: [queries, 1] behind the axes of an offset. */
function positions(rows: Dim, offset: Node | null, rank: number): Node {
  const own = reshape(iota(rows, "i32"), [rows, 1]);
  if (!offset) return own;
  const { dtype, shape } = offset.type;
  // Far away is far away: the sum cannot overflow.
  const near = bytesOf(dtype) < 4 ? offset : clamp(offset, dtypes[dtype].kind === "int" ? -(2 ** 30) : null, 2 ** 30);
  return add(reshape(cast(near, "i32"), [...shape, ...Array.from({ length: rank - shape.length }, () => 1)]), own);
}

computesIn("low", scaledDotProductAttention);
