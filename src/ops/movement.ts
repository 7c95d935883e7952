import { ArgumentError, ShapeError } from "../core/errors.js";
import { add, type Dim, div, mod, mul, sub } from "../core/expr.js";
import { NdArray } from "../core/ndarray.js";
import { numel, type Shape, sameShape, showShape, showType } from "../core/type.js";
import { make, type Node, type Op, op, type Test } from "../ir/node.js";
import { cast } from "./cast.js";
import { normalizeDim, normalizeDims } from "./dims.js";
import { domainDTypes } from "./domains.js";
import { promoteTypes } from "./promotion.js";
import { sum } from "./reduce.js";

/** The flat row-major position of `index`, and back. */
export const flatten = (index: readonly Dim[], shape: Shape): Dim => index.reduce<Dim>((e, x, i) => add(mul(e, shape[i]!), x), 0);
export function unflatten(flat: Dim, shape: Shape): Dim[] {
  const out: Dim[] = [];
  let rest = flat;
  for (let i = shape.length - 1; i >= 0; i--) {
    out.unshift(i === 0 ? rest : mod(rest, shape[i]!));
    rest = div(rest, shape[i]!);
  }
  return out;
}

/** The same elements in a new shape; one size may be -1, and follows from the others (torch.reshape). */
export function reshape(x: Node, shape: Shape): Node {
  if (shape.includes(-1)) return reshape(x, inferred(x.type.shape, shape));
  return sameShape(x.type.shape, shape) ? x : make(reshapeOp, [x], { shape });
}
/** `shape` with its -1 replaced by what is left of the elements. */
function inferred(from: Shape, shape: Shape): Shape {
  const rest = numel(shape.filter((d) => d !== -1));
  const fail = (why: string): ShapeError => new ShapeError(`reshape: ${showShape(from)} to ${showShape(shape)}: ${why}`);
  if (shape.filter((d) => d === -1).length > 1) throw fail("only one size can be -1");
  if (rest === 0) throw fail("-1 can be anything beside a size of 0");
  const size = div(numel(from), rest);
  if (mul(size, rest) !== numel(from)) throw fail("the sizes given do not divide the number of elements");
  return shape.map((d) => (d === -1 ? size : d));
}
/** The op of `reshape`. */
export const reshapeOp: Op<[Node], { shape: Shape }> = op({
  name: "reshape",
  kind: "movement",
  infer: ([x], { shape }) => {
    if (numel(x.shape) !== numel(shape))
      throw new ShapeError(`reshape: ${showShape(x.shape)} has not as many elements as ${showShape(shape)}`);
    return { shape, dtype: x.dtype };
  },
  vjp: (ct, y) => [reshape(ct, y.inputs[0]!.type.shape)],
  reference: ([x], _, out) => new NdArray(out.dtype, out.shape as readonly number[], x.data),
  source: (index, y) => [{ input: 0, index: unflatten(flatten(index, y.attrs.shape), y.inputs[0]!.type.shape) }],
  samples: [{ shapes: [[2, 3]], call: (x) => reshape(x!, [3, 2]) }],
});

/** Repeats size-1 and missing leading dims up to `shape`; -1 keeps a size (torch.expand). */
export function expand(x: Node, shape: Shape): Node {
  const pad = shape.length - x.type.shape.length;
  if (shape.slice(Math.max(0, pad)).includes(-1))
    return expand(
      x,
      shape.map((d, i) => (d === -1 && i >= pad ? x.type.shape[i - pad]! : d)),
    );
  return sameShape(x.type.shape, shape) ? x : make(expandOp, [x], { shape });
}
export const expandOp: Op<[Node], { shape: Shape }> = op({
  name: "expand",
  kind: "movement",
  infer: ([x], { shape }) => {
    if (shape.some((d) => typeof d === "number" && !(Number.isInteger(d) && d >= 0)))
      throw new ShapeError(`expand: ${showShape(shape)} is no shape; sizes are whole numbers of at least 0`);
    const pad = shape.length - x.shape.length;
    if (pad < 0 || x.shape.some((d, i) => d !== 1 && d !== shape[pad + i]))
      throw new ShapeError(`expand: ${showShape(x.shape)} does not broadcast to ${showShape(shape)}`);
    return { shape, dtype: x.dtype };
  },
  vjp: (ct, y) => {
    const from = y.inputs[0]!.type.shape;
    const pad = y.attrs.shape.length - from.length;
    const axes = y.attrs.shape.flatMap((d, i) => (i < pad || (from[i - pad] === 1 && d !== 1) ? [i] : []));
    return [reshape(sum(ct, axes), from)];
  },
  reference: ([x], _, out) =>
    NdArray.of(out.dtype, out.shape as readonly number[], (i) =>
      x.at(x.shape.map((d, k) => (d === 1 ? 0 : i[i.length - x.shape.length + k]!))),
    ),
  source: (index, y) => {
    const from = y.inputs[0]!.type.shape;
    return [{ input: 0, index: from.map((d, k) => (d === 1 ? 0 : index[index.length - from.length + k]!)) }];
  },
  samples: [{ shapes: [[3, 1]], call: (x) => expand(x!, [2, 3, 4]) }],
});

