import { fromBytes, toBytes } from "../core/convert.js";
import { computeDType, type DType, dtypes, isFloat, isWide } from "../core/dtype.js";
import { ArgumentError, DTypeError, ShapeError } from "../core/errors.js";
import { NdArray } from "../core/ndarray.js";
import { showShape, type TensorType } from "../core/type.js";
import { make, type Node, type Op, type OpKind, op, type ReferenceType, type Sample } from "../ir/node.js";
import { cast } from "./cast.js";
import { type Dims, normalizeDims } from "./dims.js";
import { domainDTypes } from "./domains.js";
import { div, eq, logicalAnd, mul, where } from "./elementwise.js";
import { expand, reshape } from "./movement.js";
import { computesIn } from "./precision.js";

/** Attributes of a reduction: the axes that vanish. */
export type Axes = { axes: readonly number[] };
/** Options of every reduction. */
export interface ReduceOptions {
  /** Reduced axes stay, with size 1. */
  readonly keepdim?: boolean;
}
/** Options of sums and products. */
export interface SumOptions extends ReduceOptions {
  /** Converted to before anything is added; integers and bool are i64 unless told otherwise. */
  readonly dtype?: DType;
}

/** The shape with the reduced axes kept as 1, so that a result broadcasts against its input. */
const kept = (x: Node, axes: readonly number[]): readonly (typeof x.type.shape)[number][] =>
  x.type.shape.map((d, i) => (axes.includes(i) ? 1 : d));
/** A reduced value back at the shape of what was reduced. */
export const broadcastBack = (y: Node, x: Node, axes: readonly number[]): Node => expand(reshape(y, kept(x, axes)), x.type.shape);
/** A reduced value with its axes as 1 if `keepdim` says so. */
export function keepDims(y: Node, x: Node, axes: readonly number[], options: ReduceOptions): Node {
  // A bare `true`, as Python has it, would be read as an object without the option.
  if (typeof options !== "object") throw new ArgumentError(`${y.op.name}: ${options} is no object of options; write { keepdim: true }`);
  return options.keepdim ? reshape(y, kept(x, axes)) : y;
}

/** The shape without `axes`. */
export function inferReduce(name: string, x: TensorType, axes: readonly number[]): TensorType {
  if (new Set(axes).size !== axes.length || axes.some((a) => !(a >= 0 && a < x.shape.length)))
    throw new ShapeError(`${name}: [${axes}] are not axes of ${showShape(x.shape)}`);
  return { shape: x.shape.filter((_, i) => !axes.includes(i)), dtype: x.dtype };
}
/** Calls f with the flat positions of every element and of the group that it folds into, in row-major order. */
export function eachGroup(shape: readonly number[], axes: readonly number[], f: (group: number, flat: number) => void): void {
  const strides = new Array<number>(shape.length).fill(0);
  for (let d = shape.length - 1, s = 1; d >= 0; d--) {
    if (axes.includes(d)) continue;
    strides[d] = s;
    s *= shape[d]!;
  }
  const n = shape.reduce((a, b) => a * b, 1);
  const index = new Array<number>(shape.length).fill(0);
  for (let i = 0, group = 0; i < n; i++) {
    f(group, i);
    for (let d = shape.length - 1; d >= 0; d--) {
      group += strides[d]!;
      if (++index[d]! < shape[d]!) break;
      group -= strides[d]! * shape[d]!;
      index[d] = 0;
    }
  }
}
interface Fold {
  readonly fold: (a: number, b: number) => number;
  /** The same on integers, where numbers could pass 2^53 before they wrap. */
  readonly integer: (a: bigint, b: bigint) => bigint;
  /** What the oracle computes without rounding errors. */
  readonly compensated?: "sum" | "product";
}
/** Sums with what each addition loses kept aside and added at the end. */
function exactSums(x: NdArray, axes: readonly number[], size: number): Float64Array {
  const data = new Float64Array(size);
  const lost = new Float64Array(size);
  eachGroup(x.shape, axes, (group, flat) => {
    const [a, b] = [data[group]!, x.data[flat] as number];
    const sum = a + b;
    if (Number.isFinite(sum)) lost[group]! += Math.abs(a) >= Math.abs(b) ? a - sum + b : b - sum + a;
    data[group] = sum;
  });
  return data.map((v, i) => (Number.isFinite(v) ? v + lost[i]! : v));
}
/** What a * b loses to rounding: the halves of both factors have exact products. */
function lostProduct(a: number, b: number, product: number): number {
  const halves = (x: number): readonly [number, number] => {
    const c = 134217729 * x;
    const high = c - (c - x);
    return [high, x - high];
  };
  const [[a1, a2], [b1, b2]] = [halves(a), halves(b)];
  return a2 * b2 - (product - a1 * b1 - a2 * b1 - a1 * b2);
}
/** Products with what each multiplication loses kept aside and added at the end. */
function exactProducts(x: NdArray, axes: readonly number[], size: number): Float64Array {
  const data = new Float64Array(size).fill(1);
  const lost = new Float64Array(size);
  eachGroup(x.shape, axes, (group, flat) => {
    const [a, b] = [data[group]!, x.data[flat] as number];
    const product = a * b;
    lost[group] = lost[group]! * b + lostProduct(a, b, product);
    data[group] = product;
  });
  return data.map((v, i) => (Number.isFinite(v) && Number.isFinite(lost[i]!) ? v + lost[i]! : v));
}
/** Folds every group of elements that share the kept indices, rounding as an accumulator does. */
function fold(x: NdArray, axes: readonly number[], out: ReferenceType, start: number | bigint, f: Fold): NdArray {
  const shape = out.shape as readonly number[];
  const size = shape.reduce((a, b) => a * b, 1);
  if (isFloat(out.dtype)) {
    const as = computeDType(out.dtype);
    const data = new Float64Array(size).fill(Number(start));
    if (out.exact && f.compensated)
      return new NdArray(out.dtype, shape, (f.compensated === "sum" ? exactSums : exactProducts)(x, axes, size));
    eachGroup(x.shape, axes, (group, flat) => {
      const v = f.fold(data[group]!, x.data[flat] as number);
      data[group] = as === "f64" ? v : Math.fround(v);
    });
    return new NdArray(out.dtype, shape, data);
  }
  const totals = new Array<bigint>(size).fill(BigInt(start));
  eachGroup(x.shape, axes, (group, flat) => {
    totals[group] = BigInt.asIntN(65, f.integer(totals[group]!, BigInt(x.data[flat]!)));
  });
  return new NdArray(out.dtype, shape, fromBytes(out.dtype, toBytes(out.dtype, totals)));
}
const samples = (
  f: (x: Node, axes: readonly number[]) => Node,
  test: readonly DType[],
  range: readonly [number, number],
  empty = true,
): readonly Sample[] => [
  { shapes: [[2, 3, 4]], test, range, call: (x) => f(x!, [1]) },
  { shapes: [[2, 3]], test, range, call: (x) => f(x!, [0, 1]) },
  { shapes: [[5, 40]], test, range, call: (x) => f(x!, [1]) },
  ...(empty ? [{ shapes: [[3, 0]], test, range, call: (x: Node | undefined) => f(x!, [1]) }] : []),
];

