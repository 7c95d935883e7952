/** Products that keep what their sums hold: no rounding to the operands' dtype. */
import { computeDType, type DType, isFloat } from "../core/dtype.js";
import { DTypeError, ShapeError } from "../core/errors.js";
import { sameShape, showType } from "../core/type.js";
import { make, type Node, type Op, op } from "../ir/node.js";
import { cast } from "./cast.js";
import { dot, dotOp } from "./matmul.js";

/** What sums of products of a dtype are kept in. */
const sumDType = (d: DType): DType => (isFloat(d) ? computeDType(d) : d === "i8" || d === "i16" || d === "u8" ? "i32" : d);

/** [...batch, m, k] x [...batch, k, n] with equal dtypes and batch dims, in the dtype of its sums: f32 of half floats, i32 of small integers. */
export function wideDot(a: Node, b: Node): Node {
  return make(wideDotOp, [a, b], {});
}
export const wideDotOp: Op<[Node, Node], Record<string, never>> = op({
  name: "wideDot",
  kind: "composite",
  infer: ([a, b]) => {
    const r = a.shape.length;
    if (a.dtype !== b.dtype || a.dtype === "bool")
      throw new DTypeError(`wideDot: ${showType(a)} x ${showType(b)} need one dtype of numbers`);
    if (r < 2 || b.shape.length !== r || a.shape[r - 1] !== b.shape[r - 2] || !sameShape(a.shape.slice(0, -2), b.shape.slice(0, -2)))
      throw new ShapeError(`wideDot: ${showType(a)} x ${showType(b)}: inner dims must be equal, and batch dims too`);
    return { shape: [...a.shape.slice(0, -1), b.shape[r - 1]!], dtype: sumDType(a.dtype) };
  },
  decompose: (y, [a, b]) => dot(cast(a, y.type.dtype), cast(b, y.type.dtype)),
  reference: ([a, b], _, out, y) => dotOp.reference!([a, b], {}, out, y),
  samples: [
    {
      shapes: [
        [7, 33],
        [33, 9],
      ],
      call: (a, b) => wideDot(a!, b!),
    },
    {
      shapes: [
        [2, 13, 64],
        [2, 64, 40],
      ],
      range: [-128, 127],
      test: ["i8", "i16"],
      call: (a, b) => wideDot(a!, b!),
    },
  ],
});

/** [m, k] x [k, n] of i8, exactly, in i32 (torch._int_mm). */
export function intMm(a: Node, b: Node): Node {
  if (a.type.dtype !== "i8" || b.type.dtype !== "i8")
    throw new DTypeError(`intMm: ${showType(a.type)} x ${showType(b.type)}: both must be i8`);
  if (a.type.shape.length !== 2 || b.type.shape.length !== 2)
    throw new ShapeError(`intMm: ${showType(a.type)} x ${showType(b.type)}: both must be matrices`);
  return wideDot(a, b);
}
