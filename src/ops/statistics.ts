import { type DType, isFloat } from "../core/dtype.js";
import { ShapeError } from "../core/errors.js";
import { type Dim, hi } from "../core/expr.js";
import { NdArray } from "../core/ndarray.js";
import { numel, showShape } from "../core/type.js";
import { make, type Node, type Op, op, type Sample } from "../ir/node.js";
import { cast } from "./cast.js";
import { dimValue, floating, widen } from "./composite.js";
import { type Dims, normalizeDim, normalizeDims } from "./dims.js";
import { domainDTypes } from "./domains.js";
import { abs, add, div, eq, exp, isInf, isNaN, log, maximum, mul, ne, pow, sign, sqrt, square, sub, where } from "./elementwise.js";
import { gather } from "./gather.js";
import { reshape } from "./movement.js";
import { alongAxis, firstPlace } from "./positions.js";
import { computesIn } from "./precision.js";
import {
  type Axes,
  amax,
  amin,
  broadcastBack,
  eachGroup,
  inferReduce,
  keepDims,
  type ReduceOptions,
  type SumOptions,
  sum,
} from "./reduce.js";
import { iota } from "./source.js";
import { unsqueeze } from "./views.js";

const axesOf = (x: Node, dim: Dims, name: string): number[] => normalizeDims(dim, x.type.shape.length, name);
const countOf = (x: Node, axes: readonly number[]): Dim => numel(axes.map((a) => x.type.shape[a]!));
/** A float function of a widened value, rounded to x's dtype at the end. */
const inWide = (x: Node, f: (wide: Node) => Node): Node => cast(f(widen(x)), x.type.dtype);

/** Mean over `dim`; NaN over nothing (torch.mean; integers and bool as floats). */
export function mean(x: Node, dim?: Dims, options: SumOptions = {}): Node {
  const from = options.dtype ? cast(x, options.dtype) : floating(x);
  const axes = axesOf(x, dim, "mean");
  const y = inWide(from, (w) => div(sum(w, axes), dimValue(countOf(x, axes), w.type.dtype)));
  return keepDims(y, x, axes, options);
}
/** Sum that takes NaN as 0 (torch.nansum). */
export const nansum = (x: Node, dim?: Dims, options: SumOptions = {}): Node =>
  sum(isFloat(x.type.dtype) ? where(isNaN(x), 0, x) : x, dim, options);
/** Mean of what is not NaN (torch.nanmean). */
export function nanmean(x: Node, dim?: Dims, options: ReduceOptions = {}): Node {
  const from = floating(x);
  return inWide(from, (w) => div(nansum(w, dim, options), sum(cast(eq(w, w), w.type.dtype), dim, options)));
}
/** How many elements are not 0 (torch.count_nonzero). */
export const countNonzero = (x: Node, dim?: Dims): Node => sum(cast(ne(x, 0), "i64"), dim);

