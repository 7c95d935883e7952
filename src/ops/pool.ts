import { isFloat } from "../core/dtype.js";
import { ArgumentError, DTypeError, ShapeError, UnsupportedError } from "../core/errors.js";
import { ceilDiv, type Dim, hi, sub as minus, div as over, add as plus } from "../core/expr.js";
import { showShape, showType } from "../core/type.js";
import { make, type Node, type Op, op } from "../ir/node.js";
import { cast } from "./cast.js";
import { floats, keepMax, perAxis, single, widen } from "./composite.js";
import type { PerAxis } from "./conv.js";
import { add, div, eq, ge, logicalAnd, lt, maximum, minimum, mul, pow, sub, where } from "./elementwise.js";
import { matmul } from "./matmul.js";
import { expand, reshape, slice, unslice, unwindow, window } from "./movement.js";
import { amin, sum } from "./reduce.js";
import { iota } from "./source.js";
import { movedim } from "./views.js";

/** Settings of pooling. */
export interface PoolOptions {
  /** Default: the kernel's size. */
  readonly stride?: PerAxis | null;
  readonly padding?: PerAxis;
  /** A last window that begins inside the padded input counts even if it ends outside. */
  readonly ceilMode?: boolean;
}
/** Settings of maxPool. */
export interface MaxPoolOptions extends PoolOptions {
  readonly dilation?: PerAxis;
}
/** Settings of avgPool. */
export interface AvgPoolOptions extends PoolOptions {
  readonly countIncludePad?: boolean;
  readonly divisorOverride?: number | null;
}

/** Windows over the trailing axes of a padded (or cropped) input. */
type Pool = {
  kernel: readonly number[];
  stride: readonly number[];
  dilation: readonly number[];
  low: readonly number[];
  high: readonly Dim[];
};
const last = (x: Node, n: number): number[] => Array.from({ length: n }, (_, i) => x.type.shape.length - n + i);

function plan(name: string, n: number, x: Node, kernelSize: PerAxis, o: MaxPoolOptions): Pool {
  const { shape } = x.type;
  if (shape.length !== n + 1 && shape.length !== n + 2)
    throw new ShapeError(`${name}: ${showShape(shape)} must have ${n + 2} axes [N, C, ...], or ${n + 1} without a batch`);
  const kernel = perAxis(name, "kernelSize", kernelSize, n, 1);
  const stride = Array.isArray(o.stride) && !o.stride.length ? kernel : perAxis(name, "stride", o.stride ?? kernel, n, 1);
  const dilation = perAxis(name, "dilation", o.dilation ?? 1, n, 1);
  const low = perAxis(name, "padding", o.padding ?? 0, n, 0);
  if (low.some((p, i) => 2 * p > kernel[i]!)) throw new ArgumentError(`${name}: padding ${low} is more than half of the kernel ${kernel}`);
  const high = last(x, n).map((axis, i) => {
    const size = shape[axis]!;
    const reach = dilation[i]! * (kernel[i]! - 1) + 1;
    const room = plus(size, 2 * low[i]! - reach);
    if (!o.ceilMode) return low[i]!;
    const windows = plus(ceilDiv(room, stride[i]!), 1);
    if (typeof windows !== "number")
      throw new UnsupportedError(`${name}: ceilMode needs axis ${axis} of ${showShape(shape)} to have a known size`);
    // A window that begins in the padding on the far side does not count.
    const count = (windows - 1) * stride[i]! >= (size as number) + low[i]! ? windows - 1 : windows;
    return (count - 1) * stride[i]! + reach - (size as number) - low[i]!;
  });
  last(x, n).forEach((axis, i) => {
    const padded = plus(shape[axis]!, low[i]!, high[i]!);
    if (hi(padded) < dilation[i]! * (kernel[i]! - 1) + 1)
      throw new ShapeError(`${name}: kernel ${kernel} with dilation ${dilation} does not fit into ${showShape(shape)} padded by ${low}`);
  });
  return { kernel, stride, dilation, low, high };
}

