import { isFloat } from "../core/dtype.js";
import { ArgumentError, DTypeError, ShapeError } from "../core/errors.js";
import { type Dim, hi, sub as minus, div as over, add as plus, mul as times } from "../core/expr.js";
import { numel, type Shape, showShape, showType, type TensorType } from "../core/type.js";
import { is, make, type Node, type Op, op } from "../ir/node.js";
import { add, mul } from "./arithmetic.js";
import { cast } from "./cast.js";
import { perAxis, widen } from "./composite.js";
import { dot, swapLast } from "./matmul.js";
import { expand, flip, permute, reshape, slice, unslice, window } from "./movement.js";
import { computesIn } from "./precision.js";
import { sum } from "./reduce.js";
import { movedim } from "./views.js";

/**
 * How a convolution walks, one number for each spatial axis. `low` and `high` pad (or crop, where negative) the input after `spread`
 * put spread - 1 zeros between its elements.
 */
type ConvAttrs = {
  stride: readonly number[];
  low: readonly Dim[];
  high: readonly Dim[];
  spread: readonly number[];
  dilation: readonly number[];
  groups: number;
  /** Channels are the last axis of input and result, not the second. */
  last: boolean;
};

/**
 * [N, C, ...s] (or [N, ...s, C]) convolved with [O, C / groups, ...k], plus a bias [O]: windows of the input, read where they lie, times
 * the weight.
 */
