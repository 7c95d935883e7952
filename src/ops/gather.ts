/** Reading and writing at positions that are data: the two primitives, and PyTorch's functions of one index tensor along a dim. */
import { roundValue } from "../core/convert.js";
import { type DType, isInt } from "../core/dtype.js";
import { ArgumentError, DTypeError, ShapeError } from "../core/errors.js";
import { type Dim, sub } from "../core/expr.js";
import { type HostData, NdArray } from "../core/ndarray.js";
import { numel, type Shape, sameShape, showShape, showType, type TensorType } from "../core/type.js";
import { make, type Node, type Op, op, type Sample } from "../ir/node.js";
import { cast } from "./cast.js";
import { widen } from "./composite.js";
import { normalizeDim } from "./dims.js";
import { domainDTypes } from "./domains.js";
import { div, eq, fill, logicalAnd, mul, where } from "./elementwise.js";
import { cat, expand, permute, reshape, slice } from "./movement.js";
import { type Operand, toNode } from "./promotion.js";
import { highest, lowest } from "./reduce.js";
import { full } from "./source.js";

/** How `scatter` joins a value with what is there. Of several that are "set" to one place, the last in row-major order stays. */
export type ScatterCombine = "set" | "add" | "mul" | "max" | "min";

function checkIndex(name: string, x: TensorType, index: TensorType, axis: number): void {
  if (!isInt(index.dtype)) throw new DTypeError(`${name}: the index ${showType(index)} must hold integers`);
  if (!(axis >= 0 && axis < x.shape.length) || index.shape.length < axis || !sameShape(x.shape.slice(0, axis), index.shape.slice(0, axis)))
    throw new ShapeError(`${name}: index ${showType(index)} does not fit ${showType(x)} at axis ${axis}`);
}
const gathered = (x: Shape, index: Shape, axis: number): Shape => [...index, ...x.slice(axis + 1)];
const axisSamples: readonly Sample[] = [
  {
    shapes: [[5, 3], [4]],
    dtypes: [null, "i64"],
    range: [
      [-2, 2],
      [0, 4],
    ],
    test: domainDTypes.any,
    call: (x, i) => gatherFrom(x!, i!, 0),
  },
  {
    shapes: [
      [2, 5],
      [2, 3],
    ],
    dtypes: [null, "i32"],
    range: [
      [-2, 2],
      [0, 4],
    ],
    call: (x, i) => gatherFrom(x!, i!, 1),
  },
  {
    shapes: [
      [2, 5, 3],
      [2, 2, 2],
    ],
    dtypes: [null, "i64"],
    range: [
      [-2, 2],
      [0, 4],
    ],
    call: (x, i) => gatherFrom(x!, i!, 1),
  },
  {
    shapes: [
      [3, 4],
      [3, 2],
    ],
    dtypes: [null, "i64"],
    range: [
      [-2, 2],
      [0, 3],
    ],
    call: (x, i) => gather(x!, 1, i!),
  },
];