/** Reorders the axes: axis i of the result is axis `axes[i]` of x (torch.permute). */
export function permute(x: Node, dims: readonly number[]): Node {
  const axes = dims.map((d) => (d < 0 ? d + dims.length : d));
  return axes.every((a, i) => a === i) && axes.length === x.type.shape.length ? x : make(permuteOp, [x], { axes });
}
export const permuteOp: Op<[Node], { axes: readonly number[] }> = op({
  name: "permute",
  kind: "movement",
  infer: ([x], { axes }) => {
    if (axes.length !== x.shape.length || new Set(axes).size !== axes.length || axes.some((a) => !(a >= 0 && a < axes.length)))
      throw new ShapeError(`permute: [${axes}] is not an order of the axes of ${showShape(x.shape)}`);
    return { shape: axes.map((a) => x.shape[a]!), dtype: x.dtype };
  },
  vjp: (ct, y) => [
    permute(
      ct,
      y.attrs.axes.map((_, i) => y.attrs.axes.indexOf(i)),
    ),
  ],
  reference: ([x], { axes }, out) =>
    NdArray.of(out.dtype, out.shape as readonly number[], (i) => x.at(axes.map((_, k) => i[axes.indexOf(k)]!))),
  source: (index, y) => [{ input: 0, index: y.attrs.axes.map((_, k) => index[y.attrs.axes.indexOf(k)]!) }],
  samples: [{ shapes: [[2, 3, 4]], call: (x) => permute(x!, [2, 0, 1]) }],
});

/** Every `step`-th element from `start`, `size` of them, along each axis (steps are positive; flip reverses). */
export function slice(x: Node, start: readonly Dim[], size: Shape, step: readonly number[] = start.map(() => 1)): Node {
  if (sameShape(size, x.type.shape) && start.every((s) => s === 0) && step.every((s) => s === 1)) return x;
  return make(sliceOp, [x], { start, size, step });
}
export const sliceOp: Op<[Node], { start: readonly Dim[]; size: Shape; step: readonly number[] }> = op({
  name: "slice",
  kind: "movement",
  infer: ([x], { start, size, step }) => {
    if (start.length !== x.shape.length || size.length !== x.shape.length || step.length !== x.shape.length)
      throw new ShapeError(`slice: ${showShape(x.shape)} needs a start, a size and a step for each axis`);
    x.shape.forEach((d, i) => {
      const last = add(start[i]!, mul(sub(size[i]!, 1), step[i]!));
      if (typeof last === "number" && typeof d === "number" && size[i] !== 0 && (last >= d || (start[i] as number) < 0))
        throw new ShapeError(`slice: element ${last} of axis ${i} is outside ${showShape(x.shape)}`);
    });
    return { shape: size, dtype: x.dtype };
  },
  vjp: (ct, y) => [unslice(ct, y.inputs[0]!.type.shape, y.attrs.start, y.attrs.step)],
  reference: ([x], { start, step }, out) =>
    NdArray.of(out.dtype, out.shape as readonly number[], (i) => x.at(i.map((v, d) => (start[d] as number) + v * step[d]!))),
  source: (index, y) => [{ input: 0, index: index.map((v, d) => add(y.attrs.start[d]!, mul(v, y.attrs.step[d]!))) }],
  samples: [{ shapes: [[6, 5]], call: (x) => slice(x!, [1, 0], [2, 3], [2, 2]) }],
});

