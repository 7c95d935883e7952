import type { DType } from "../core/dtype.js";
import { DTypeError, ShapeError } from "../core/errors.js";
import { NdArray } from "../core/ndarray.js";
import { sameShape, showType } from "../core/type.js";
import { make, type Node, type Op, op } from "../ir/node.js";
import type { ScalarOp } from "./scalar.js";

// Seed of the elementwise family: two ops that show the pattern. Broadcasting and promotion come with the rest.
type None = Record<string, never>;
function binary(name: ScalarOp & string, reference: (a: number, b: number) => number, vjp: (ct: Node, a: Node, b: Node, y: Node) => [Node | null, Node | null]): (a: Node, b: Node) => Node {
  const self: Op<[Node, Node], None> = op({
    name,
    kind: "elementwise",
    scalar: name,
    infer: ([a, b]) => {
      if (a.dtype !== b.dtype) throw new DTypeError(`${name}: ${showType(a)} and ${showType(b)} differ in dtype`);
      if (!sameShape(a.shape, b.shape)) throw new ShapeError(`${name}: ${showType(a)} and ${showType(b)} differ in shape`);
      return a;
    },
    vjp: (ct, y) => vjp(ct, y.inputs[0]!, y.inputs[1]!, y),
    reference: ([a, b], _, out) => NdArray.of(out.dtype, a.shape, (_i, k) => reference(a.data[k] as number, b.data[k] as number)),
    samples: [{ shapes: [[2, 3], [2, 3]], call: (a, b) => make(self, [a!, b!], {}) }],
  });
  return (a, b) => make(self, [a, b], {});
}
/** a + b. */
export const add: (a: Node, b: Node) => Node = binary("add", (a, b) => a + b, (ct) => [ct, ct]);
/** a * b. */
export const mul: (a: Node, b: Node) => Node = binary("mul", (a, b) => a * b, (ct, a, b) => [mul(ct, b), mul(ct, a)]);

/** Converts to another dtype as PyTorch does: floats truncate towards zero, integers wrap, bool is x != 0. */
export function cast(x: Node, dtype: DType): Node {
  return x.type.dtype === dtype ? x : make(castOp, [x], { dtype });
}
export const castOp: Op<[Node], { dtype: DType }> = op({
  name: "cast",
  kind: "elementwise",
  scalar: "cast",
  infer: ([x], { dtype }) => ({ shape: x.shape, dtype }),
  vjp: (ct, y) => [cast(ct, y.inputs[0]!.type.dtype)],
  reference: ([x], _, out) => NdArray.of(out.dtype, x.shape, (_i, k) => x.data[k]!),
  samples: [{ shapes: [[2, 3]], call: (x) => cast(x!, "i32") }],
});