/** x with `value` around the pooled axes. */
function padded(x: Node, { low, high }: Pool, value: number): Node {
  const n = low.length;
  const lead = x.type.shape.slice(0, -n);
  const sizes = x.type.shape.slice(-n);
  const grow = high.map((h) => (typeof h === "number" && h < 0 ? 0 : h));
  const start = [...lead.map(() => 0), ...low];
  const whole = unslice(
    x,
    [...lead, ...sizes.map((d, i) => plus(d, low[i]!, grow[i]!))],
    start,
    start.map(() => 1),
    value,
  );
  return slice(
    whole,
    start.map(() => 0),
    [...lead, ...sizes.map((d, i) => plus(d, low[i]!, high[i]!))],
  );
}
/** The transpose of `padded`. */
function unpadded(g: Node, x: Node, { low, high }: Pool): Node {
  const n = low.length;
  const lead = x.type.shape.slice(0, -n);
  const sizes = x.type.shape.slice(-n);
  const grow = high.map((h) => (typeof h === "number" && h < 0 ? 0 : h));
  const whole = [...lead, ...sizes.map((d, i) => plus(d, low[i]!, grow[i]!))];
  return slice(
    unslice(
      g,
      whole,
      whole.map(() => 0),
    ),
    [...lead.map(() => 0), ...low],
    x.type.shape,
  );
}
const windows = (x: Node, p: Pool): Node => window(x, last(x, p.kernel.length), p.kernel, p.stride, p.dilation);
/** The window's own axes, the last ones of a windowed value. */
const inner = (x: Node, p: Pool): number[] => last(x, p.kernel.length);
/** A pooled value with axes of size 1 for the window. */
const spread = (y: Node, p: Pool): Node => reshape(y, [...y.type.shape, ...p.kernel.map(() => 1)]);

/** Where each element of each window lies in x, counted over the pooled axes: [...windows, ...kernel]. */
function places(x: Node, out: readonly Dim[], p: Pool): Node {
  const n = p.kernel.length;
  const sizes = x.type.shape.slice(-n);
  const axis = (size: Dim, at: number): Node =>
    reshape(
      iota(size, "i32"),
      Array.from({ length: 2 * n }, (_, i) => (i === at ? size : 1)),
    );
  let flat: Node | undefined;
  for (let i = 0; i < n; i++) {
    const place = sub(add(mul(axis(out[i]!, i), p.stride[i]!), mul(axis(p.kernel[i]!, n + i), p.dilation[i]!)), p.low[i]!);
    const size = sizes[i]!;
    if (typeof size !== "number") throw new UnsupportedError(`maxPool: the derivative needs known sizes, not ${showShape(sizes)}`);
    flat = flat ? add(mul(flat, size), place) : place;
  }
  return flat!;
}
/** Which element of x each maximum is: the first one, counted over the pooled axes. */
function winners(x: Node, y: Node, p: Pool): { readonly at: Node; readonly first: Node } {
  const seen = windows(padded(x, p, Number.NEGATIVE_INFINITY), p);
  const at = places(x, y.type.shape.slice(-p.kernel.length), p);
  // Padding never wins: it may equal the maximum where everything is -infinity.
  const inside = windows(padded(expand(iota(1, "i32"), x.type.shape), p, 1), p);
  const hit = logicalAnd(eq(seen, spread(y, p)), eq(inside, 0));
  return { at, first: amin(where(hit, at, 2 ** 31 - 1), inner(seen, p)) };
}

/** The greatest element of each window. */
export const maxPoolOp: Op<[Node], Pool> = op<[Node], Pool>({
  name: "maxPool",
  kind: "composite",
  infer: ([x], p) => {
    if (!isFloat(x.dtype)) throw new DTypeError(`maxPool: ${showType(x)} is not floating point; cast it first`);
    const n = p.kernel.length;
    const out = x.shape.slice(-n).map((d, i) => {
      const reach = p.dilation[i]! * (p.kernel[i]! - 1) + 1;
      return plus(over(minus(plus(d, p.low[i]!, p.high[i]!), reach), p.stride[i]!), 1);
    });
    return { shape: [...x.shape.slice(0, -n), ...out], dtype: x.dtype };
  },
  vjp: (ct, y) => {
    const x = y.inputs[0]!;
    const p = y.attrs;
    const { at, first } = winners(x, y, p);
    const shape = [...y.type.shape, ...p.kernel];
    const g = where(eq(at, spread(first, p)), spread(ct, p), 0);
    const whole = x.type.shape.slice(-p.kernel.length).map((d, i) => plus(d, p.low[i]!, p.high[i]!));
    const axes = last(x, p.kernel.length);
    const back = unwindow(expand(g, shape), whole, { axes, stride: p.stride, dilation: p.dilation });
    return [unpadded(sum(back, inner(back, p)), x, p)];
  },
  decompose: (y, [x]) => {
    const seen = windows(padded(x, y.attrs, Number.NEGATIVE_INFINITY), y.attrs);
    const top = keepMax(seen, inner(seen, y.attrs));
    return reshape(top, y.type.shape);
  },
  samples: [
    { shapes: [[2, 3, 9]], test: floats, call: (x) => maxPool1d(x!, 3, { stride: 2, padding: 1 }) },
    { shapes: [[1, 2, 6, 7]], test: floats, call: (x) => maxPool2d(x!, [2, 3], { dilation: [2, 1], ceilMode: true }) },
    { shapes: [[2, 3, 4, 4]], test: floats, call: (x) => maxPool3d(x!, 2, { stride: 1 }) },
  ],
});
/** The greatest element of each window of [N, C, L] (torch.nn.functional.max_pool1d). */
export function maxPool1d(x: Node, kernelSize: PerAxis, options: MaxPoolOptions = {}): Node {
  return make(maxPoolOp, [x], plan("maxPool1d", 1, x, kernelSize, options));
}
/** The greatest element of each window of [N, C, H, W] (torch.nn.functional.max_pool2d). */
export function maxPool2d(x: Node, kernelSize: PerAxis, options: MaxPoolOptions = {}): Node {
  return make(maxPoolOp, [x], plan("maxPool2d", 2, x, kernelSize, options));
}
/** The greatest element of each window of [N, C, D, H, W] (torch.nn.functional.max_pool3d). */
export function maxPool3d(x: Node, kernelSize: PerAxis, options: MaxPoolOptions = {}): Node {
  return make(maxPoolOp, [x], plan("maxPool3d", 3, x, kernelSize, options));
}
/** maxPool over the last `n` axes, and where each maximum is, counted over them (torch's return_indices). */
export function maxPoolWithIndices(
  x: Node,
  n: 1 | 2 | 3,
  kernelSize: PerAxis,
  options: MaxPoolOptions = {},
): { readonly values: Node; readonly indices: Node } {
  const p = plan("maxPoolWithIndices", n, x, kernelSize, options);
  const y = make(maxPoolOp, [x], p);
  return { values: y, indices: cast(winners(x, y, p).first, "i64") };
}