/** Puts x into a larger array of `value`: element i of x goes to `start + i * step` (pad, and the transpose of slice). */
export function unslice(
  x: Node,
  shape: Shape,
  start: readonly Dim[],
  step: readonly number[] = start.map(() => 1),
  value: number | bigint = 0,
): Node {
  if (sameShape(shape, x.type.shape) && start.every((s) => s === 0) && step.every((s) => s === 1)) return x;
  return make(unsliceOp, [x], { shape, start, step, value });
}
export const unsliceOp: Op<[Node], { shape: Shape; start: readonly Dim[]; step: readonly number[]; value: number | bigint }> = op({
  name: "unslice",
  kind: "movement",
  infer: ([x], { shape, start, step }) => {
    if (shape.length !== x.shape.length || start.length !== x.shape.length || step.length !== x.shape.length)
      throw new ShapeError(`unslice: ${showShape(x.shape)} needs a size, a start and a step for each axis`);
    return { shape, dtype: x.dtype };
  },
  vjp: (ct, y) => [slice(ct, y.attrs.start, y.inputs[0]!.type.shape, y.attrs.step)],
  reference: ([x], { start, step, value }, out) =>
    NdArray.of(out.dtype, out.shape as readonly number[], (i) => {
      const from = i.map((v, d) => (v - (start[d] as number)) / step[d]!);
      return from.every((v, d) => Number.isInteger(v) && v >= 0 && v < x.shape[d]!) ? x.at(from) : value;
    }),
  source: (index, y) => {
    const { start, step } = y.attrs;
    const from = y.inputs[0]!.type.shape;
    const offset = index.map((v, d) => sub(v, start[d]!));
    const place = offset.map((v, d) => div(v, step[d]!));
    const when = offset.flatMap((v, d) => [
      { a: -1, op: "<" as const, b: place[d]! },
      { a: place[d]!, op: "<" as const, b: from[d]! },
      ...(step[d] === 1 ? [] : [{ a: mod(v, step[d]!), op: "==" as const, b: 0 }]),
    ]);
    return [{ input: 0, index: place, when }];
  },
  samples: [{ shapes: [[2, 3]], call: (x) => unslice(x!, [6, 5], [1, 0], [2, 2]) }],
});

/** Elements [start, start + length) of one axis; a negative start counts from the end (torch.narrow). */
export function narrow(x: Node, dim: number, start: Dim, length: Dim): Node {
  const { shape } = x.type;
  const axis = normalizeDim(dim, shape.length, "narrow");
  const from = typeof start === "number" && start < 0 ? add(start, shape[axis]!) : start;
  return slice(
    x,
    shape.map((_, i) => (i === axis ? from : 0)),
    shape.map((d, i) => (i === axis ? length : d)),
  );
}

/** Reverses axes (torch.flip). */
export function flip(x: Node, dims: number | readonly number[]): Node {
  const axes = normalizeDims(dims, x.type.shape.length, "flip");
  return axes.length ? make(flipOp, [x], { axes }) : x;
}
/** The op of `flip`. */
export const flipOp: Op<[Node], { axes: readonly number[] }> = op({
  name: "flip",
  kind: "movement",
  infer: ([x]) => x,
  vjp: (ct, y) => [flip(ct, y.attrs.axes)],
  reference: ([x], { axes }, out) =>
    NdArray.of(out.dtype, x.shape, (i) => x.at(i.map((v, d) => (axes.includes(d) ? x.shape[d]! - 1 - v : v)))),
  source: (index, y) => [{ input: 0, index: index.map((v, d) => (y.attrs.axes.includes(d) ? sub(sub(y.type.shape[d]!, 1), v) : v)) }],
  samples: [
    { shapes: [[2, 3]], test: domainDTypes.any, call: (x) => flip(x!, [1]) },
    { shapes: [[2, 3, 2]], call: (x) => flip(x!, [0, -1]) },
  ],
});

