import { isFloat } from "../core/dtype.js";
import { ArgumentError, DTypeError, ShapeError } from "../core/errors.js";
import { type Dim, add as plus } from "../core/expr.js";
import { numel, type Shape, sameShape, showShape, showType } from "../core/type.js";
import { make, type Node, type Op, op } from "../ir/node.js";
import { dimValue, keepMean, widen } from "./composite.js";
import { add, cast, clamp, div, mul, pow, rsqrt, sub } from "./elementwise.js";
import { reshape, unslice, window } from "./movement.js";
import { computesIn } from "./precision.js";
import { sum } from "./reduce.js";
import { norm } from "./statistics.js";

/** Mean and 1 / standard deviation over `axes`, kept as size 1; two passes over x, in at least f32. */
function moments(x: Node, axes: readonly number[], eps: number): { readonly mean: Node; readonly variance: Node; readonly rstd: Node } {
  const mean = keepMean(x, axes);
  const centered = sub(x, mean);
  const variance = keepMean(mul(centered, centered), axes);
  return { mean, variance, rstd: rsqrt(add(variance, eps)) };
}
/** Cotangent of x where y = (x - mean) rstd and g is y's. */
function standardizeBack(g: Node, y: Node, rstd: Node, axes: readonly number[]): Node {
  return mul(rstd, sub(sub(g, keepMean(g, axes)), mul(y, keepMean(mul(g, y), axes))));
}

/** x moved and scaled to mean 0 and variance 1 over `axes`; half floats give f32. What groupNorm, instanceNorm and batchNorm share. */
export function standardize(x: Node, axes: readonly number[], eps: number): Node {
  return make(standardizeOp, [x], { axes, eps });
}
export const standardizeOp: Op<[Node], { axes: readonly number[]; eps: number }> = op({
  name: "standardize",
  kind: "composite",
  infer: ([x]) => {
    if (!isFloat(x.dtype)) throw new DTypeError(`standardize: ${showType(x)} is not floating point`);
    return { shape: x.shape, dtype: x.dtype === "f64" ? "f64" : "f32" };
  },
  vjp: (ct, y) => {
    const x = widen(y.inputs[0]!);
    const { mean, rstd } = moments(x, y.attrs.axes, y.attrs.eps);
    return [cast(standardizeBack(ct, mul(sub(x, mean), rstd), rstd, y.attrs.axes), y.inputs[0]!.type.dtype)];
  },
  decompose: (y, [x]) => {
    const wide = widen(x);
    const { mean, rstd } = moments(wide, y.attrs.axes, y.attrs.eps);
    return mul(sub(wide, mean), rstd);
  },
  samples: [
    { shapes: [[3, 4, 5]], call: (x) => standardize(x!, [0, 2], 1e-5) },
    { shapes: [[3, 40]], call: (x) => standardize(x!, [1], 1e-5) },
  ],
});

/** The axes that a trailing shape names. */
function trailing(name: string, x: Node, shape: Shape, ...affine: readonly Node[]): readonly number[] {
  const from = x.type.shape.length - shape.length;
  if (shape.length === 0 || from < 0 || !sameShape(x.type.shape.slice(from), shape))
    throw new ShapeError(`${name}: normalized shape ${showShape(shape)} is not how ${showShape(x.type.shape)} ends`);
  for (const w of affine)
    if (!sameShape(w.type.shape, shape))
      throw new ShapeError(`${name}: weight and bias ${showShape(w.type.shape)} must have shape ${showShape(shape)}`);
  return shape.map((_, i) => from + i);
}
const leading = (x: Node, axes: readonly number[]): number[] => x.type.shape.flatMap((_, i) => (axes.includes(i) ? [] : [i]));

type NormAttrs = { axes: readonly number[]; eps: number };
const normSamples = (f: (x: Node, shape: Shape, w?: Node, b?: Node) => Node, affine: number): Op["samples"] => [
  { shapes: [[4, 6]], call: (x) => f(x!, [6]) },
  { shapes: [[2, 3, 9], ...Array.from({ length: affine }, () => [9])], call: (x, w, b) => f(x!, [9], w, b) },
  { shapes: [[2, 3, 4], ...Array.from({ length: affine }, () => [3, 4])], call: (x, w, b) => f(x!, [3, 4], w, b) },
];