interface Reduction extends Fold {
  readonly combine: "add" | "mul" | "max" | "min" | "or" | "and";
  readonly start: (dtype: DType) => number | bigint;
  readonly test: readonly DType[];
  readonly range?: readonly [number, number];
  readonly vjp?: (ct: Node, x: Node, y: Node, axes: readonly number[]) => Node;
  /** Defined over no elements at all. */
  readonly empty: boolean;
  /** What the function converts its input to. */
  readonly as: (x: Node, dtype: DType | undefined) => Node;
}
/** A reduction as a function of dims, with the op that it records. An empty list of dims leaves x as it is. */
export interface Reduce {
  (x: Node, dim?: Dims, options?: SumOptions): Node;
  readonly op: Op<[Node], Axes>;
}
function reduction(name: string, r: Reduction): Reduce {
  const f = (x: Node, dim?: Dims, options: SumOptions = {}): Node => {
    const from = r.as(x, options.dtype);
    const axes = normalizeDims(dim, x.type.shape.length, name);
    return axes.length ? keepDims(make(self, [from], { axes }), x, axes, options) : from;
  };
  const self: Op<[Node], Axes> = op<[Node], Axes>({
    name,
    kind: "reduce" satisfies OpKind,
    combine: r.combine,
    infer: ([x], { axes }) => {
      const isLogic = r.combine === "or" || r.combine === "and";
      if (isLogic !== (x.dtype === "bool") || dtypes[x.dtype].kind === "complex")
        throw new DTypeError(`${name}: ${x.dtype} is not a dtype that it folds; cast first`);
      const empty = axes.find((a) => x.shape[a] === 0);
      if (!r.empty && empty !== undefined)
        throw new ShapeError(`${name}: axis ${empty} of ${showShape(x.shape)} has no elements, and ${name} of nothing has no value`);
      return inferReduce(name, x, axes);
    },
    ...(r.vjp && { vjp: (ct: Node, y: Node<Axes>) => [r.vjp!(ct, y.inputs[0]!, y, y.attrs.axes)] as const }),
    reference: ([x], { axes }, out) => fold(x, axes, out, r.start(out.dtype), r),
    samples: samples((x, axes) => f(x, axes), r.test, r.range ?? [-2, 2], r.empty),
  });
  return Object.assign(f, { op: self });
}
const wholeToI64 = (x: Node, dtype: DType | undefined): Node =>
  cast(x, dtype ?? (isFloat(x.type.dtype) || x.type.dtype === "u64" ? x.type.dtype : "i64"));
const asIs = (x: Node, dtype: DType | undefined): Node => (dtype ? cast(x, dtype) : x);
const asBool = (x: Node): Node => cast(x, "bool");
const one = (d: DType): number | bigint => (isWide(d) ? 1n : 1);
const zero = (d: DType): number | bigint => (isWide(d) ? 0n : 0);

