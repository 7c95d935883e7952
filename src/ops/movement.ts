import { ShapeError } from "../core/errors.js";
import { add, type Dim, div, mod, mul, sub } from "../core/expr.js";
import { NdArray } from "../core/ndarray.js";
import { numel, type Shape, sameShape, showShape } from "../core/type.js";
import { make, type Node, type Op, op } from "../ir/node.js";
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

/** The same elements in a new shape (torch.reshape). */
export function reshape(x: Node, shape: Shape): Node {
  return sameShape(x.type.shape, shape) ? x : make(reshapeOp, [x], { shape });
}
export const reshapeOp: Op<[Node], { shape: Shape }> = op({
  name: "reshape",
  kind: "movement",
  infer: ([x], { shape }) => {
    if (numel(x.shape) !== numel(shape)) throw new ShapeError(`reshape: ${showShape(x.shape)} has not as many elements as ${showShape(shape)}`);
    return { shape, dtype: x.dtype };
  },
  vjp: (ct, y) => [reshape(ct, y.inputs[0]!.type.shape)],
  reference: ([x], _, out) => new NdArray(out.dtype, out.shape as readonly number[], x.data),
  source: (index, y) => [{ input: 0, index: unflatten(flatten(index, y.attrs.shape), y.inputs[0]!.type.shape) }],
  samples: [{ shapes: [[2, 3]], call: (x) => reshape(x!, [3, 2]) }],
});

/** Repeats size-1 and missing leading dims up to `shape` (torch.expand). */
export function expand(x: Node, shape: Shape): Node {
  return sameShape(x.type.shape, shape) ? x : make(expandOp, [x], { shape });
}
export const expandOp: Op<[Node], { shape: Shape }> = op({
  name: "expand",
  kind: "movement",
  infer: ([x], { shape }) => {
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
    NdArray.of(out.dtype, out.shape as readonly number[], (i) => x.at(x.shape.map((d, k) => (d === 1 ? 0 : i[i.length - x.shape.length + k]!)))),
  source: (index, y) => {
    const from = y.inputs[0]!.type.shape;
    return [{ input: 0, index: from.map((d, k) => (d === 1 ? 0 : index[index.length - from.length + k]!)) }];
  },
  samples: [{ shapes: [[3, 1]], call: (x) => expand(x!, [2, 3, 4]) }],
});

/** Reorders the axes: axis i of the result is axis `axes[i]` of x (torch.permute). */
export function permute(x: Node, axes: readonly number[]): Node {
  return axes.every((a, i) => a === i) ? x : make(permuteOp, [x], { axes });
}
export const permuteOp: Op<[Node], { axes: readonly number[] }> = op({
  name: "permute",
  kind: "movement",
  infer: ([x], { axes }) => {
    if (axes.length !== x.shape.length || new Set(axes).size !== axes.length || axes.some((a) => !(a >= 0 && a < axes.length)))
      throw new ShapeError(`permute: [${axes}] is not an order of the axes of ${showShape(x.shape)}`);
    return { shape: axes.map((a) => x.shape[a]!), dtype: x.dtype };
  },
  vjp: (ct, y) => [permute(ct, y.attrs.axes.map((_, i) => y.attrs.axes.indexOf(i)))],
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
export function unslice(x: Node, shape: Shape, start: readonly Dim[], step: readonly number[] = start.map(() => 1), value: number | bigint = 0): Node {
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