/** Result[b.., i.., r..] = x[b.., index[b.., i..], r..]: `axis` leading axes are shared, whole rows r are taken. Devices clamp an index that is out of range. */
export function gatherFrom(x: Node, index: Node, axis: number): Node {
  return make(gatherOp, [x, index], { axis });
}
/** The op of `gather`, `indexSelect`, `embedding` and indexing by tensors. */
export const gatherOp: Op<[Node, Node], { axis: number }> = op<[Node, Node], { axis: number }>({
  name: "gather",
  kind: "movement",
  infer: ([x, index], { axis }) => {
    checkIndex("gather", x, index, axis);
    return { shape: gathered(x.shape, index.shape, axis), dtype: x.dtype };
  },
  vjp: (ct, y) => {
    const [x, index] = y.inputs as [Node, Node];
    // Half floats are added up in f32: an embedding's row may be read thousands of times.
    const wide = widen(ct);
    return [cast(scatterInto(fill(like(wide, x), 0), index, wide, y.attrs.axis, "add"), ct.type.dtype), null];
  },
  reference: ([x, index], { axis }, out) => {
    const rank = index.shape.length;
    return NdArray.of(out.dtype, out.shape as readonly number[], (i) =>
      x.at([...i.slice(0, axis), position("gather", index.at(i.slice(0, rank)), x.shape[axis]!), ...i.slice(rank)]),
    );
  },
  source: (at, y, read) => {
    const [x, index] = y.inputs as [Node, Node];
    const { axis } = y.attrs;
    const rank = index.type.shape.length;
    const row = read(1, at.slice(0, rank), 0, sub(x.type.shape[axis]!, 1));
    return [{ input: 0, index: [...at.slice(0, axis), row, ...at.slice(rank)] }];
  },
  samples: axisSamples,
});
/** x's shape with ct's dtype. */
const like = (ct: Node, x: Node): Node => full(x.type.shape, 0, ct.type.dtype);
function position(name: string, value: number | bigint, size: number): number {
  const i = Number(value);
  if (!(i >= 0 && i < size)) throw new ArgumentError(`${name}: index ${i} is out of range for an axis of size ${size}`);
  return i;
}

/** `base` with row source[b.., i..] put or combined into row index[b.., i..], in row-major order of the index. */
export function scatterInto(base: Node, index: Node, source: Node, axis: number, combine: ScatterCombine): Node {
  return make(scatterOp, [base, index, source], { axis, combine });
}
const combiners: Record<ScatterCombine, (a: number, b: number) => number> = {
  set: (_, b) => b,
  add: (a, b) => a + b,
  mul: (a, b) => a * b,
  max: (a, b) => (Number.isNaN(a) || a > b ? a : b),
  min: (a, b) => (Number.isNaN(a) || a < b ? a : b),
};
/** The op of everything that writes at an index. Inputs: base [b.., n, r..], index [b.., i..], source [b.., i.., r..]. */
export const scatterOp: Op<[Node, Node, Node], { axis: number; combine: ScatterCombine }> = op<
  [Node, Node, Node],
  { axis: number; combine: ScatterCombine }