type Spread = { axes: readonly number[]; correction: number };
/** Options of variances: what is taken off the number of elements, 1 unless told otherwise. */
export interface VarianceOptions extends ReduceOptions {
  readonly correction?: number;
}
/** Mean square distance from the mean, with n - correction as divisor (torch.var). */
export function variance(x: Node, dim?: Dims, options: VarianceOptions = {}): Node {
  const axes = axesOf(x, dim, "variance");
  return keepDims(make(varianceOp, [floating(x)], { axes, correction: options.correction ?? 1 }), x, axes, options);
}
const centred = (x: Node, axes: readonly number[]): Node => sub(x, mean(x, axes, { keepdim: true }));
const freedom = (x: Node, { axes, correction }: Spread): Node => {
  const n = countOf(x, axes);
  if (typeof n === "number") return dimValue(Math.max(0, n - correction), x.type.dtype);
  return maximum(sub(dimValue(n, x.type.dtype), correction), 0);
};
const spreadSamples = (f: (x: Node, dim?: Dims, o?: VarianceOptions) => Node): readonly Sample[] => [
  { shapes: [[3, 5]], test: domainDTypes.float, call: (x) => f(x!, 1) },
  { shapes: [[2, 3, 4]], test: domainDTypes.float, call: (x) => f(x!, [0, 2], { correction: 0, keepdim: true }) },
];
/** The op of `variance`. */
export const varianceOp: Op<[Node], Spread> = op<[Node], Spread>({
  name: "variance",
  kind: "composite",
  infer: ([x], { axes }) => inferReduce("variance", x, axes),
  vjp: (ct, y) => {
    const x = y.inputs[0]!;
    const by = div(mul(ct, 2), freedom(x, y.attrs));
    return [mul(broadcastBack(by, x, y.attrs.axes), centred(x, y.attrs.axes))];
  },
  reference: ([x], { axes, correction }, out) => {
    const n = axes.reduce((p, a) => p * x.shape[a]!, 1);
    const means = new Float64Array(numel(out.shape) as number);
    eachGroup(x.shape, axes, (g, i) => (means[g]! += (x.data[i] as number) / n));
    const squares = new Float64Array(means.length);
    eachGroup(x.shape, axes, (g, i) => (squares[g]! += ((x.data[i] as number) - means[g]!) ** 2));
    return new NdArray(
      out.dtype,
      out.shape as readonly number[],
      squares.map((s) => s / Math.max(0, n - correction)),
    );
  },
  decompose: (y, [x]) => inWide(x, (w) => div(sum(square(centred(w, y.attrs.axes)), y.attrs.axes), freedom(w, y.attrs))),
  samples: spreadSamples(variance),
});
/** Square root of the variance (torch.std). */
export function std(x: Node, dim?: Dims, options: VarianceOptions = {}): Node {
  const axes = axesOf(x, dim, "std");
  return keepDims(make(stdOp, [floating(x)], { axes, correction: options.correction ?? 1 }), x, axes, options);
}
/** The op of `std`; where it is 0 its derivative is 0. */
export const stdOp: Op<[Node], Spread> = op<[Node], Spread>({
  name: "std",
  kind: "composite",
  infer: ([x], { axes }) => inferReduce("std", x, axes),
  vjp: (ct, y) => {
    const x = y.inputs[0]!;
    const { axes } = y.attrs;
    const zero = eq(y, 0);
    const by = where(zero, 0, div(ct, mul(where(zero, 1, y), freedom(x, y.attrs))));
    return [mul(broadcastBack(by, x, axes), centred(x, axes))];
  },
  decompose: (y, [x]) => inWide(x, (w) => sqrt(make(varianceOp, [w], y.attrs))),
  samples: spreadSamples(std),
});
/** Variance and mean (torch.var_mean). */
export const varMean = (x: Node, dim?: Dims, options: VarianceOptions = {}): [variance: Node, mean: Node] => [
  variance(x, dim, options),
  mean(x, dim, options),
];
/** Standard deviation and mean (torch.std_mean). */
export const stdMean = (x: Node, dim?: Dims, options: VarianceOptions = {}): [std: Node, mean: Node] => [
  std(x, dim, options),
  mean(x, dim, options),
];

/** log of the sum of e^x, without overflow (torch.logsumexp). */
export function logsumexp(x: Node, dim: Dims, options: ReduceOptions = {}): Node {
  const axes = axesOf(x, dim, "logsumexp");
  return keepDims(make(logsumexpOp, [floating(x)], { axes }), x, axes, options);
}
/** The op of `logsumexp`. */
export const logsumexpOp: Op<[Node], Axes> = op<[Node], Axes>({
  name: "logsumexp",
  kind: "composite",
  infer: ([x], { axes }) => inferReduce("logsumexp", x, axes),
  vjp: (ct, y) => {
    const x = y.inputs[0]!;
    const { axes } = y.attrs;
    // -infinity minus itself would be NaN; such an element has no weight.
    const top = broadcastBack(where(isInf(y), 0, y), x, axes);
    return [mul(broadcastBack(ct, x, axes), exp(sub(x, top)))];
  },
  decompose: (y, [x]) => {
    const { axes } = y.attrs;
    if (axes.some((a) => x.type.shape[a] === 0)) return log(sum(exp(x), axes));
    return inWide(x, (w) => {
      const top = amax(w, axes);
      const finite = where(isInf(top), 0, top);
      return add(log(sum(exp(sub(w, broadcastBack(finite, w, axes))), axes)), finite);
    });
  },
  samples: [
    { shapes: [[3, 5]], range: [-8, 8], test: domainDTypes.float, call: (x) => logsumexp(x!, 1) },
    { shapes: [[2, 3, 4]], call: (x) => logsumexp(x!, [0, 2], { keepdim: true }) },
  ],
});