export function convolve(x: Node, weight: Node, bias: Node | null, attrs: ConvAttrs): Node {
  return make(convolveOp, bias ? [x, weight, bias] : [x, weight], attrs);
}
export const convolveOp: Op<readonly Node[], ConvAttrs> = op({
  name: "convolve",
  kind: "composite",
  infer: (types, a) => {
    const [x, w, bias] = types as readonly [TensorType, TensorType, TensorType?];
    const n = x.shape.length - 2;
    const both = `convolve: ${showType(x)} with ${showType(w)}`;
    if (!isFloat(x.dtype) || x.dtype !== w.dtype) throw new DTypeError(`${both} must be of one float dtype`);
    if (n < 1 || w.shape.length !== n + 2 || [a.stride, a.low, a.high, a.spread, a.dilation].some((l) => l.length !== n))
      throw new ShapeError(`${both}: weight and settings must name ${n} spatial axes`);
    const [c, o, per] = [x.shape[a.last ? n + 1 : 1]!, w.shape[0]!, w.shape[1]!];
    const size = a.last ? x.shape.slice(1, -1) : x.shape.slice(2);
    if (times(per, a.groups) !== c || (typeof o === "number" && o % a.groups))
      throw new ShapeError(
        `${both}: ${a.groups} groups of ${showShape([per])} channels are not the input's ${showShape([c])}, or do not divide the outputs`,
      );
    if (bias && (bias.dtype !== x.dtype || bias.shape.length !== 1 || bias.shape[0] !== o))
      throw new ShapeError(`${both}: bias ${showType(bias)} must be ${x.dtype}${showShape([o])}, one number for each output channel`);
    const out = a.stride.map((_, i) => length(size[i]!, w.shape[2 + i]!, a, i));
    if (out.some((d) => typeof d === "number" && d < 0)) throw new ShapeError(`${both}: the padded input is smaller than the kernel`);
    return { shape: a.last ? [x.shape[0]!, ...out, o] : [x.shape[0]!, o, ...out], dtype: x.dtype };
  },
  vjp: (ct, y) => {
    const [x, w, bias] = y.inputs as [Node, Node, Node?];
    const a = y.attrs;
    if (a.last) {
      const turned = convolve(channelsSecond(x), w, bias ?? null, { ...a, last: false });
      const [back, ...others] = convolveOp.vjp!(channelsSecond(ct), turned as typeof y, []) as readonly Node[];
      return [channelsLast(back!), ...others];
    }
    const reach = a.dilation.map((d, i) => times(minus(w.type.shape[2 + i]!, 1), d));
    // Every input element gathers from the outputs that saw it: a convolution of the cotangent with the mirrored weight.
    const low = reach.map((r, i) => minus(r, a.low[i]!));
    const high = reach.map((r, i) => {
      const wide = spreadSize(ct.type.shape[2 + i]!, a.stride[i]!);
      const size = spreadSize(x.type.shape[2 + i]!, a.spread[i]!);
      return minus(plus(size, r), plus(wide, low[i]!));
    });
    const full = convolve(ct, mirrored(w, a.groups), null, {
      stride: a.spread,
      low,
      high,
      spread: a.stride,
      dilation: a.dilation,
      groups: a.groups,
      last: false,
    });
    const spatial = ct.type.shape.flatMap((_, i) => (i === 1 ? [] : [i]));
    return [full, weightBack(ct, x, w, a), ...(bias ? [cast(sum(widen(ct), spatial), bias.type.dtype)] : [])];
  },
  decompose: (y, inputs) => {
    const [x, w, bias] = inputs as [Node, Node, Node?];
    const a = y.attrs;
    if (a.last) {
      if (!isPointwise(y)) return channelsLast(convolve(channelsSecond(x), w, bias ?? null, { ...a, last: false }));
      const rows = reshape(x, [numel(x.type.shape.slice(0, -1)), w.type.shape[1]!]);
      const z = reshape(dot(rows, swapLast(reshape(w, w.type.shape.slice(0, 2)))), y.type.shape);
      return bias ? add(z, bias) : z;
    }
    const [n, o, ...out] = y.type.shape as [Dim, Dim, ...Dim[]];
    const kernel = w.type.shape.slice(2);
    const inner = numel(w.type.shape.slice(1));
    const columns = reshape(patches(x, kernel, a), [n, a.groups, inner, numel(out)]);
    // The bias is added where the product leaves, before its axes are taken apart.
    const finish = (z: Node): Node => reshape(bias ? add(z, reshape(bias, [1, a.groups, over(o, a.groups), 1])) : z, y.type.shape);
    if (o === a.groups) return finish(sum(mul(columns, reshape(w, [1, a.groups, inner, 1])), [2], { keepdim: true }));
    const rows = reshape(w, [1, a.groups, over(o, a.groups), inner]);
    return finish(dot(expand(rows, [n, a.groups, over(o, a.groups), inner]), columns));
  },
  samples: [
    {
      shapes: [
        [2, 3, 9],
        [4, 3, 3],
      ],
      call: (x, w) => conv1d(x!, w!, null, { stride: 2, padding: 1 }),
    },
    {
      shapes: [[2, 4, 6, 5], [6, 2, 3, 2], [6]],
      call: (x, w, b) => conv2d(x!, w!, b!, { padding: [1, 0], dilation: [1, 2], groups: 2 }),
    },
    {
      shapes: [[1, 4, 5, 5], [4, 1, 3, 3], [4]],
      call: (x, w, b) => conv2d(x!, w!, b!, { padding: "same", groups: 4 }),
    },
    {
      shapes: [[2, 6, 7, 4], [40, 2, 3, 3], [40]],
      call: (x, w, b) => conv2d(x!, w!, b!, { stride: 2, padding: 1, groups: 2, channelsLast: true }),
    },
    {
      shapes: [
        [1, 3, 2, 5],
        [18, 5, 1, 1],
      ],
      call: (x, w) => conv2d(x!, w!, null, { channelsLast: true }),
    },
    {
      shapes: [
        [1, 3, 9, 6],
        [20, 3, 3, 2],
      ],
      call: (x, w) => conv2d(x!, w!, null, { padding: [2, 0], dilation: [2, 1] }),
    },
    {
      shapes: [
        [1, 2, 4, 3, 3],
        [3, 2, 2, 2, 2],
      ],
      call: (x, w) => conv3d(x!, w!),
    },
    {
      shapes: [
        [2, 4, 3, 4],
        [4, 3, 3, 2],
      ],
      call: (x, w) => convTranspose2d(x!, w!, null, { stride: 2, padding: 1, outputPadding: 1, groups: 2 }),
    },
  ],
});

/** A kernel of size 1 that meets each place once: a product of matrices. */
export const isPointwise = (y: Node): boolean => {
  if (!is(y, convolveOp)) return false;
  const a = y.attrs;
  const ones = [...y.inputs[1]!.type.shape.slice(2), ...a.stride, ...a.spread, a.groups].every((d) => d === 1);
  return ones && [...a.low, ...a.high].every((d) => d === 0);
};
const channelsSecond = (x: Node): Node => movedim(x, -1, 1);
const channelsLast = (x: Node): Node => movedim(x, 1, -1);