>({
  name: "scatter",
  kind: "opaque",
  infer: ([base, index, source], { axis }) => {
    checkIndex("scatter", base, index, axis);
    const wanted = gathered(base.shape, index.shape, axis);
    if (source.dtype !== base.dtype || !sameShape(source.shape, wanted))
      throw new ShapeError(`scatter: the source is ${showType(source)}, and ${base.dtype}${showShape(wanted)} is needed`);
    return base;
  },
  vjp: (ct, y) => {
    const [base, index, source] = y.inputs as [Node, Node, Node];
    const { axis, combine } = y.attrs;
    const read = (x: Node): Node => gatherFrom(x, index, axis);
    switch (combine) {
      case "add":
        return [ct, null, read(ct)];
      case "set":
        return [scatterInto(ct, index, fill(source, 0), axis, "set"), null, read(ct)];
      case "mul": {
        // As in `prod`: where one factor of a place is 0, only it has a derivative.
        const isZero = eq(source, 0);
        const others = scatterInto(base, index, where(isZero, 1, source), axis, "mul");
        const zeros = read(scatterInto(fill(base, 0), index, cast(isZero, base.type.dtype), axis, "add"));
        const g = read(mul(ct, others));
        const alone = where(logicalAnd(isZero, eq(zeros, 1)), g, 0);
        const factor = scatterInto(fill(base, 1), index, source, axis, "mul");
        return [mul(ct, factor), null, where(eq(zeros, 0), div(g, where(isZero, 1, source)), alone)];
      }
      case "max":
      case "min": {
        const hitBase = cast(eq(base, y), ct.type.dtype);
        const hitSource = cast(eq(source, read(y)), ct.type.dtype);
        const share = div(ct, scatterInto(hitBase, index, hitSource, axis, "add"));
        return [where(eq(hitBase, 0), 0, share), null, mul(read(share), hitSource)];
      }
      default:
        return combine satisfies never;
    }
  },
  reference: ([base, index, source], { axis, combine }, out) => {
    const data = base.data.slice() as HostData;
    const size = base.shape[axis]!;
    const batch = count(base.shape.slice(0, axis));
    const row = count(base.shape.slice(axis + 1));
    const perBatch = count(index.shape.slice(axis));
    const f = combiners[combine];
    for (let b = 0; b < batch; b++)
      for (let i = 0; i < perBatch; i++) {
        const to = (b * size + position("scatter", index.data[b * perBatch + i]!, size)) * row;
        const from = (b * perBatch + i) * row;
        for (let r = 0; r < row; r++) data[to + r] = joined(out.dtype, f, data[to + r]!, source.data[from + r]!);
      }
    return new NdArray(out.dtype, base.shape, data);
  },
  samples: [
    ...(["set", "add", "mul", "max", "min"] as const).map(
      (combine): Sample => ({
        shapes: [[5, 3], [4], [4, 3]],
        dtypes: [null, "i64", null],
        range: [
          [-2, 2],
          [0, 4],
          [-2, 2],
        ],
        test: combine === "set" ? domainDTypes.any : domainDTypes.number,
        ...(combine === "set" ? { noGrad: "of equal indices only the last counts" } : {}),
        call: (x, i, s) => scatterInto(x!, i!, s!, 0, combine),
      }),
    ),
    {
      shapes: [
        [2, 5],
        [2, 4],
        [2, 4],
      ],
      dtypes: [null, "i32", null],
      range: [
        [-2, 2],
        [0, 4],
        [-2, 2],
      ],
      call: (x, i, s) => scatterInto(x!, i!, s!, 1, "add"),
    },
    {
      shapes: [
        [40, 8],
        [3, 50],
        [3, 50, 8],
      ],
      dtypes: [null, "i64", null],
      range: [
        [-2, 2],
        [0, 39],
        [-2, 2],
      ],
      call: (x, i, s) => scatterInto(x!, i!, s!, 0, "add"),
    },
    ...([7, 2] as const).map(
      (rows): Sample => ({
        shapes: [[rows, 40], [34], [34, 40]],
        dtypes: [null, "i64", null],
        range: [
          [-2, 2],
          [0, rows - 1],
          [-2, 2],
        ],
        call: (x, i, s) => scatterInto(x!, i!, s!, 0, "add"),
      }),
    ),
    {
      shapes: [
        [3, 4],
        [2, 2],
        [2, 2],
      ],
      dtypes: [null, "i64", null],
      range: [
        [-2, 2],
        [0, 3],
        [-2, 2],
      ],
      call: (x, i, s) => scatterAdd(x!, 1, i!, s!),
    },
  ],
});
const count = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);
/** Integers join exactly and wrap; an accumulator in memory has the tensor's own dtype, f32 for half floats. */
function joined(dtype: DType, f: (a: number, b: number) => number, a: number | bigint, b: number | bigint): number | bigint {
  if (!isInt(dtype)) return dtype === "f64" ? f(a as number, b as number) : Math.fround(f(a as number, b as number));
  return roundValue(dtype, f(BigInt(a) as unknown as number, BigInt(b) as unknown as number));
}

/** Axes in the order that brings `axis` last, and the order back. */
const toLast = (rank: number, axis: number): number[] => [...Array.from({ length: rank }, (_, i) => i).filter((i) => i !== axis), axis];
const inverse = (axes: readonly number[]): number[] => axes.map((_, i) => axes.indexOf(i));
/** The corner of x that an index of this shape can reach: every axis but `axis` as in the index. */
const reach = (x: Node, index: Shape, axis: number): Node =>
  slice(
    x,
    x.type.shape.map(() => 0),
    x.type.shape.map((d, i) => (i === axis ? d : index[i]!)),
  );
