/** Indexing by several tensors, masks and tables, made of `gather`, `scatter` and `where`. */
import { type DType, isInt } from "../core/dtype.js";
import { ArgumentError, DTypeError, ShapeError, UnsupportedError } from "../core/errors.js";
import type { Dim } from "../core/expr.js";
import { numel, type Shape, showShape, showType } from "../core/type.js";
import { make, type Node, type Op, op } from "../ir/node.js";
import { cast } from "./cast.js";
import { dimValue } from "./composite.js";
import { normalizeDim } from "./dims.js";
import { add, eq, fill, le, lt, mul, where } from "./elementwise.js";
import { gatherFrom, scatterInto } from "./gather.js";
import { expand, permute, reshape } from "./movement.js";
import { broadcast, type Operand, toNode } from "./promotion.js";
import { sum } from "./reduce.js";
import { iota } from "./source.js";

/** Negative indices count from the end of an axis of this size. */
function wrapped(index: Node, size: Dim): Node {
  if (!isInt(index.type.dtype)) throw new DTypeError(`an index must hold integers, not ${showType(index.type)}`);
  if (index.type.dtype[0] === "u") return index;
  return where(lt(index, 0), add(index, dimValue(size, index.type.dtype)), index);
}
interface Plan {
  /** The indexed axes of x first. */
  readonly order: readonly number[];
  /** One index into the indexed axes as one. */
  readonly linear: Node;
  readonly indexed: Shape;
  readonly rest: Shape;
  /** Where the index's axes stand in the result. */
  readonly place: number;
}
/** How index tensors, one for each axis or null, read x. Adjacent ones put their axes in place, others in front (PyTorch's rule). */
function planOf(name: string, x: Node, indices: readonly (Node | null)[]): Plan {
  const { shape } = x.type;
  if (indices.length > shape.length) throw new ShapeError(`${name}: ${indices.length} indices for ${showType(x.type)}`);
  const axes = indices.flatMap((n, i) => (n ? [i] : []));
  if (!axes.length) throw new ArgumentError(`${name}: expected at least one index tensor`);
  for (const n of indices)
    if (n?.type.dtype === "bool")
      throw new UnsupportedError(
        `${name}: a bool mask selects as many elements as it has trues, which no fixed shape holds; use where, or maskedFill`,
      );
  const list = broadcast(name, ...axes.map((a) => wrapped(indices[a]!, shape[a]!)));
  const linear = list.reduce((sum, n, k) => add(mul(sum, dimValue(shape[axes[k]!]!, n.type.dtype)), cast(n, sum.type.dtype)));
  const others = shape.map((_, i) => i).filter((i) => !axes.includes(i));
  const adjacent = axes.every((a, i) => i === 0 || a === axes[i - 1]! + 1);
  return {
    order: [...axes, ...others],
    linear,
    indexed: axes.map((a) => shape[a]!),
    rest: others.map((i) => shape[i]!),
    place: adjacent ? axes[0]! : 0,
  };
}
/** Axes of [index.., rest..] in the result's order. */
function resultOrder(p: Plan): number[] {
  const k = p.linear.type.shape.length;
  const rest = p.rest.map((_, i) => k + i);
  return [...rest.slice(0, p.place), ...Array.from({ length: k }, (_, i) => i), ...rest.slice(p.place)];
}
const inverse = (axes: readonly number[]): number[] => axes.map((_, i) => axes.indexOf(i));

/** x[i, j, ...] for index tensors that broadcast against each other; null takes an axis whole (advanced indexing). */
export function index(x: Node, indices: readonly (Node | null)[]): Node {
  const p = planOf("index", x, indices);
  const table = reshape(permute(x, p.order), [numel(p.indexed), ...p.rest]);
  return permute(gatherFrom(table, p.linear, 0), resultOrder(p));
}
/** x with x[i, j, ...] replaced by `values`, or with them added (torch.index_put). */
export function indexPut(
  x: Node,
  indices: readonly (Node | null)[],
  values: Operand,
  { accumulate = false }: { accumulate?: boolean } = {},
): Node {
  if (indices.length === 1 && indices[0]?.type.dtype === "bool" && !(typeof values === "object" && values.type.shape.length)) {
    const mask = indices[0];
    const deep = reshape(mask, [...mask.type.shape, ...x.type.shape.slice(mask.type.shape.length).map(() => 1)]);
    return where(deep, accumulate ? add(x, values) : cast(toNode(values, x.type.dtype), x.type.dtype), x);
  }
  const p = planOf("indexPut", x, indices);
  const order = resultOrder(p);
  const whole = [...p.linear.type.shape, ...p.rest];
  const source = expand(
    cast(toNode(values, x.type.dtype), x.type.dtype),
    order.map((a) => whole[a]!),
  );
  const table = reshape(permute(x, p.order), [numel(p.indexed), ...p.rest]);
  const done = scatterInto(table, p.linear, permute(source, inverse(order)), 0, accumulate ? "add" : "set");
  return permute(reshape(done, [...p.indexed, ...p.rest]), inverse(p.order));
}
/** Elements of the flattened tensor (torch.take). */
export function take(x: Node, at: Node): Node {
  const n = numel(x.type.shape);
  return gatherFrom(reshape(x, [n]), wrapped(at, n), 0);
}

