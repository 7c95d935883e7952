import { isFloat } from "../core/dtype.js";
import { ArgumentError, DTypeError, UnsupportedError } from "../core/errors.js";
import { type Dim, lo } from "../core/expr.js";
import { type HostData, hostData, NdArray } from "../core/ndarray.js";
import { numel, showShape, showType } from "../core/type.js";
import { make, type Node, type Op, op } from "../ir/node.js";
import { pick } from "../ir/pick.js";
import { dimValue } from "./composite.js";
import { normalizeDim } from "./dims.js";
import { domainDTypes } from "./domains.js";
import { add, cast, ceil, eq, floor, isNaN, lerp, mul, round, sub, where } from "./elementwise.js";
import { indexSelect, scatter } from "./gather.js";
import { narrow, reshape } from "./movement.js";
import { any, sum } from "./reduce.js";
import { full, iota, scalar } from "./source.js";
import { movedim, unsqueeze } from "./views.js";

type SortAttrs = { axis: number; descending: boolean };
/** Options of sorting. Sorting is always stable. */
export interface SortOptions {
  readonly descending?: boolean;
  readonly stable?: boolean;
}

/** What sorting gives: values, and where along the axis each one was. */
export type Sorted = { readonly values: Node; readonly indices: Node };
const list = ({ values, indices }: Sorted): readonly Node[] => [values, indices];
/** The same change made to both. */
const both = ({ values, indices }: Sorted, f: (x: Node) => Node): Sorted => ({ values: f(values), indices: f(indices) });

/** Values in order along `dim`, and where each one was; equal ones keep their order, NaN counts as the greatest (torch.sort). */
export function sort(x: Node, dim: number = -1, options: SortOptions = {}): Sorted {
  const { shape } = x.type;
  const axis = normalizeDim(dim, shape.length, "sort");
  if (shape.length === 0) return both(sort(reshape(x, [1]), 0, options), (y) => reshape(y, []));
  const y = make(sortOp, [x], { axis, descending: options.descending ?? false });
  return { values: pick(y, 0), indices: pick(y, 1) };
}
export const sortOp: Op<[Node], SortAttrs> = op<[Node], SortAttrs>({
  name: "sort",
  kind: "opaque",
  infer: ([x]) => [x, { shape: x.shape, dtype: "i64" }],
  // Every cotangent goes back to where its value came from.
  vjp: (_, y, cts) => {
    const [x, ct] = [y.inputs[0]!, cts[0]];
    return [ct ? scatter(full(x.type.shape, 0, ct.type.dtype), y.attrs.axis, pick(y, 1), ct) : null];
  },
  reference: ([x], { axis, descending }, out) => {
    const n = x.shape[axis]!;
    const inner = x.shape.slice(axis + 1).reduce((a, b) => a * b, 1);
    const rows = x.data.length / Math.max(n, 1);
    const values = hostData(out.dtype, x.data.length);
    const indices = new BigInt64Array(x.data.length);
    const data = x.data as Float64Array;
    // The sign turns the order, ties stay in place.
    const sign = descending ? -1 : 1;
    const compare = (a: number, b: number): number => sign * order(data[a]!, data[b]!);
    for (let r = 0; r < rows; r++) {
      const start = Math.floor(r / inner) * n * inner + (r % inner);
      const places = Array.from({ length: n }, (_, i) => start + i * inner).sort(compare);
      places.forEach((from, i) => {
        values[start + i * inner] = data[from]!;
        indices[start + i * inner] = BigInt((from - start) / inner);
      });
    }
    return [new NdArray(out.dtype, x.shape, values as HostData), new NdArray("i64", x.shape, indices)];
  },
  samples: [
    { shapes: [[4, 9]], test: domainDTypes.any, grid: 1 / 8, call: (x) => list(sort(x!)) },
    { shapes: [[3, 8, 2]], grid: 1 / 8, call: (x) => list(sort(x!, 1, { descending: true })) },
    { shapes: [[2, 200]], call: (x) => list(sort(x!, 1)) },
  ],
});
function order(a: number, b: number): number {
  if (a < b) return -1;
  if (a > b) return 1;
  return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
}

/** Where each element in order was (torch.argsort). */
export function argsort(x: Node, dim: number = -1, options: SortOptions = {}): Node {
  return sort(x, dim, options).indices;
}
/** Sorted along the first axis (torch.msort). */
export function msort(x: Node): Node {
  return sort(x, 0).values;
}

