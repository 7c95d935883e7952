import { computeDType, isFloat } from "../core/dtype.js";
import { DTypeError, ShapeError } from "../core/errors.js";
import { hostData, NdArray } from "../core/ndarray.js";
import { numel, sameShape, showShape, showType } from "../core/type.js";
import { make, type Node, type Op, op } from "../ir/node.js";
import { add, mul } from "./arithmetic.js";
import { cast } from "./cast.js";
import { innerProducts } from "./inner-products.js";
import { expand, permute, reshape } from "./movement.js";
import { computesIn, float32MatmulPrecision } from "./precision.js";
import { broadcastShapes, resultType } from "./promotion.js";
import { sum } from "./reduce.js";

/** The last two axes exchanged, as a view. */
export const swapLast = (x: Node): Node => {
  const r = x.type.shape.length;
  return permute(
    x,
    x.type.shape.map((_, i) => (i === r - 1 ? r - 2 : i === r - 2 ? r - 1 : i)),
  );
};

/** tf32: operands are rounded to 10 bits behind the point where the device gains by it. */
type DotAttrs = { readonly precision?: "tf32" };
/** To nearest, ties away from zero; what is not finite stays. */
function toTf32(x: number): number {
  word[0] = x;
  if (!Number.isFinite(x)) return x;
  bits[0] = (bits[0]! + 0x1000) & 0xffffe000;
  return word[0]!;
}
const word = new Float32Array(1);
const bits = new Uint32Array(word.buffer);

/**
 * The primitive product [...batch, m, k] x [...batch, k, n] with equal dtypes and batch dims; `matmul` broadcasts and promotes above it.
 * Sums in at least f32. Two vectors give their inner product (torch.dot).
 */