/** x with `value` where the mask is true (torch.masked_fill). */
export const maskedFill = (x: Node, mask: Node, value: Operand): Node => {
  const shape = broadcast("maskedFill", x, mask)[0]!.type.shape;
  return where(mask, cast(toNode(value, x.type.dtype), x.type.dtype), expand(x, shape));
};
/** Not here: the number of trues decides the shape (torch.masked_select). */
export function maskedSelect(x: Node, _mask: Node): Node {
  throw new UnsupportedError(
    `maskedSelect: how many elements of ${showType(x.type)} are selected is known only from the data; read the mask on the host, or keep the shape with where`,
  );
}
/** Not here: the number of non-zero elements decides the shape (torch.nonzero). */
export function nonzero(x: Node): Node {
  throw new UnsupportedError(
    `nonzero: how many elements of ${showType(x.type)} are not 0 is known only from the data; read it on the host, or use where or countNonzero`,
  );
}
/** 1 at the place that each element names, 0 elsewhere, along a new last axis (torch.nn.functional.one_hot). */
export function oneHot(x: Node, classes: number, dtype: DType = "i64"): Node {
  if (!isInt(x.type.dtype)) throw new DTypeError(`oneHot: ${showType(x.type)} must hold integers`);
  if (!(classes > 0)) throw new ArgumentError("oneHot: say how many classes there are; the greatest index is known only from the data");
  return cast(eq(reshape(x, [...x.type.shape, 1]), iota(classes, x.type.dtype)), dtype);
}

/** Rows of `weight` (torch.nn.functional.embedding). The row `paddingIdx` gets no gradient. */
export function embedding(x: Node, weight: Node, { paddingIdx }: { paddingIdx?: number } = {}): Node {
  const [n] = weight.type.shape;
  if (weight.type.shape.length !== 2) throw new ShapeError(`embedding: weight ${showShape(weight.type.shape)} must have two axes`);
  if (!isInt(x.type.dtype)) throw new DTypeError(`embedding: ${showType(x.type)} must hold integers, the numbers of rows; cast it first`);
  if (paddingIdx === undefined) return gatherFrom(weight, x, 0);
  const row = typeof n === "number" ? normalizeDim(paddingIdx, n, "embedding: paddingIdx") : paddingIdx;
  return make(embeddingOp, [weight, x], { paddingIdx: row });
}
/** The op of `embedding` with a padding row. */
export const embeddingOp: Op<[Node, Node], { paddingIdx: number }> = op<[Node, Node], { paddingIdx: number }>({
  name: "embedding",
  kind: "composite",
  infer: ([weight, x]) => ({ shape: [...x.shape, weight.shape[1]!], dtype: weight.dtype }),
  vjp: (ct, y) => {
    const [weight, x] = y.inputs as [Node, Node];
    const padding = reshape(eq(x, y.attrs.paddingIdx), [...x.type.shape, 1]);
    return [scatterInto(fill(weight, 0), x, where(padding, 0, ct), 0, "add"), null];
  },
  decompose: (_, [weight, x]) => gatherFrom(weight, x, 0),
  samples: [
    {
      shapes: [
        [2, 3],
        [5, 4],
      ],
      dtypes: ["i64", null],
      range: [
        [0, 4],
        [-2, 2],
      ],
      noGrad: "the padding row has a value and, on purpose, no gradient",
      call: (x, w) => embedding(x!, w!, { paddingIdx: 1 }),
    },
  ],
});

/** How many of the increasing `sorted` values lie before each value: below it, or up to it with `right` (torch.searchsorted). */
export function searchsorted(sorted: Node, values: Node, { right = false }: { right?: boolean } = {}): Node {
  const rank = values.type.shape.length;
  const n = sorted.type.shape.at(-1);
  if (n === undefined) throw new ShapeError("searchsorted: the sorted sequence must have an axis");
  const batched = sorted.type.shape.length > 1;
  const list = batched
    ? reshape(sorted, [...sorted.type.shape.slice(0, -1), 1, n])
    : reshape(sorted, [...values.type.shape.map(() => 1), n]);
  const each = reshape(values, [...values.type.shape, 1]);
  return sum(right ? le(list, each) : lt(list, each), rank);
}
/** The bucket of each value among increasing boundaries (torch.bucketize). */
export const bucketize = (x: Node, boundaries: Node, { right = false }: { right?: boolean } = {}): Node =>
  searchsorted(boundaries, x, { right });
