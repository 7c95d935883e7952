import { DTypeError, ShapeError } from "../core/errors.js";
import { hostData, NdArray, ravel } from "../core/ndarray.js";
import { showShape, type TensorType } from "../core/type.js";
import { make, type Node, type Op, op, type Sample } from "../ir/node.js";
import { expand, reshape } from "./movement.js";

type Axes = { axes: readonly number[] };

/** The shape with the reduced axes kept as 1, so that a result broadcasts against its input. */
const kept = (x: Node, axes: readonly number[]): readonly (typeof x.type.shape)[number][] => x.type.shape.map((d, i) => (axes.includes(i) ? 1 : d));
/** A reduced value back at the shape of what was reduced. */
export const broadcastBack = (y: Node, x: Node, axes: readonly number[]): Node => expand(reshape(y, kept(x, axes)), x.type.shape);

function inferReduce(name: string, x: TensorType, axes: readonly number[]): TensorType {
  if (new Set(axes).size !== axes.length || axes.some((a) => !(a >= 0 && a < x.shape.length)))
    throw new ShapeError(`${name}: [${axes}] are not axes of ${showShape(x.shape)}`);
  return { shape: x.shape.filter((_, i) => !axes.includes(i)), dtype: x.dtype };
}
/** Folds every group of elements that share the kept indices, in row-major order. */
function fold(x: NdArray, axes: readonly number[], out: TensorType, start: number | bigint, f: (a: number, b: number) => number): NdArray {
  const shape = out.shape as readonly number[];
  const data = hostData(out.dtype, shape.reduce((a, b) => a * b, 1));
  (data as Float64Array).fill(start as number);
  NdArray.of("f64", x.shape, (i, flat) => {
    const at = ravel(i.filter((_, d) => !axes.includes(d)), shape);
    data[at] = f(data[at] as number, x.data[flat] as number);
    return 0;
  });
  return new NdArray(out.dtype, shape, data);
}
const samples = (f: (x: Node, axes: readonly number[]) => Node): readonly Sample[] => [
  { shapes: [[2, 3, 4]], call: (x) => f(x!, [1]) },
  { shapes: [[2, 3]], call: (x) => f(x!, [0, 1]) },
  { shapes: [[3, 0]], call: (x) => f(x!, [0]) },
];

/** Sum over `axes`, which vanish; 0 over nothing (torch.sum without its integer promotion). */
export function sum(x: Node, axes: readonly number[]): Node {
  return axes.length ? make(sumOp, [x], { axes }) : x;
}
export const sumOp: Op<[Node], Axes> = op({
  name: "sum",
  kind: "reduce",
  combine: "add",
  infer: ([x], { axes }) => {
    if (x.dtype === "bool") throw new DTypeError("sum: cast bool to an integer first");
    return inferReduce("sum", x, axes);
  },
  vjp: (ct, y) => [broadcastBack(ct, y.inputs[0]!, y.attrs.axes)],
  reference: ([x], { axes }, out) => fold(x, axes, out, typeof hostData(out.dtype, 1)[0] === "bigint" ? 0n : 0, (a, b) => a + b),
  samples: samples(sum),
});
