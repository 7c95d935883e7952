import { ArgumentError, UnsupportedError } from "../core/errors.js";
import { type Dim, lo } from "../core/expr.js";
import { type HostData, hostData, NdArray } from "../core/ndarray.js";
import { showShape } from "../core/type.js";
import { make, type Node, type Op, op } from "../ir/node.js";
import { picks } from "../ir/pick.js";
import { normalizeDim } from "./dims.js";
import { domainDTypes } from "./domains.js";
import { narrow, reshape } from "./movement.js";

type SortAttrs = { axis: number; descending: boolean };
/** Options of sorting. Sorting is always stable. */
export interface SortOptions {
  readonly descending?: boolean;
  readonly stable?: boolean;
}

/** Values in order along `dim`, and where each one was; equal ones keep their order, NaN counts as the greatest (torch.sort). */
export function sort(x: Node, dim: number = -1, options: SortOptions = {}): readonly [values: Node, indices: Node] {
  const { shape } = x.type;
  const axis = normalizeDim(dim, shape.length, "sort");
  if (shape.length === 0) return sort(reshape(x, [1]), 0, options).map((y) => reshape(y, [])) as unknown as readonly [Node, Node];
  return picks(make(sortOp, [x], { axis, descending: options.descending ?? false })) as unknown as readonly [Node, Node];
}
export const sortOp: Op<[Node], SortAttrs> = op<[Node], SortAttrs>({
  name: "sort",
  kind: "opaque",
  infer: ([x]) => [x, { shape: x.shape, dtype: "i64" }],
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
    { shapes: [[4, 9]], test: domainDTypes.any, grid: 1 / 8, call: (x) => sort(x!) },
    { shapes: [[3, 8, 2]], grid: 1 / 8, call: (x) => sort(x!, 1, { descending: true }) },
    { shapes: [[2, 200]], call: (x) => sort(x!, 1) },
  ],
});
function order(a: number, b: number): number {
  if (a < b) return -1;
  if (a > b) return 1;
  return Number(a !== a) - Number(b !== b);
}

/** Where each element in order was (torch.argsort). */
export function argsort(x: Node, dim: number = -1, options: SortOptions = {}): Node {
  return sort(x, dim, options)[1];
}
/** Sorted along the first axis (torch.msort). */
export function msort(x: Node): Node {
  return sort(x, 0)[0];
}

const sizeOf = (x: Node, axis: number): Dim => x.type.shape[axis] ?? 1;
/** The k greatest (or least) along `dim`, in order, and where they were (torch.topk). */
export function topk(
  x: Node,
  k: Dim,
  dim: number = -1,
  options: { readonly largest?: boolean; readonly sorted?: boolean } = {},
): readonly [values: Node, indices: Node] {
  const axis = normalizeDim(dim, x.type.shape.length, "topk");
  const n = sizeOf(x, axis);
  if (lo(k) < 0 || (typeof k === "number" && typeof n === "number" && k > n))
    throw new ArgumentError(`topk: k is ${k}, but axis ${axis} of ${showShape(x.type.shape)} has ${showShape([n])} elements`);
  const [values, indices] = sort(x, dim, { descending: options.largest ?? true });
  const part = (y: Node): Node => (x.type.shape.length ? narrow(y, axis, 0, k) : y);
  return [part(values), part(indices)];
}
/** The k-th least along `dim`, counted from 1, and where it was (torch.kthvalue). */
export function kthvalue(
  x: Node,
  k: number,
  dim: number = -1,
  options: { readonly keepdim?: boolean } = {},
): readonly [values: Node, indices: Node] {
  const axis = normalizeDim(dim, x.type.shape.length, "kthvalue");
  const n = sizeOf(x, axis);
  if (!(Number.isInteger(k) && k >= 1) || (typeof n === "number" && k > n))
    throw new ArgumentError(
      `kthvalue: k is ${k}, but axis ${axis} of ${showShape(x.type.shape)} has ${showShape([n])} elements, counted from 1`,
    );
  return sort(x, dim).map((y) => place(y, axis, k - 1, options.keepdim ?? false)) as unknown as readonly [Node, Node];
}
/** One position of an axis, which vanishes unless it is kept. */
function place(x: Node, axis: number, at: number, keepdim: boolean): Node {
  const { shape } = x.type;
  if (!shape.length) return x;
  const y = narrow(x, axis, at, 1);
  return keepdim
    ? y
    : reshape(
        y,
        shape.filter((_, i) => i !== axis),
      );
}

/** Refused: how many values are distinct is known only when they are computed (torch.unique). */
export function unique(x: Node): never {
  throw new UnsupportedError(
    `unique: the size of its result depends on the values of ${showShape(x.type.shape)}; read the data and use a Set`,
  );
}