function avgPool(name: string, n: number, x: Node, kernelSize: PerAxis, o: AvgPoolOptions): Node {
  const p = plan(name, n, x, kernelSize, o);
  const seen = windows(padded(widen(x), p, 0), p);
  const total = sum(seen, inner(seen, p));
  const out = total.type.shape.slice(-n);
  if (o.divisorOverride === 0) throw new ArgumentError(`${name}: divisorOverride is 0`);
  const { countIncludePad = true } = o;
  if (o.divisorOverride || (countIncludePad && !o.ceilMode))
    return cast(div(total, o.divisorOverride ?? p.kernel.reduce((a, b) => a * b, 1)), x.type.dtype);
  // How many elements each window holds, axis by axis.
  const counts = out.map((count, i): Node => {
    const size = x.type.shape.at(i - n)!;
    if (typeof size !== "number")
      throw new UnsupportedError(`${name}: counting without padding needs known sizes, not ${showShape(x.type.shape)}`);
    const start = sub(mul(iota(count, "i32"), p.stride[i]!), p.low[i]!);
    const end = minimum(add(start, p.kernel[i]!), size + p.low[i]!);
    const held = countIncludePad ? sub(end, start) : sub(minimum(end, size), maximum(start, 0));
    return reshape(cast(held, total.type.dtype), [count, ...out.slice(i + 1).map(() => 1)]);
  });
  return cast(
    div(
      total,
      counts.reduce((a, b) => mul(a, b)),
    ),
    x.type.dtype,
  );
}
/** The mean of each window of [N, C, L] (torch.nn.functional.avg_pool1d). */
export function avgPool1d(x: Node, kernelSize: PerAxis, options: AvgPoolOptions = {}): Node {
  return avgPool("avgPool1d", 1, x, kernelSize, options);
}
/** The mean of each window of [N, C, H, W] (torch.nn.functional.avg_pool2d). */
export function avgPool2d(x: Node, kernelSize: PerAxis, options: AvgPoolOptions = {}): Node {
  return avgPool("avgPool2d", 2, x, kernelSize, options);
}
/** The mean of each window of [N, C, D, H, W] (torch.nn.functional.avg_pool3d). */
export function avgPool3d(x: Node, kernelSize: PerAxis, options: AvgPoolOptions = {}): Node {
  return avgPool("avgPool3d", 3, x, kernelSize, options);
}

/** sum(x^p)^(1/p) over each window of the last axes, one for each number in `kernelSize` (torch.nn.functional.lp_pool1d and lp_pool2d). */
export function lpPool(x: Node, normType: number, kernelSize: readonly number[], options: PoolOptions = {}): Node {
  const p = plan("lpPool", kernelSize.length, x, kernelSize, { ...options, padding: 0 });
  const seen = windows(padded(pow(x, normType), p, 0), p);
  return pow(maximum(sum(seen, inner(seen, p)), 0), 1 / normType);
}