/** The p-norm over `dim`: p may be 0, infinity or -infinity (torch.linalg.vector_norm). */
export function norm(x: Node, p = 2, dim?: Dims, options: ReduceOptions = {}): Node {
  const axes = axesOf(x, dim, "norm");
  return keepDims(make(normOp, [floating(x)], { axes, p }), x, axes, options);
}
/** The op of `norm`; where it is 0 its derivative is 0. */
export const normOp: Op<[Node], Axes & { p: number }> = op<[Node], Axes & { p: number }>({
  name: "norm",
  kind: "composite",
  infer: ([x], { axes }) => inferReduce("norm", x, axes),
  vjp: (ct, y) => {
    const x = y.inputs[0]!;
    const { axes, p } = y.attrs;
    const back = (v: Node): Node => broadcastBack(v, x, axes);
    if (p === 0) return [null];
    if (p === 1) return [mul(back(ct), sign(x))];
    const isZero = eq(y, 0);
    const safe = where(isZero, 1, y);
    if (p === 2) return [mul(x, back(where(isZero, 0, div(ct, safe))))];
    if (Math.abs(p) === Number.POSITIVE_INFINITY) {
      const hit = cast(eq(abs(x), back(y)), ct.type.dtype);
      return [mul(mul(sign(x), hit), back(div(ct, sum(hit, axes))))];
    }
    const size = abs(x);
    const power = where(eq(size, 0), 0, pow(where(eq(size, 0), 1, size), p - 1));
    return [mul(mul(sign(x), power), back(where(isZero, 0, div(ct, pow(safe, p - 1)))))];
  },
  decompose: (y, [x]) => {
    const { axes, p } = y.attrs;
    return inWide(x, (w) => {
      if (p === 0) return sum(cast(ne(w, 0), w.type.dtype), axes);
      if (p === 1) return sum(abs(w), axes);
      if (p === 2) return sqrt(sum(square(w), axes));
      if (p === Number.POSITIVE_INFINITY) return amax(abs(w), axes);
      if (p === Number.NEGATIVE_INFINITY) return amin(abs(w), axes);
      return pow(sum(pow(abs(w), p), axes), 1 / p);
    });
  },
  samples: [
    { shapes: [[3, 5]], test: domainDTypes.float, call: (x) => norm(x!, 2, 1) },
    { shapes: [[3, 5]], call: (x) => norm(x!, 1) },
    { shapes: [[3, 5]], range: [0.25, 2], call: (x) => norm(x!, 3, 0, { keepdim: true }) },
    { shapes: [[3, 5]], call: (x) => norm(x!, Number.POSITIVE_INFINITY, 1) },
    { shapes: [[3, 5]], noGrad: "piecewise constant", grid: 1, call: (x) => norm(x!, 0, 1) },
  ],
});