/** Tensors one after another along an axis; dtypes promote (torch.cat). */
export function cat(xs: readonly Node[], dim = 0): Node {
  if (!xs.length) throw new ArgumentError("cat: expected at least one tensor");
  const dtype = xs.map((x) => x.type.dtype).reduce(promoteTypes);
  // PyTorch lets an empty tensor of rank 1 pass beside any shape.
  const list = xs.filter((x) => !(x.type.shape.length === 1 && x.type.shape[0] === 0 && xs.some((o) => o.type.shape.length !== 1)));
  const axis = normalizeDim(dim, list[0]!.type.shape.length, "cat");
  return list.length === 1
    ? cast(list[0]!, dtype)
    : make(
        catOp,
        list.map((x) => cast(x, dtype)),
        { axis },
      );
}
/** The op of `cat`. */
export const catOp: Op<readonly Node[], { axis: number }> = op<readonly Node[], { axis: number }>({
  name: "cat",
  kind: "movement",
  infer: (types, { axis }) => {
    const first = types[0]!;
    for (const t of types)
      if (t.dtype !== first.dtype || t.shape.length !== first.shape.length || t.shape.some((d, i) => i !== axis && d !== first.shape[i]))
        throw new ShapeError(`cat: ${types.map(showType).join(", ")} differ in more than axis ${axis}`);
    return { shape: first.shape.map((d, i) => (i === axis ? add(...types.map((t) => t.shape[i]!)) : d)), dtype: first.dtype };
  },
  vjp: (ct, y) => {
    const { axis } = y.attrs;
    let start: Dim = 0;
    return y.inputs.map((x) => {
      const size = x.type.shape[axis]!;
      const part = narrow(ct, axis, start, size);
      start = add(start, size);
      return part;
    });
  },
  reference: (xs, { axis }, out) =>
    NdArray.of(out.dtype, out.shape as readonly number[], (i) => {
      let at = i[axis]!;
      let k = 0;
      for (; at >= xs[k]!.shape[axis]!; k++) at -= xs[k]!.shape[axis]!;
      return xs[k]!.at(i.map((v, d) => (d === axis ? at : v)));
    }),
  source: (index, y) => {
    const { axis } = y.attrs;
    const at = index[axis]!;
    let start: Dim = 0;
    return y.inputs.flatMap((x, input) => {
      const size = x.type.shape[axis]!;
      if (size === 0) return [];
      const from = start;
      const end = add(from, size);
      start = end;
      const when: Test[] = [];
      if (from !== 0) when.push({ a: sub(from, 1), op: "<", b: at });
      if (end !== y.type.shape[axis]) when.push({ a: at, op: "<", b: end });
      return [{ input, index: index.map((v, d) => (d === axis ? sub(v, from) : v)), when }];
    });
  },
  samples: [
    {
      shapes: [
        [2, 3],
        [2, 1],
        [2, 2],
      ],
      test: domainDTypes.any,
      call: (...xs) => cat(xs, 1),
    },
    {
      shapes: [
        [2, 3],
        [0, 3],
      ],
      call: (...xs) => cat(xs),
    },
  ],
});

type Windows = { axes: readonly number[]; stride: readonly number[]; dilation: readonly number[] };
/** Number of windows of `size` elements, `dilation` apart, that start every `stride` elements of `n`. */
export const windowCount = (n: Dim, size: number, stride: number, dilation: number): Dim =>
  add(div(sub(n, dilation * (size - 1) + 1), stride), 1);
/**
 * Sliding windows: each of `axes` becomes the number of windows, and the sizes come after all axes: [n, c, h, w] over (2, 3) gives
 * [n, c, windows of h, windows of w, kh, kw] (torch.Tensor.unfold, several axes at once).
 */