/** Sum over `dim` (all where it is left out); 0 over nothing (torch.sum). */
export const sum: Reduce = reduction("sum", {
  combine: "add",
  start: zero,
  fold: (a, b) => a + b,
  integer: (a, b) => a + b,
  compensated: "sum",
  test: domainDTypes.any,
  empty: true,
  as: wholeToI64,
  vjp: (ct, x, _, axes) => broadcastBack(ct, x, axes),
});
/** The op of `sum`. */
export const sumOp: Op<[Node], Axes> = sum.op;

/** Product over `dim`; 1 over nothing (torch.prod). */
export const prod: Reduce = reduction("prod", {
  combine: "mul",
  start: one,
  fold: (a, b) => a * b,
  compensated: "product",
  integer: (a, b) => a * b,
  test: domainDTypes.any,
  range: [-1.5, 1.5],
  empty: true,
  as: wholeToI64,
  // Where one factor is 0, only that factor has a derivative: the product of the others.
  vjp: (ct, x, y, axes) => {
    const isZero = eq(x, 0);
    const zeros = broadcastBack(sum(cast(isZero, "i32"), axes, { dtype: "i32" }), x, axes);
    const others = broadcastBack(prod(where(isZero, 1, x), axes), x, axes);
    const alone = logicalAnd(isZero, eq(zeros, 1));
    const plain = div(broadcastBack(y, x, axes), where(isZero, 1, x));
    return mul(broadcastBack(ct, x, axes), where(eq(zeros, 0), plain, where(alone, others, 0)));
  },
});
/** Cotangents of a maximum: shared evenly by the elements that reach it, as in PyTorch. */
const spread = (ct: Node, x: Node, y: Node, axes: readonly number[]): Node => {
  const hit = cast(eq(x, broadcastBack(y, x, axes)), ct.type.dtype);
  return mul(hit, broadcastBack(div(ct, sum(hit, axes)), x, axes));
};
/** What a maximum starts from. */
export const lowest = (d: DType): number | bigint => {
  if (isFloat(d)) return Number.NEGATIVE_INFINITY;
  const bits = dtypes[d].bytes * 8;
  const low = dtypes[d].kind === "int" ? -(2n ** BigInt(bits - 1)) : 0n;
  return isWide(d) ? low : Number(low);
};
/** What a minimum starts from. */
export const highest = (d: DType): number | bigint => {
  if (isFloat(d)) return Number.POSITIVE_INFINITY;
  const bits = BigInt(dtypes[d].bytes * 8);
  const high = dtypes[d].kind === "int" ? 2n ** (bits - 1n) - 1n : 2n ** bits - 1n;
  return isWide(d) ? high : Number(high);
};
const greatest: Reduce = reduction("amax", {
  combine: "max",
  start: lowest,
  fold: (a, b) => (Number.isNaN(a) || a > b ? a : b),
  integer: (a, b) => (a > b ? a : b),
  test: domainDTypes.number,
  empty: false,
  as: asIs,
  vjp: spread,
});
/** The greatest element over `dim`, NaN if there is one; equal ones share the gradient (torch.amax). */
export const amax: Reduce = Object.assign(
  (x: Node, dim?: Dims, options?: SumOptions): Node => (x.type.dtype === "bool" ? any(x, dim, options) : greatest(x, dim, options)),
  { op: greatest.op },
);
const least: Reduce = reduction("amin", {
  combine: "min",
  start: highest,
  fold: (a, b) => (Number.isNaN(a) || a < b ? a : b),
  integer: (a, b) => (a < b ? a : b),
  test: domainDTypes.number,
  empty: false,
  as: asIs,
  vjp: spread,
});
/** The least element over `dim`, NaN if there is one; equal ones share the gradient (torch.amin). */
export const amin: Reduce = Object.assign(
  (x: Node, dim?: Dims, options?: SumOptions): Node => (x.type.dtype === "bool" ? all(x, dim, options) : least(x, dim, options)),
  { op: least.op },
);
/** PyTorch answers a question about u8 in u8. */
const answered = (f: Reduce): Reduce =>
  Object.assign((x: Node, dim?: Dims, options?: SumOptions): Node => cast(f(x, dim, options), x.type.dtype === "u8" ? "u8" : "bool"), {
    op: f.op,
  });
const some = reduction("any", {
  combine: "or",
  start: () => 0,
  fold: (a, b) => a | b,
  integer: (a, b) => a | b,
  test: ["bool", "f32", "i64"],
  empty: true,
  as: asBool,
});
/** True where one element over `dim` is not 0; false over nothing (torch.any). */
export const any: Reduce = answered(some);
const every = reduction("all", {
  combine: "and",
  start: () => 1,
  fold: (a, b) => a & b,
  integer: (a, b) => a & b,
  test: ["bool", "f32", "i64"],
  empty: true,
  as: asBool,
});
/** True where every element over `dim` is not 0; true over nothing (torch.all). */
export const all: Reduce = answered(every);

computesIn("wide", sum, prod);