/** Sizes of an adaptive pool's result; null keeps the input's. */
type OutputSize = number | readonly (number | null)[] | null;
function outputSizes(
  name: string,
  n: number,
  x: Node,
  size: OutputSize,
): readonly { readonly from: number; readonly to: number; readonly axis: number }[] {
  if (x.type.shape.length !== n + 1 && x.type.shape.length !== n + 2)
    throw new ShapeError(`${name}: ${showShape(x.type.shape)} must have ${n + 2} axes [N, C, ...], or ${n + 1} without a batch`);
  const list = Array.isArray(size) ? size : Array.from({ length: n }, () => size);
  if (list.length !== n) throw new ArgumentError(`${name}: ${JSON.stringify(size)} must be one size, or ${n}`);
  return last(x, n).map((axis, i) => {
    const from = x.type.shape[axis]!;
    if (typeof from !== "number")
      throw new UnsupportedError(`${name}: axis ${axis} of ${showShape(x.type.shape)} is symbolic; pool by a kernel size`);
    return { axis, from, to: (list[i] as number | null) ?? from };
  });
}
/** [to, from] of whether element `from` belongs to window `to`, and how many do. */
function membership(from: number, to: number): { readonly belongs: Node; readonly count: Node } {
  const o = reshape(iota(to, "i32"), [to, 1]);
  const start = div(mul(o, from), to, { rounding: "floor" });
  const end = div(add(mul(add(o, 1), from), to - 1), to, { rounding: "floor" });
  const at = iota(from, "i32");
  return { belongs: logicalAnd(ge(at, start), lt(at, end)), count: sub(end, start) };
}
function adaptiveAvg(name: string, n: number, x: Node, size: OutputSize): Node {
  const sizes = outputSizes(name, n, x, size);
  if (sizes.every((s) => s.to > 0 && s.from % s.to === 0))
    return avgPool(
      name,
      n,
      x,
      sizes.map((s) => s.from / s.to),
      {},
    );
  return single([x], (wide) =>
    sizes.reduce<Node>((y, { axis, from, to }) => {
      if (from === to) return y;
      const { belongs, count } = membership(from, to);
      const weight = where(belongs, div(1, cast(count, y.type.dtype)), 0);
      return movedim(matmul(movedim(y, axis, -1), movedim(weight, 0, 1)), -1, axis);
    }, wide),
  );
}
function adaptiveMax(name: string, n: number, x: Node, size: OutputSize): Node {
  const sizes = outputSizes(name, n, x, size);
  if (sizes.every((s) => s.to > 0 && s.from % s.to === 0))
    return make(
      maxPoolOp,
      [x],
      plan(
        name,
        n,
        x,
        sizes.map((s) => s.from / s.to),
        {},
      ),
    );
  return sizes.reduce((y, { axis, from, to }) => {
    if (from === to) return y;
    const moved = movedim(y, axis, -1);
    const rows = reshape(moved, [...moved.type.shape.slice(0, -1), 1, from]);
    const top = keepMax(where(membership(from, to).belongs, rows, Number.NEGATIVE_INFINITY), [rows.type.shape.length - 1]);
    return movedim(reshape(top, top.type.shape.slice(0, -1)), -1, axis);
  }, x);
}
/** Means of windows that give the wanted size (torch.nn.functional.adaptive_avg_pool1d). */
export function adaptiveAvgPool1d(x: Node, outputSize: OutputSize): Node {
  return adaptiveAvg("adaptiveAvgPool1d", 1, x, outputSize);
}
/** Means of windows that give the wanted size (torch.nn.functional.adaptive_avg_pool2d). */
export function adaptiveAvgPool2d(x: Node, outputSize: OutputSize): Node {
  return adaptiveAvg("adaptiveAvgPool2d", 2, x, outputSize);
}
/** Means of windows that give the wanted size (torch.nn.functional.adaptive_avg_pool3d). */
export function adaptiveAvgPool3d(x: Node, outputSize: OutputSize): Node {
  return adaptiveAvg("adaptiveAvgPool3d", 3, x, outputSize);
}
/** Maxima of windows that give the wanted size (torch.nn.functional.adaptive_max_pool1d). */
export function adaptiveMaxPool1d(x: Node, outputSize: OutputSize): Node {
  return adaptiveMax("adaptiveMaxPool1d", 1, x, outputSize);
}
/** Maxima of windows that give the wanted size (torch.nn.functional.adaptive_max_pool2d). */
export function adaptiveMaxPool2d(x: Node, outputSize: OutputSize): Node {
  return adaptiveMax("adaptiveMaxPool2d", 2, x, outputSize);
}
/** Maxima of windows that give the wanted size (torch.nn.functional.adaptive_max_pool3d). */
export function adaptiveMaxPool3d(x: Node, outputSize: OutputSize): Node {
  return adaptiveMax("adaptiveMaxPool3d", 3, x, outputSize);
}
