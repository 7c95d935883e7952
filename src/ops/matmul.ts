import { isFloat } from "../core/dtype.js";
import { DTypeError, ShapeError } from "../core/errors.js";
import { hostData, NdArray } from "../core/ndarray.js";
import { sameShape, showType } from "../core/type.js";
import { make, type Node, type Op, op } from "../ir/node.js";
import { cast, mul } from "./elementwise.js";
import { expand, permute, reshape } from "./movement.js";
import { sum } from "./reduce.js";

/** The last two axes exchanged, as a view. */
export const swapLast = (x: Node): Node => {
  const r = x.type.shape.length;
  return permute(
    x,
    x.type.shape.map((_, i) => (i === r - 1 ? r - 2 : i === r - 2 ? r - 1 : i)),
  );
};

/**
 * The primitive product [...batch, m, k] x [...batch, k, n] with equal dtypes and batch dims; `matmul` broadcasts and promotes above it.
 * Sums in at least f32. Two vectors give their inner product (torch.dot).
 */
export function dot(a: Node, b: Node): Node {
  const [p, q] = [a.type.shape, b.type.shape];
  if (p.length === 1 && q.length === 1) return reshape(make(dotOp, [reshape(a, [1, p[0]!]), reshape(b, [q[0]!, 1])], {}), []);
  return make(dotOp, [a, b], {});
}
export const dotOp: Op<[Node, Node], Record<string, never>> = op({
  name: "dot",
  kind: "composite",
  infer: ([a, b]) => {
    const r = a.shape.length;
    if (a.dtype !== b.dtype) throw new DTypeError(`dot: ${showType(a)} x ${showType(b)} differ in dtype; cast one of them`);
    if (a.dtype === "bool") throw new DTypeError("dot: bool has no product sum; cast to an integer or float first");
    if (r < 2 || b.shape.length !== r || a.shape[r - 1] !== b.shape[r - 2] || !sameShape(a.shape.slice(0, -2), b.shape.slice(0, -2)))
      throw new ShapeError(`dot: ${showType(a)} x ${showType(b)}: inner dims must be equal, and batch dims too`);
    return { shape: [...a.shape.slice(0, -1), b.shape[r - 1]!], dtype: a.dtype };
  },
  vjp: (ct, y) => [dot(ct, swapLast(y.inputs[1]!)), dot(swapLast(y.inputs[0]!), ct)],
  decompose: (y, [a, b]) => {
    const dtype = y.type.dtype;
    const wide = dtype === "f16" || dtype === "bf16" ? "f32" : dtype;
    const batch = a.type.shape.slice(0, -2);
    const [m, k] = a.type.shape.slice(-2) as [number, number];
    const n = b.type.shape.at(-1)!;
    const left = expand(reshape(cast(a, wide), [...batch, m, 1, k]), [...batch, m, n, k]);
    const right = expand(reshape(swapLast(cast(b, wide)), [...batch, 1, n, k]), [...batch, m, n, k]);
    return cast(sum(mul(left, right), [batch.length + 2]), dtype);
  },
  reference: ([a, b], _, out) => {
    const shape = out.shape as readonly number[];
    const [m, n] = shape.slice(-2) as [number, number];
    const k = a.shape.at(-1)!;
    const batch = shape.slice(0, -2).reduce((x, y) => x * y, 1);
    const data = hostData(out.dtype, batch * m * n);
    const term = isFloat(out.dtype)
      ? (s: number, x: number, y: number): number => s + x * y
      : data instanceof Float64Array
        ? (s: number, x: number, y: number): number => (s + Math.imul(x, y)) | 0
        : (s: number, x: number, y: number): number => s + x * y;
    for (let z = 0; z < batch; z++)
      for (let i = 0; i < m; i++)
        for (let j = 0; j < n; j++) {
          let s = (data instanceof Float64Array ? 0 : 0n) as number;
          for (let l = 0; l < k; l++) s = term(s, a.data[(z * m + i) * k + l] as number, b.data[(z * k + l) * n + j] as number);
          data[(z * m + i) * n + j] = s;
        }
    return new NdArray(out.dtype, shape, data);
  },
  samples: [
    {
      shapes: [
        [2, 3, 4],
        [2, 4, 5],
      ],
      call: (a, b) => dot(a!, b!),
    },
    {
      shapes: [
        [7, 33],
        [33, 9],
      ],
      call: (a, b) => dot(a!, b!),
    },
    {
      shapes: [
        [3, 0],
        [0, 2],
      ],
      call: (a, b) => dot(a!, b!),
    },
    { shapes: [[5], [5]], call: (a, b) => dot(a!, b!) },
  ],
});