function along(name: string, x: Node, dim: number, index: Node): { axis: number; axes: number[] } {
  const rank = x.type.shape.length;
  if (index.type.shape.length !== rank)
    throw new ShapeError(`${name}: index ${showType(index.type)} must have as many axes as ${showType(x.type)}`);
  const axis = normalizeDim(dim, rank, name);
  return { axis, axes: toLast(rank, axis) };
}

/** Result[i][j][k] = x[i][index[i][j][k]][k] for dim 1 (torch.gather). */
export function gather(x: Node, dim: number, index: Node): Node {
  if (!x.type.shape.length) return reshape(gather(reshape(x, [1]), 0, reshape(index, [1])), []);
  const { axis, axes } = along("gather", x, dim, index);
  const found = gatherFrom(permute(reach(x, index.type.shape, axis), axes), permute(index, axes), axes.length - 1);
  return permute(found, inverse(axes));
}
/** `gather` with x and index broadcast against each other outside `dim` (torch.take_along_dim). */
export function takeAlongDim(x: Node, index: Node, dim?: number): Node {
  if (dim === undefined) return gather(reshape(x, [numel(x.type.shape)]), 0, reshape(index, [numel(index.type.shape)]));
  const { axis } = along("takeAlongDim", x, dim, index);
  const shape = (own: Shape, other: Shape): Dim[] => own.map((d, i) => (i !== axis && d === 1 ? other[i]! : d));
  return gather(expand(x, shape(x.type.shape, index.type.shape)), axis, expand(index, shape(index.type.shape, x.type.shape)));
}
/** Writes source[i][j][k] to x[i][index[i][j][k]][k] for dim 1, joined by `combine`. */
function scatterAlong(name: string, x: Node, dim: number, index: Node, source: Operand, combine: ScatterCombine): Node {
  if (!x.type.shape.length) {
    const one = (v: Node): Node => reshape(v, [1]);
    return reshape(scatterAlong(name, one(x), dim, one(index), typeof source === "object" ? one(source) : source, combine), []);
  }
  const { axis, axes } = along(name, x, dim, index);
  const values = typeof source === "object" ? source : expand(toNode(source, x.type.dtype), index.type.shape);
  if (values.type.dtype !== x.type.dtype)
    throw new DTypeError(`${name}: source ${showType(values.type)} and ${showType(x.type)} differ in dtype`);
  const part = reach(values, index.type.shape, -1);
  const to = reach(x, index.type.shape, axis);
  const made = permute(scatterInto(permute(to, axes), permute(index, axes), permute(part, axes), axes.length - 1, combine), inverse(axes));
  return to === x ? made : putCorner(x, made);
}
/** x with `part` over its corner at 0. */
function putCorner(x: Node, part: Node): Node {
  return x.type.shape.reduce<Node>((done, d, i) => {
    const size = part.type.shape[i]!;
    if (size === d) return done;
    // What lies beyond the corner along this axis, as wide as the result so far.
    const rest = slice(
      x,
      x.type.shape.map((_, k) => (k === i ? size : 0)),
      x.type.shape.map((e, k) => (k < i ? e : k === i ? sub(e, size) : part.type.shape[k]!)),
    );
    return cat([done, rest], i);
  }, part);
}
/** x with values of `source`, a tensor or a number, written along `dim` (torch.scatter). */
export function scatter(x: Node, dim: number, index: Node, source: Operand, { reduce }: { reduce?: "add" | "multiply" } = {}): Node {
  return scatterAlong("scatter", x, dim, index, source, reduce === "add" ? "add" : reduce === "multiply" ? "mul" : "set");
}
/** x with `source` added along `dim` (torch.scatter_add). */
export const scatterAdd = (x: Node, dim: number, index: Node, source: Node): Node =>
  scatterAlong("scatterAdd", x, dim, index, source, "add");