const sizeOf = (x: Node, axis: number): Dim => x.type.shape[axis] ?? 1;
/** The k greatest (or least) along `dim`, in order, and where they were (torch.topk). */
export function topk(x: Node, k: Dim, dim: number = -1, options: { readonly largest?: boolean; readonly sorted?: boolean } = {}): Sorted {
  const axis = normalizeDim(dim, x.type.shape.length, "topk");
  const n = sizeOf(x, axis);
  if (lo(k) < 0 || (typeof k === "number" && typeof n === "number" && k > n))
    throw new ArgumentError(`topk: k is ${showShape([k])}, but axis ${axis} of ${showShape(x.type.shape)} has ${showShape([n])} elements`);
  const sorted = sort(x, dim, { descending: options.largest ?? true });
  return x.type.shape.length ? both(sorted, (y) => narrow(y, axis, 0, k)) : sorted;
}
/** One position along the sorted axis, which vanishes unless it is kept. */
function place(sorted: Sorted, axis: number, at: number, keepdim: boolean): Sorted {
  return both(sorted, (x) => {
    const { shape } = x.type;
    if (!shape.length) return x;
    const y = narrow(x, axis, at, 1);
    return keepdim
      ? y
      : reshape(
          y,
          shape.filter((_, i) => i !== axis),
        );
  });
}
/** The k-th least along `dim`, counted from 1, and where it was (torch.kthvalue). */
export function kthvalue(x: Node, k: number, dim: number = -1, options: { readonly keepdim?: boolean } = {}): Sorted {
  const axis = normalizeDim(dim, x.type.shape.length, "kthvalue");
  const n = sizeOf(x, axis);
  if (!(Number.isInteger(k) && k >= 1) || (typeof n === "number" && k > n))
    throw new ArgumentError(
      `kthvalue: k is ${k}, but axis ${axis} of ${showShape(x.type.shape)} has ${showShape([n])} elements, counted from 1`,
    );
  return place(sort(x, dim), axis, k - 1, options.keepdim ?? false);
}
/** The lower of the middle values along `dim`, NaN if there is one, and where it was (torch.median). */
export function median(x: Node, dim: number, options?: { readonly keepdim?: boolean }): Sorted;
/** The lower of the middle values of all elements, NaN if there is one (torch.median). */
export function median(x: Node): Node;
export function median(x: Node, dim?: number, options: { readonly keepdim?: boolean } = {}): Node | Sorted {
  if (dim === undefined) return median(reshape(x, [numel(x.type.shape)]), 0).values;
  const axis = normalizeDim(dim, x.type.shape.length, "median");
  const n = sizeOf(x, axis);
  if (typeof n !== "number")
    throw new UnsupportedError(`median: axis ${axis} of ${showShape(x.type.shape)} is symbolic; give it a fixed size`);
  if (n === 0) throw new ArgumentError(`median: axis ${axis} of ${showShape(x.type.shape)} has no elements`);
  const { keepdim = false } = options;
  const up = sort(x, axis);
  const middle = place(up, axis, (n - 1) >> 1, keepdim);
  if (!isFloat(x.type.dtype)) return middle;
  // NaN sorts last: where the last value is NaN, the first NaN is the median.
  const last = place(up, axis, n - 1, keepdim);
  const wrong = isNaN(last.values);
  const rank = x.type.shape.length;
  const count = sum(cast(isNaN(x), "i32"), rank ? axis : [], { keepdim, dtype: "i32" });
  const at = reshape(iota(n, "i32"), rank ? x.type.shape.map((_, i) => (i === axis ? n : 1)) : []);
  const first = sub(n, count);
  const firstNaN = sum(where(eq(at, keepdim || !rank ? first : unsqueeze(first, axis)), up.indices, 0), rank ? axis : [], { keepdim });
  return { values: where(wrong, last.values, middle.values), indices: where(wrong, firstNaN, middle.indices) };
}
/** Values at fractions q of the sorted elements, between neighbours as told (torch.quantile). */
export function quantile(
  x: Node,
  q: number | Node,
  dim: number | null = null,
  options: { readonly keepdim?: boolean; readonly interpolation?: "linear" | "lower" | "higher" | "nearest" | "midpoint" } = {},
): Node {
  const { keepdim = false, interpolation = "linear" } = options;
  const shape = x.type.shape;
  if (!isFloat(x.type.dtype)) throw new DTypeError(`quantile: ${showType(x.type)} is not floating point; cast it first`);
  const axis = normalizeDim(dim ?? 0, shape.length, "quantile");
  const from = dim === null ? reshape(x, [1, numel(shape)]) : movedim(shape.length ? x : reshape(x, [1]), axis, -1);
  const n = from.type.shape.at(-1)!;
  if (n === 0) throw new ArgumentError(`quantile: ${showShape(shape)} has no elements along the axis`);
  // Positions and fractions need more digits than a half float has.
  const wide = x.type.dtype === "f64" ? "f64" : "f32";
  const up = cast(sort(from, -1).values, wide);
  const many = typeof q === "object" && q.type.shape.length === 1;
  const wanted = reshape(typeof q === "object" ? cast(q, wide) : scalar(q, wide), [many ? q.type.shape[0]! : 1]);
  const rank = mul(wanted, sub(dimValue(n, wide), 1));
  const [low, high] = [floor(rank), ceil(rank)];
  const at = (r: Node): Node => indexSelect(up, -1, cast(r, "i64"));
  const choose = {
    linear: () => lerp(at(low), at(high), sub(rank, low)),
    lower: () => at(low),
    higher: () => at(high),
    nearest: () => at(round(rank)),
    midpoint: () => mul(add(at(low), at(high)), 0.5),
  };
  const found = choose[interpolation]();
  const poisoned = where(any(isNaN(from), -1, { keepdim: true }), Number.NaN, found);
  const moved = movedim(poisoned, -1, 0);
  const lead = moved.type.shape[0]!;
  const rest =
    dim === null
      ? keepdim
        ? shape.map(() => 1)
        : []
      : keepdim && shape.length
        ? shape.map((d, i) => (i === axis ? 1 : d))
        : shape.filter((_, i) => i !== axis);
  return cast(reshape(moved, many ? [lead, ...rest] : rest), x.type.dtype);
}

/** Refused: how many values are distinct is known only when they are computed (torch.unique). */
export function unique(x: Node): never {
  throw new UnsupportedError(
    `unique: the size of its result depends on the values of ${showShape(x.type.shape)}; read the data and use a Set`,
  );
}