type Axis = { axis: number };
/** Position of the first extreme element; a NaN counts as the extreme. A float tensor's -0 and 0 are equal. */
function arg(name: "argmax" | "argmin", better: (a: number | bigint, b: number | bigint) => boolean): Op<[Node], Axis> {
  const self: Op<[Node], Axis> = op<[Node], Axis>({
    name,
    kind: "composite",
    infer: ([x], { axis }) => {
      if (x.shape[axis] === 0) throw new ShapeError(`${name}: axis ${axis} of ${showShape(x.shape)} has no elements`);
      return { shape: inferReduce(name, x, [axis]).shape, dtype: "i64" };
    },
    vjp: () => [null],
    reference: ([x], { axis }, out) =>
      NdArray.of("i64", out.shape as readonly number[], (i) => {
        const at = (k: number): number | bigint => x.at([...i.slice(0, axis), k, ...i.slice(axis)]);
        let best = 0;
        for (let k = 1; k < x.shape[axis]!; k++) {
          const [a, b] = [at(best), at(k)];
          if (!Number.isNaN(a) && (Number.isNaN(b) || better(b, a))) best = k;
        }
        return best;
      }),
    // The least position at which the extreme, or a NaN, stands.
    decompose: (y, [x]) => {
      const { axis } = y.attrs;
      const from = x.type.dtype === "bool" ? cast(x, "u8") : x;
      const n = x.type.shape[axis]!;
      const as: DType = hi(n) < 2 ** 31 ? "i32" : "i64";
      const top = (name === "argmax" ? amax : amin)(from, [axis]);
      return cast(firstPlace(from, axis, top, alongAxis(iota(n, as), axis, from), n), "i64");
    },
    samples: [
      { shapes: [[3, 7]], grid: 1 / 8, test: domainDTypes.any, call: (x) => make(self, [x!], { axis: 1 }) },
      { shapes: [[2, 3, 4]], grid: 1, call: (x) => make(self, [x!], { axis: 0 }) },
    ],
  });
  return self;
}
/** The op of `argmax`. */
export const argmaxOp: Op<[Node], Axis> = arg("argmax", (a, b) => a > b);
/** The op of `argmin`. */
export const argminOp: Op<[Node], Axis> = arg("argmin", (a, b) => a < b);
function position(o: Op<[Node], Axis>, x: Node, dim: number | null | undefined, options: ReduceOptions): Node {
  if (dim === null || dim === undefined) {
    const y = make(o, [reshape(x, [numel(x.type.shape)])], { axis: 0 });
    return options.keepdim
      ? reshape(
          y,
          x.type.shape.map(() => 1),
        )
      : y;
  }
  if (!x.type.shape.length) return reshape(make(o, [reshape(x, [1])], { axis: normalizeDim(dim, 0, o.name) }), []);
  const axis = normalizeDim(dim, x.type.shape.length, o.name);
  return keepDims(make(o, [x], { axis }), x, [axis], options);
}
/** Position of the first greatest element along `dim`, or in the flattened tensor (torch.argmax). */
export const argmax = (x: Node, dim?: number | null, options: ReduceOptions = {}): Node => position(argmaxOp, x, dim, options);
/** Position of the first least element along `dim`, or in the flattened tensor (torch.argmin). */
export const argmin = (x: Node, dim?: number | null, options: ReduceOptions = {}): Node => position(argminOp, x, dim, options);

/** The values and positions that `max` and `min` give along a dim. */
export interface Extreme {
  readonly values: Node;
  readonly indices: Node;
}
function extreme(o: Op<[Node], Axis>, x: Node, dim: number, options: ReduceOptions): Extreme {
  if (!x.type.shape.length) return { values: x, indices: position(o, x, dim, {}) };
  const axis = normalizeDim(dim, x.type.shape.length, o.name);
  const indices = position(o, x, axis, {});
  const values = reshape(gather(x, axis, unsqueeze(indices, axis)), indices.type.shape);
  return { values: keepDims(values, x, [axis], options), indices: keepDims(indices, x, [axis], options) };
}
/** The greatest element of all (torch.max). */
export function max(x: Node): Node;
/** The greatest elements along `dim` and where they first stand (torch.max). */
export function max(x: Node, dim: number, options?: ReduceOptions): Extreme;
export function max(x: Node, dim?: number, options: ReduceOptions = {}): Node | Extreme {
  return dim === undefined ? amax(x) : extreme(argmaxOp, x, dim, options);
}
/** The least element of all (torch.min). */
export function min(x: Node): Node;
/** The least elements along `dim` and where they first stand (torch.min). */
export function min(x: Node, dim: number, options?: ReduceOptions): Extreme;
export function min(x: Node, dim?: number, options: ReduceOptions = {}): Node | Extreme {
  return dim === undefined ? amin(x) : extreme(argminOp, x, dim, options);
}
/** Least and greatest element (torch.aminmax). */
export const aminmax = (x: Node, dim?: Dims, options: ReduceOptions = {}): { min: Node; max: Node } => ({
  min: amin(x, dim, options),
  max: amax(x, dim, options),
});

computesIn("wide", mean, nansum, nanmean, variance, std, varMean, stdMean, logsumexp, norm);