/** x with `source` reduced into it along `dim` (torch.scatter_reduce). */
export function scatterReduce(
  x: Node,
  dim: number,
  index: Node,
  source: Node,
  reduce: "sum" | "prod" | "mean" | "amax" | "amin",
  { includeSelf = true }: { includeSelf?: boolean } = {},
): Node {
  const combine = ({ sum: "add", prod: "mul", mean: "add", amax: "max", amin: "min" } as const)[reduce];
  const ones = fill(
    slice(
      source,
      source.type.shape.map(() => 0),
      index.type.shape,
    ),
    1,
  );
  const hits = (from: Node): Node => scatterAlong("scatterReduce", from, dim, index, ones, "add");
  // Without the old values a place that is written starts from what changes nothing.
  const { dtype } = x.type;
  const start = { sum: 0, mean: 0, prod: 1, amax: lowest(dtype), amin: highest(dtype) }[reduce];
  const first = includeSelf ? x : where(eq(hits(fill(x, 0)), 0), x, start);
  const out = scatterAlong("scatterReduce", first, dim, index, source, combine);
  if (reduce !== "mean") return out;
  const number = hits(fill(x, includeSelf ? 1 : 0));
  return div(out, where(eq(number, 0), 1, number), { rounding: isInt(x.type.dtype) ? "floor" : null });
}

function rows(name: string, x: Node, dim: number, index: Node): { axes: number[]; x: Node; index: Node } {
  if (index.type.shape.length > 1) throw new ShapeError(`${name}: index ${showType(index.type)} must have one axis`);
  const rank = x.type.shape.length;
  const axis = normalizeDim(dim, rank, name);
  const axes = [axis, ...Array.from({ length: rank }, (_, i) => i).filter((i) => i !== axis)];
  return { axes, x: rank ? permute(x, axes) : reshape(x, [1]), index: reshape(index, [numel(index.type.shape)]) };
}
/** The slices of an axis that `index` names (torch.index_select). */
export function indexSelect(x: Node, dim: number, index: Node): Node {
  const r = rows("indexSelect", x, dim, index);
  const found = gatherFrom(r.x, r.index, 0);
  return x.type.shape.length ? permute(found, inverse(r.axes)) : reshape(found, []);
}
function indexWrite(name: string, x: Node, dim: number, index: Node, source: Node, combine: ScatterCombine): Node {
  const r = rows(name, x, dim, index);
  const { shape } = x.type;
  if (!shape.length) return reshape(scatterInto(r.x, r.index, reshape(source, [1]), 0, combine), []);
  const axis = normalizeDim(dim, shape.length, name);
  // The same index for every position of the axes in front: nothing changes places, so the result may be written over x.
  const everywhere = expand(r.index, [...shape.slice(0, axis), ...r.index.type.shape]);
  return scatterInto(x, everywhere, source, axis, combine);
}
/** x with alpha * source added to the slices that `index` names (torch.index_add). */
export const indexAdd = (x: Node, dim: number, index: Node, source: Node, { alpha = 1 }: { alpha?: number } = {}): Node =>
  indexWrite("indexAdd", x, dim, index, alpha === 1 ? source : mul(source, alpha), "add");
/** x with the slices that `index` names replaced (torch.index_copy). */
export const indexCopy = (x: Node, dim: number, index: Node, source: Node): Node => indexWrite("indexCopy", x, dim, index, source, "set");
/** x with the slices that `index` names filled with one value (torch.index_fill). */
export function indexFill(x: Node, dim: number, index: Node, value: Operand): Node {
  const axis = normalizeDim(dim, x.type.shape.length, "indexFill");
  const shape = x.type.shape.map((d, i) => (i === axis ? numel(index.type.shape) : d));
  return indexWrite("indexFill", x, dim, index, expand(cast(toNode(value, x.type.dtype), x.type.dtype), shape), "set");
}