const spreadSize = (d: Dim, spread: number): Dim => (spread === 1 || d === 0 ? d : plus(times(minus(d, 1), spread), 1));
/** Size of one spatial axis of the result. */
function length(size: Dim, kernel: Dim, a: ConvAttrs, i: number): Dim {
  const padded = plus(spreadSize(size, a.spread[i]!), a.low[i]!, a.high[i]!);
  return plus(over(minus(padded, plus(times(minus(kernel, 1), a.dilation[i]!), 1)), a.stride[i]!), 1);
}
/** The input spread and padded, as one view. */
function prepared(x: Node, a: ConvAttrs): Node {
  const [n, c, ...size] = x.type.shape as [Dim, Dim, ...Dim[]];
  const wide = size.map((d, i) => spreadSize(d, a.spread[i]!));
  const pad = (d: Dim): Dim => (typeof d === "number" && d < 0 ? 0 : d);
  const crop = (d: Dim): Dim => (typeof d === "number" && d < 0 ? -d : 0);
  const padded = wide.map((d, i) => plus(d, pad(a.low[i]!), pad(a.high[i]!)));
  const put = unslice(x, [n, c, ...padded], [0, 0, ...a.low.map(pad)], [1, 1, ...a.spread]);
  const kept = wide.map((d, i) => plus(d, a.low[i]!, a.high[i]!));
  return slice(
    put,
    [0, 0, ...a.low.map(crop)],
    [n, c, ...kept],
    put.type.shape.map(() => 1),
  );
}
/** [N, C, ...k, ...out]: for each place in the kernel, the elements that it meets. */
function patches(x: Node, kernel: Shape, a: ConvAttrs): Node {
  const n = kernel.length;
  const seen = window(
    prepared(x, a),
    kernel.map((_, i) => i + 2),
    kernel as readonly number[],
    a.stride,
    a.dilation,
  );
  const axes = kernel.map((_, i) => i);
  return permute(seen, [0, 1, ...axes.map((i) => 2 + n + i), ...axes.map((i) => 2 + i)]);
}
/** [O, C / g, ...k] as [C, O / g, ...k], every spatial axis reversed. */
function mirrored(w: Node, groups: number): Node {
  const [o, c, ...kernel] = w.type.shape as [Dim, Dim, ...Dim[]];
  const spatial = kernel.map((_, i) => i + 2);
  const turned = flip(w, spatial);
  if (groups === 1) return permute(turned, [1, 0, ...spatial]);
  const split = permute(reshape(turned, [groups, over(o, groups), c, ...kernel]), [0, 2, 1, ...spatial.map((i) => i + 1)]);
  return reshape(split, [times(c, groups), over(o, groups), ...kernel]);
}
/** Cotangent of the weight: one product that sums over samples and places. */
function weightBack(ct: Node, x: Node, w: Node, a: ConvAttrs): Node {
  const [n, o, ...out] = ct.type.shape as [Dim, Dim, ...Dim[]];
  const inner = numel(w.type.shape.slice(1));
  const places = times(n, numel(out));
  const kernel = w.type.shape.slice(2);
  const columns = permute(reshape(patches(x, kernel, a), [n, a.groups, inner, numel(out)]), [1, 2, 0, 3]);
  const g = permute(reshape(ct, [n, a.groups, over(o, a.groups), numel(out)]), [1, 2, 0, 3]);
  const left = reshape(g, [a.groups, over(o, a.groups), places]);
  return reshape(dot(left, swapLast(reshape(columns, [a.groups, inner, places]))), w.type.shape);
}

/** One number for all spatial axes, or one for each. */
export type PerAxis = number | readonly number[];
/** Settings of convolutions. */
export interface ConvOptions {
  readonly stride?: PerAxis;
  /** "same" keeps the size (stride 1 only), "valid" is 0. */
  readonly padding?: PerAxis | "same" | "valid";
  readonly dilation?: PerAxis;
  readonly groups?: number;
  /** Input and result have their channels last, [N, ...s, C]: neighbours in memory are then neighbouring channels. */
  readonly channelsLast?: boolean;
}
/** Settings of transposed convolutions. */
export interface ConvTransposeOptions {
  readonly stride?: PerAxis;
  readonly padding?: PerAxis;
  readonly outputPadding?: PerAxis;
  readonly dilation?: PerAxis;
  readonly groups?: number;
}