export function window(
  x: Node,
  axes: readonly number[],
  size: readonly number[],
  stride: readonly number[] = axes.map(() => 1),
  dilation: readonly number[] = axes.map(() => 1),
): Node {
  const { shape } = x.type;
  axes.forEach((a, i) => {
    const reach = dilation[i]! * (size[i]! - 1) + 1;
    const n = shape[a]!;
    if (typeof n === "number" && n < reach)
      throw new ShapeError(`window: ${size[i]} elements, ${dilation[i]} apart, do not fit into axis ${a} of ${showShape(shape)}`);
  });
  const spread = expand(reshape(x, [...shape, ...size.map(() => 1)]), [...shape, ...size]);
  return make(windowOp, [spread], { axes, stride, dilation });
}
/** Result[.., o, .., k] = x[.., o * stride + k * dilation, .., k]: x has the window's own axes already. */
export const windowOp: Op<[Node], Windows> = op<[Node], Windows>({
  name: "window",
  kind: "movement",
  infer: ([x], { axes, stride, dilation }) => {
    const rank = x.shape.length - axes.length;
    const shape = x.shape.map((d, i) => {
      const k = axes.indexOf(i);
      return k < 0 ? d : windowCount(d, x.shape[rank + k] as number, stride[k]!, dilation[k]!);
    });
    return { shape, dtype: x.dtype };
  },
  vjp: (ct, y) => [
    unwindow(
      ct,
      y.attrs.axes.map((a) => y.inputs[0]!.type.shape[a]!),
      y.attrs,
    ),
  ],
  reference: ([x], a, out) =>
    NdArray.of(out.dtype, out.shape as readonly number[], (i) => {
      const rank = i.length - a.axes.length;
      return x.at(i.map((v, d) => (a.axes.includes(d) ? windowPlace(v, i, rank, d, a) : v)));
    }),
  source: (index, y) => {
    const { axes, stride, dilation } = y.attrs;
    const rank = index.length - axes.length;
    const place = (v: Dim, k: number): Dim => add(mul(v, stride[k]!), mul(index[rank + k]!, dilation[k]!));
    return [{ input: 0, index: index.map((v, d) => (axes.includes(d) ? place(v, axes.indexOf(d)) : v)) }];
  },
  samples: [
    { shapes: [[2, 9]], call: (x) => window(x!, [1], [3], [2], [2]) },
    { shapes: [[1, 2, 5, 6]], test: domainDTypes.number, call: (x) => window(x!, [2, 3], [2, 3], [1, 2]) },
  ],
});
const windowPlace = (v: number, index: readonly number[], rank: number, d: number, { axes, stride, dilation }: Windows): number =>
  v * stride[axes.indexOf(d)]! + index[rank + axes.indexOf(d)]! * dilation[axes.indexOf(d)]!;

/** The transpose of `window` before the windows are summed: element (o, k) goes to (o * stride + k * dilation, k), all else is 0. */
export function unwindow(x: Node, size: Shape, { axes, stride, dilation }: Windows): Node {
  return make(unwindowOp, [x], { size, axes, stride, dilation });
}
/** The op of `unwindow`. */
export const unwindowOp: Op<[Node], Windows & { size: Shape }> = op<[Node], Windows & { size: Shape }>({
  name: "unwindow",
  kind: "movement",
  infer: ([x], { axes, size }) => ({ shape: x.shape.map((d, i) => (axes.includes(i) ? size[axes.indexOf(i)]! : d)), dtype: x.dtype }),
  vjp: (ct, y) => {
    const { axes, stride, dilation } = y.attrs;
    return [make(windowOp, [ct], { axes, stride, dilation })];
  },
  reference: ([x], { axes, stride, dilation }, out) =>
    NdArray.of(out.dtype, out.shape as readonly number[], (i) => {
      const rank = i.length - axes.length;
      const from = i.map((v, d) => {
        const k = axes.indexOf(d);
        return k < 0 ? v : (v - i[rank + k]! * dilation[k]!) / stride[k]!;
      });
      return from.every((v, d) => Number.isInteger(v) && v >= 0 && v < x.shape[d]!) ? x.at(from) : 0;
    }),
  source: (index, y) => {
    const { axes, stride, dilation } = y.attrs;
    const from = y.inputs[0]!.type.shape;
    const rank = index.length - axes.length;
    const when: Test[] = [];
    const at = index.map((v, d) => {
      const k = axes.indexOf(d);
      if (k < 0) return v;
      const offset = sub(v, mul(index[rank + k]!, dilation[k]!));
      const place = div(offset, stride[k]!);
      when.push({ a: -1, op: "<", b: place }, { a: place, op: "<", b: from[d]! });
      if (stride[k] !== 1) when.push({ a: mod(offset, stride[k]!), op: "==", b: 0 });
      return place;
    });
    return [{ input: 0, index: at, when }];
  },
  samples: [
    {
      shapes: [[2, 3, 3]],
      call: (x) => unwindow(x!, [9], { axes: [1], stride: [2], dilation: [2] }),
    },
  ],
});