/** (x - mean) / sqrt(variance + eps) over the trailing axes, times weight plus bias (torch.nn.functional.layer_norm). */
export function layerNorm(
  x: Node,
  normalizedShape: Shape | Dim,
  weight?: Node | null,
  bias?: Node | null,
  options: { readonly eps?: number } = {},
): Node {
  const shape = Array.isArray(normalizedShape) ? (normalizedShape as Shape) : [normalizedShape as Dim];
  const axes = trailing("layerNorm", x, shape, ...(weight ? [weight] : []), ...(bias ? [bias] : []));
  const inputs = weight ? (bias ? [x, weight, bias] : [x, weight]) : [x];
  const y = make(layerNormOp, inputs, { axes, eps: options.eps ?? 1e-5 });
  return bias && !weight ? add(y, bias) : y;
}
export const layerNormOp: Op<readonly Node[], NormAttrs> = op({
  name: "layerNorm",
  kind: "composite",
  infer: ([x]) => {
    if (!isFloat(x!.dtype)) throw new DTypeError(`layerNorm: ${showType(x!)} is not floating point`);
    return x!;
  },
  vjp: (ct, y) => {
    const [x, weight, bias] = y.inputs as [Node, Node?, Node?];
    const { axes, eps } = y.attrs;
    const [wide, g] = [widen(x), widen(ct)];
    const { mean, rstd } = moments(wide, axes, eps);
    const normal = mul(sub(wide, mean), rstd);
    const rows = leading(x, axes);
    return [
      cast(standardizeBack(weight ? mul(g, widen(weight)) : g, normal, rstd, axes), x.type.dtype),
      ...(weight ? [cast(sum(mul(g, normal), rows), weight.type.dtype)] : []),
      ...(bias ? [cast(sum(g, rows), bias.type.dtype)] : []),
    ];
  },
  decompose: (y, [x, weight, bias]) => {
    const wide = widen(x!);
    const { mean, rstd } = moments(wide, y.attrs.axes, y.attrs.eps);
    const normal = mul(sub(wide, mean), rstd);
    const scaled = weight ? mul(normal, widen(weight)) : normal;
    return cast(bias ? add(scaled, widen(bias)) : scaled, y.type.dtype);
  },
  samples: normSamples((x, shape, w, b) => layerNorm(x, shape, w, b), 2),
});

/** x / sqrt(mean(x^2) + eps) over the trailing axes, times weight; eps defaults to the dtype's own (torch.nn.functional.rms_norm). */
export function rmsNorm(x: Node, normalizedShape: Shape | Dim, weight?: Node | null, options: { readonly eps?: number | null } = {}): Node {
  const shape = Array.isArray(normalizedShape) ? (normalizedShape as Shape) : [normalizedShape as Dim];
  const axes = trailing("rmsNorm", x, shape, ...(weight ? [weight] : []));
  return make(rmsNormOp, weight ? [x, weight] : [x], { axes, eps: options.eps ?? epsilon[x.type.dtype] ?? 0 });
}
const epsilon: Readonly<Record<string, number>> = { f16: 2 ** -10, bf16: 2 ** -7, f32: 2 ** -23, f64: 2 ** -52 };
export const rmsNormOp: Op<readonly Node[], NormAttrs> = op({
  name: "rmsNorm",
  kind: "composite",
  infer: ([x]) => {
    if (!isFloat(x!.dtype)) throw new DTypeError(`rmsNorm: ${showType(x!)} is not floating point`);
    return x!;
  },
  vjp: (ct, y) => {
    const [x, weight] = y.inputs as [Node, Node?];
    const { axes, eps } = y.attrs;
    const [wide, c] = [widen(x), widen(ct)];
    const rstd = rsqrt(add(keepMean(mul(wide, wide), axes), eps));
    const normal = mul(wide, rstd);
    const g = weight ? mul(c, widen(weight)) : c;
    const dx = mul(rstd, sub(g, mul(normal, keepMean(mul(g, normal), axes))));
    return [cast(dx, x.type.dtype), ...(weight ? [cast(sum(mul(c, normal), leading(x, axes)), weight.type.dtype)] : [])];
  },
  decompose: (y, [x, weight]) => {
    const wide = widen(x!);
    const normal = mul(wide, rsqrt(add(keepMean(mul(wide, wide), y.attrs.axes), y.attrs.eps)));
    return cast(weight ? mul(normal, widen(weight)) : normal, y.type.dtype);
  },
  samples: normSamples((x, shape, w) => rmsNorm(x, shape, w), 1),
});

/** A value of one number for each channel, shaped to broadcast along axis 1 of x. */
function perChannel(name: string, x: Node, w: Node): Node {
  const { shape } = x.type;
  if (w.type.shape.length !== 1 || w.type.shape[0] !== shape[1])
    throw new ShapeError(`${name}: ${showShape(w.type.shape)} must hold one number for each channel (axis 1) of ${showShape(shape)}`);
  return reshape(w, [w.type.shape[0]!, ...shape.slice(2).map(() => 1)]);
}
/** Weight and bias for each channel, in at least f32, then x's own dtype. */
function affine(name: string, x: Node, y: Node, weight?: Node | null, bias?: Node | null): Node {
  const scaled = weight ? mul(y, widen(perChannel(name, x, weight))) : y;
  return cast(bias ? add(scaled, widen(perChannel(name, x, bias))) : scaled, x.type.dtype);
}