export function dot(a: Node, b: Node): Node {
  const [p, q] = [a.type.shape, b.type.shape];
  if (p.length === 1 && q.length === 1) return reshape(product(reshape(a, [1, p[0]!]), reshape(b, [q[0]!, 1]), recorded(a)), []);
  return product(a, b, recorded(a));
}
const product = (a: Node, b: Node, attrs: DotAttrs): Node => make(dotOp, [a, b], attrs);
/** `dot` with the precision of what it is a part of. */
export const dotIn = (a: Node, b: Node, precision: "tf32" | undefined): Node => product(a, b, precision ? { precision } : {});
const recorded = (a: Node): DotAttrs => (float32MatmulPrecision() === "high" && a.type.dtype === "f32" ? { precision: "tf32" } : {});
export const dotOp: Op<[Node, Node], DotAttrs> = op({
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
  vjp: (ct, y) => [product(ct, swapLast(y.inputs[1]!), y.attrs), product(swapLast(y.inputs[0]!), ct, y.attrs)],
  decompose: (y, [a, b]) => {
    const dtype = y.type.dtype;
    const wide = computeDType(dtype);
    const batch = a.type.shape.slice(0, -2);
    const [m, k] = a.type.shape.slice(-2) as [number, number];
    const n = b.type.shape.at(-1)!;
    const left = expand(reshape(cast(a, wide), [...batch, m, 1, k]), [...batch, m, n, k]);
    const right = expand(reshape(swapLast(cast(b, wide)), [...batch, 1, n, k]), [...batch, m, n, k]);
    return cast(sum(mul(left, right), [batch.length + 2], { dtype: wide }), dtype);
  },
  reference: ([a, b], attrs, out) => {
    const shape = out.shape as readonly number[];
    const [m, n] = shape.slice(-2) as [number, number];
    const k = a.shape.at(-1)!;
    const batch = shape.slice(0, -2).reduce((x, y) => x * y, 1);
    if (isFloat(out.dtype)) {
      const rounds = attrs.precision === "tf32" && !out.exact;
      const held = (x: NdArray): Float64Array => (rounds ? (x.data as Float64Array).map(toTf32) : (x.data as Float64Array));
      return new NdArray(out.dtype, shape, innerProducts(held(a), held(b), [batch, m, k, n], out.exact ?? false));
    }
    const [left, right] = [a.data as ArrayLike<number>, b.data as ArrayLike<number>];
    const data = hostData(out.dtype, batch * m * n);
    const term =
      data instanceof Float64Array
        ? (s: number, x: number, y: number): number => (s + Math.imul(x, y)) | 0
        : (s: number, x: number, y: number): number => s + x * y;
    for (let z = 0; z < batch; z++)
      for (let i = 0; i < m; i++)
        for (let j = 0; j < n; j++) {
          let s = (data instanceof Float64Array ? 0 : 0n) as number;
          for (let l = 0; l < k; l++) s = term(s, left[(z * m + i) * k + l]!, right[(z * k + l) * n + j]!);
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
    // Of one sign: a sum that nearly cancels has no rounding error to be measured against in f64.
    { shapes: [[5], [5]], range: [0.5, 2], call: (a, b) => dot(a!, b!) },
  ],
});

/** Two operands in their common dtype. */
const promoted = (a: Node, b: Node): [Node, Node] => {
  const dtype = resultType(a, b);
  return [cast(a, dtype), cast(b, dtype)];
};

/** Matrix product: vectors, matrices and batches of matrices, which broadcast (torch.matmul). */
export function matmul(a: Node, b: Node): Node {
  const [x, y] = promoted(a, b);
  const [p, q] = [x.type.shape, y.type.shape];
  const both = `matmul: ${showType(a.type)} x ${showType(b.type)}`;
  if (!p.length || !q.length) throw new ShapeError(`${both}: both must have at least one axis; use mul for a scalar`);
  if (p.at(-1) !== (q.length === 1 ? q[0] : q.at(-2)))
    throw new ShapeError(`${both}: ${showShape([p.at(-1)!])} is not the inner dim of the second`);
  if (p.length === 1 && q.length === 1) return dot(x, y);
  if (p.length === 1) {
    const z = matmul(reshape(x, [1, p[0]!]), y);
    return reshape(
      z,
      z.type.shape.filter((_, i) => i !== z.type.shape.length - 2),
    );
  }
  if (q.length === 1) {
    const z = matmul(x, reshape(y, [q[0]!, 1]));
    return reshape(z, z.type.shape.slice(0, -1));
  }
  const batch = broadcastShapes("matmul", p.slice(0, -2), q.slice(0, -2));
  // One matrix on the right: the batch joins the rows, so that a weight is read once and its gradient is one product.
  if (q.slice(0, -2).every((d) => d === 1)) {
    const rows = numel(p.slice(0, -1));
    return reshape(dot(reshape(x, [rows, p.at(-1)!]), reshape(y, q.slice(-2))), [...batch, p.at(-2)!, q.at(-1)!]);
  }
  return dot(expand(x, [...batch, ...p.slice(-2)]), expand(y, [...batch, ...q.slice(-2)]));
}

function ranks(name: string, want: readonly number[], ...xs: readonly Node[]): void {
  if (xs.some((x, i) => x.type.shape.length !== want[i]))
    throw new ShapeError(
      `${name}: ${xs.map((x) => showType(x.type)).join(", ")} must have ranks ${want.join(", ")}; use matmul to broadcast`,
    );
}
/** [m, k] x [k, n] (torch.mm). */
export function mm(a: Node, b: Node): Node {
  ranks("mm", [2, 2], a, b);
  return matmul(a, b);
}
/** [b, m, k] x [b, k, n] (torch.bmm). */
export function bmm(a: Node, b: Node): Node {
  ranks("bmm", [3, 3], a, b);
  return dot(...promoted(a, b));
}
/** [m, k] x [k] (torch.mv). */
export function mv(a: Node, b: Node): Node {
  ranks("mv", [2, 1], a, b);
  return matmul(a, b);
}
/** Every product of an element of a with one of b: [n] and [m] give [n, m] (torch.outer). */
export function outer(a: Node, b: Node): Node {
  ranks("outer", [1, 1], a, b);
  return mul(reshape(a, [a.type.shape[0]!, 1]), b);
}
/** Sums of products along the last axes of both (torch.inner). */
export function inner(a: Node, b: Node): Node {
  const [p, q] = [a.type.shape, b.type.shape];
  if (!p.length || !q.length) return mul(a, b);
  const k = p.at(-1)!;
  if (q.at(-1) !== k) throw new ShapeError(`inner: ${showType(a.type)} and ${showType(b.type)} differ in their last axis`);
  const [rows, columns] = [p.slice(0, -1), q.slice(0, -1)];
  return reshape(matmul(reshape(a, [numel(rows), k]), swapLast(reshape(b, [numel(columns), k]))), [...rows, ...columns]);
}
/** x weight^T + bias over the last axis, weight [out, in] (torch.nn.functional.linear). */
export function linear(x: Node, weight: Node, bias?: Node | null): Node {
  const r = weight.type.shape.length;
  if ((r !== 2 && r !== 1) || x.type.shape.at(-1) !== weight.type.shape.at(-1))
    throw new ShapeError(`linear: ${showType(x.type)} with weight ${showType(weight.type)}: weight is [out, in], and in is x's last axis`);
  const y = matmul(x, r === 1 ? weight : swapLast(weight));
  return bias ? add(y, bias) : y;
}

computesIn("low", matmul, mm, bmm, mv, outer, inner, linear);
