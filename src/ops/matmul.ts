import { DTypeError, ShapeError } from "../core/errors.js";
import { NdArray } from "../core/ndarray.js";
import { sameShape, showType } from "../core/type.js";
import { make, type Node, type Op, op } from "../ir/node.js";
import { permute } from "./movement.js";

const swap = (x: Node): Node => {
  const r = x.type.shape.length;
  return permute(x, x.type.shape.map((_, i) => (i === r - 1 ? r - 2 : i === r - 2 ? r - 1 : i)));
};

/** The primitive product [...batch, m, k] x [...batch, k, n] with equal batch dims; `matmul` broadcasts and promotes above it. Sums in at least f32. */
export function dot(a: Node, b: Node): Node {
  return make(dotOp, [a, b], {});
}
export const dotOp: Op<[Node, Node], Record<string, never>> = op({
  name: "dot",
  kind: "composite",
  infer: ([a, b]) => {
    const r = a.shape.length;
    if (a.dtype !== b.dtype) throw new DTypeError(`dot: ${showType(a)} x ${showType(b)} differ in dtype`);
    if (r < 2 || b.shape.length !== r || a.shape[r - 1] !== b.shape[r - 2] || !sameShape(a.shape.slice(0, -2), b.shape.slice(0, -2)))
      throw new ShapeError(`dot: ${showType(a)} x ${showType(b)}: inner dims must be equal, and batch dims too`);
    return { shape: [...a.shape.slice(0, -1), b.shape[r - 1]!], dtype: a.dtype };
  },
  vjp: (ct, y) => [dot(ct, swap(y.inputs[1]!)), dot(swap(y.inputs[0]!), ct)],
  reference: ([a, b], _, out) =>
    NdArray.of(out.dtype, out.shape as readonly number[], (i) => {
      const batch = i.slice(0, -2);
      const [m, n] = i.slice(-2) as [number, number];
      let s: number = typeof a.data[0] === "bigint" ? (0n as unknown as number) : 0;
      for (let k = 0; k < a.shape.at(-1)!; k++) s += (a.at([...batch, m, k]) as number) * (b.at([...batch, k, n]) as number);
      return s;
    }),
  samples: [{ shapes: [[2, 3, 4], [2, 4, 5]], call: (a, b) => dot(a!, b!) }],
});