/** Normalises groups of channels of [N, C, ...] (torch.nn.functional.group_norm). */
export function groupNorm(
  x: Node,
  numGroups: number,
  weight?: Node | null,
  bias?: Node | null,
  options: { readonly eps?: number } = {},
): Node {
  const [n, c, ...rest] = x.type.shape;
  if (n === undefined || typeof c !== "number" || !(numGroups > 0) || c % numGroups)
    throw new ShapeError(`groupNorm: ${numGroups} groups do not divide the channels (axis 1) of ${showShape(x.type.shape)}`);
  const grouped = reshape(x, [n, numGroups, c / numGroups, ...rest]);
  const axes = grouped.type.shape.flatMap((_, i) => (i < 2 ? [] : [i]));
  return affine("groupNorm", x, reshape(standardize(grouped, axes, options.eps ?? 1e-5), x.type.shape), weight, bias);
}

/** Normalises each channel of each sample of [N, C, ...] by itself (torch.nn.functional.instance_norm with its input's statistics). */
export function instanceNorm(x: Node, weight?: Node | null, bias?: Node | null, options: { readonly eps?: number } = {}): Node {
  const axes = x.type.shape.flatMap((_, i) => (i < 2 ? [] : [i]));
  if (axes.length === 0) throw new ShapeError(`instanceNorm: ${showShape(x.type.shape)} needs at least three axes, [N, C, ...]`);
  return affine("instanceNorm", x, standardize(x, axes, options.eps ?? 1e-5), weight, bias);
}

/** Normalises channels of [N, C, ...] by given statistics (torch.nn.functional.batch_norm in evaluation). */
export function batchNorm(
  x: Node,
  runningMean: Node,
  runningVar: Node,
  weight?: Node | null,
  bias?: Node | null,
  options: { readonly eps?: number } = {},
): Node {
  const rstd = rsqrt(add(widen(perChannel("batchNorm", x, runningVar)), options.eps ?? 1e-5));
  const scale = weight ? mul(rstd, widen(perChannel("batchNorm", x, weight))) : rstd;
  const y = mul(sub(widen(x), widen(perChannel("batchNorm", x, runningMean))), scale);
  return cast(bias ? add(y, widen(perChannel("batchNorm", x, bias))) : y, x.type.dtype);
}

/**
 * Normalises channels of [N, C, ...] by the batch's own statistics (torch.nn.functional.batch_norm in training): the result, and the
 * batch's mean and unbiased variance for the running statistics.
 */
export function batchNormTraining(
  x: Node,
  weight?: Node | null,
  bias?: Node | null,
  options: { readonly eps?: number } = {},
): readonly [y: Node, mean: Node, variance: Node] {
  const { shape } = x.type;
  if (shape.length < 2) throw new ShapeError(`batchNormTraining: ${showShape(shape)} needs at least two axes, [N, C, ...]`);
  const axes = shape.flatMap((_, i) => (i === 1 ? [] : [i]));
  const eps = options.eps ?? 1e-5;
  const count = numel(axes.map((a) => shape[a]!));
  if (count === 1) throw new ArgumentError(`batchNormTraining: ${showShape(shape)} has one value for each channel; training needs more`);
  const { mean, variance } = moments(widen(x), axes, eps);
  const n = dimValue(count, mean.type.dtype);
  const unbiased = mul(variance, div(n, sub(n, 1)));
  const y = affine("batchNorm", x, standardize(x, axes, eps), weight, bias);
  return [y, reshape(mean, [shape[1]!]), reshape(unbiased, [shape[1]!])];
}

/** x divided by its p-norm along `dim`, limited from below by eps (torch.nn.functional.normalize). */
export function normalize(
  x: Node,
  options: { readonly p?: number; readonly dim?: number | readonly number[]; readonly eps?: number } = {},
): Node {
  return div(x, clamp(norm(x, options.p ?? 2, options.dim ?? 1, { keepdim: true }), options.eps ?? 1e-12));
}

/** x / (k + alpha mean of squares over `size` neighbouring channels)^beta (torch.nn.functional.local_response_norm). */
export function localResponseNorm(
  x: Node,
  size: number,
  options: { readonly alpha?: number; readonly beta?: number; readonly k?: number } = {},
): Node {
  const { alpha = 1e-4, beta = 0.75, k = 1 } = options;
  const { shape } = x.type;
  if (shape.length < 3) throw new ShapeError(`localResponseNorm: ${showShape(shape)} needs at least three axes, [N, C, ...]`);
  const square = mul(x, x);
  const low = size >> 1;
  const padded = unslice(
    square,
    shape.map((d, i) => (i === 1 ? plus(d, size - 1) : d)),
    shape.map((_, i) => (i === 1 ? low : 0)),
  );
  const mean = div(sum(window(padded, [1], [size]), -1), size);
  return div(x, pow(add(mul(mean, alpha), k), beta));
}

computesIn("wide", layerNorm, rmsNorm, groupNorm, instanceNorm, batchNorm, batchNormTraining, normalize, localResponseNorm);