/** A missing batch axis is added and taken off again. */
function batched(name: string, n: number, x: Node, f: (x: Node) => Node): Node {
  const { shape } = x.type;
  if (shape.length === n + 2) return f(x);
  if (shape.length !== n + 1)
    throw new ShapeError(`${name}: ${showShape(shape)} must have ${n + 2} axes [N, C, ...] or ${n + 1} without a batch`);
  const y = f(reshape(x, [1, ...shape]));
  return reshape(y, y.type.shape.slice(1));
}
function conv(name: string, n: number, x: Node, weight: Node, bias: Node | null | undefined, o: ConvOptions): Node {
  const stride = perAxis(name, "stride", o.stride ?? 1, n, 1);
  const dilation = perAxis(name, "dilation", o.dilation ?? 1, n, 1);
  const reach = dilation.map((d, i) => times(minus(weight.type.shape[2 + i] ?? 1, 1), d));
  let low: readonly Dim[];
  let high: readonly Dim[];
  if (o.padding === "same") {
    if (stride.some((s) => s !== 1)) throw new ArgumentError(`${name}: padding "same" needs stride 1, not ${stride}`);
    low = reach.map((r) => over(r, 2));
    high = reach.map((r, i) => minus(r, low[i]!));
  } else low = high = perAxis(name, "padding", o.padding === "valid" ? 0 : (o.padding ?? 0), n, 0);
  const spread = stride.map(() => 1);
  const settings = { stride, low, high, spread, dilation, groups: o.groups ?? 1, last: o.channelsLast ?? false };
  return batched(name, n, x, (b) => {
    const size = b.type.shape.slice(settings.last ? 1 : 2);
    const tooSmall = reach.some((r, i) => hi(minus(plus(size[i]!, low[i]!, high[i]!), r)) < 1);
    if (tooSmall && weight.type.shape.length === n + 2)
      throw new ShapeError(
        `${name}: ${showShape(x.type.shape)} padded by ${low} is smaller than the kernel of ${showShape(weight.type.shape)}; pad more`,
      );
    return convolve(b, weight, bias ?? null, settings);
  });
}
/** [N, C, L] with [O, C / groups, K] (torch.nn.functional.conv1d). */
export function conv1d(x: Node, weight: Node, bias?: Node | null, options: ConvOptions = {}): Node {
  return conv("conv1d", 1, x, weight, bias, options);
}
/** [N, C, H, W] with [O, C / groups, KH, KW] (torch.nn.functional.conv2d). */
export function conv2d(x: Node, weight: Node, bias?: Node | null, options: ConvOptions = {}): Node {
  return conv("conv2d", 2, x, weight, bias, options);
}
/** [N, C, D, H, W] with [O, C / groups, KD, KH, KW] (torch.nn.functional.conv3d). */
export function conv3d(x: Node, weight: Node, bias?: Node | null, options: ConvOptions = {}): Node {
  return conv("conv3d", 3, x, weight, bias, options);
}

function convTranspose(name: string, n: number, x: Node, weight: Node, bias: Node | null | undefined, o: ConvTransposeOptions): Node {
  const stride = perAxis(name, "stride", o.stride ?? 1, n, 1);
  const dilation = perAxis(name, "dilation", o.dilation ?? 1, n, 1);
  const padding = perAxis(name, "padding", o.padding ?? 0, n, 0);
  const extra = perAxis(name, "outputPadding", o.outputPadding ?? 0, n, 0);
  const groups = o.groups ?? 1;
  if (weight.type.shape.length !== n + 2)
    throw new ShapeError(`${name}: weight ${showShape(weight.type.shape)} must have ${n + 2} axes [C, O / groups, ...]`);
  if (extra.some((e, i) => e >= Math.max(stride[i]!, dilation[i]!)))
    throw new ArgumentError(`${name}: outputPadding ${extra} must be smaller than stride or dilation`);
  const low = dilation.map((d, i) => minus(times(minus(weight.type.shape[2 + i]!, 1), d), padding[i]!));
  const high = low.map((l, i) => plus(l, extra[i]!));
  const settings = { stride: stride.map(() => 1), low, high, spread: stride, dilation, groups, last: false };
  return batched(name, n, x, (b) => convolve(b, mirrored(weight, groups), bias ?? null, settings));
}
/** The transpose of conv1d, weight [C, O / groups, K] (torch.nn.functional.conv_transpose1d). */
export function convTranspose1d(x: Node, weight: Node, bias?: Node | null, options: ConvTransposeOptions = {}): Node {
  return convTranspose("convTranspose1d", 1, x, weight, bias, options);
}
/** The transpose of conv2d, weight [C, O / groups, KH, KW] (torch.nn.functional.conv_transpose2d). */
export function convTranspose2d(x: Node, weight: Node, bias?: Node | null, options: ConvTransposeOptions = {}): Node {
  return convTranspose("convTranspose2d", 2, x, weight, bias, options);
}
/** The transpose of conv3d, weight [C, O / groups, KD, KH, KW] (torch.nn.functional.conv_transpose3d). */
export function convTranspose3d(x: Node, weight: Node, bias?: Node | null, options: ConvTransposeOptions = {}): Node {
  return convTranspose("convTranspose3d", 3, x, weight, bias, options);
}

computesIn("low", conv1d, conv2d, conv3d, convTranspose1d, convTranspose2d, convTranspose3d);
