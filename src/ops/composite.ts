import { type DType, isFloat, isHalf } from "../core/dtype.js";
import { ArgumentError, DTypeError } from "../core/errors.js";
import { type Dim, hi, add as plus } from "../core/expr.js";
import { numel, type Shape, sameShape, showType } from "../core/type.js";
import { type Attrs, make, type Node, type Op, op, type Sample } from "../ir/node.js";
import { div } from "./arithmetic.js";
import { cast } from "./cast.js";
import { reshape, slice } from "./movement.js";
import { defaultDType, resultType } from "./promotion.js";
import { amax, sum } from "./reduce.js";
import { full, iota, scalar } from "./source.js";

/** The dtypes that composites of floats are tested with. */
export const floats: readonly DType[] = ["f16", "bf16", "f32", "f64"];

/** Half floats as f32, other values as they are: reductions over them keep their accuracy when they are stored between kernels. */
export const widen = (x: Node): Node => (isHalf(x.type.dtype) ? cast(x, "f32") : x);

/** A formula of half floats computed in f32 and rounded once, so that constants and intermediate values are not rounded too. */
export function single<T extends readonly Node[]>(inputs: readonly [...T], f: (...wide: T) => Node): Node {
  const y = f(...(inputs.map(widen) as unknown as T));
  const dtype = resultType(...inputs);
  return isHalf(dtype) ? cast(y, dtype) : y;
}

/** Floats as they are, integers and bool as the default float dtype. */
export const floating = (x: Node): Node => (isFloat(x.type.dtype) ? x : cast(x, defaultDType()));

/** A size as a rank-0 value; a symbolic one is the last of the positions 0 to size. */
export function dimValue(size: Dim, dtype: DType): Node {
  if (typeof size === "number") return scalar(dtype === "i64" || dtype === "u64" ? BigInt(size) : size, dtype);
  const counts = iota(plus(size, 1), hi(size) < 2 ** 31 - 1 ? "i32" : "i64");
  return cast(reshape(slice(counts, [size], [1]), []), dtype);
}
/** Sum over `axes`, which stay with size 1. */
export const keepSum = (x: Node, axes: readonly number[]): Node => sum(x, axes, { keepdim: true });
/** Mean over `axes`, which stay with size 1. */
export const keepMean = (x: Node, axes: readonly number[]): Node =>
  div(keepSum(x, axes), dimValue(numel(axes.map((a) => x.type.shape[a]!)), x.type.dtype));
/** Greatest element over `axes`, which stay with size 1; -infinity over nothing. */
export function keepMax(x: Node, axes: readonly number[]): Node {
  if (!axes.some((a) => x.type.shape[a] === 0)) return amax(x, axes, { keepdim: true });
  return full(
    x.type.shape.map((d, i) => (axes.includes(i) ? 1 : d)),
    Number.NEGATIVE_INFINITY,
    x.type.dtype,
  );
}
/** The transpose of a broadcast: sums x down to `shape`. */
export function sumTo(x: Node, shape: Shape): Node {
  const pad = x.type.shape.length - shape.length;
  const axes = x.type.shape.flatMap((d, i) => (i < pad || (shape[i - pad] === 1 && d !== 1) ? [i] : []));
  return axes.length || !sameShape(x.type.shape, shape) ? reshape(sum(x, axes), shape) : x;
}
/** One whole number for each of `n` spatial axes, at least `least`. */
export function perAxis(name: string, what: string, x: number | readonly number[], n: number, least: number): readonly number[] {
  const list = typeof x === "number" ? Array.from({ length: n }, () => x) : x.length === 1 ? Array.from({ length: n }, () => x[0]!) : x;
  if (list.length !== n || list.some((v) => !Number.isInteger(v) || v < least))
    throw new ArgumentError(`${name}: ${what} ${JSON.stringify(x)} must be a whole number of at least ${least}, or ${n} of them`);
  return list;
}

/** What an elementwise composite declares. */
export interface MapDef<A extends Attrs> {
  forward(x: Node, attrs: A): Node;
  /** Cotangent of x; where it is absent the formula is differentiated. */
  vjp?(ct: Node, x: Node, attrs: A, y: Node): Node;
  /** Integers are taken too. */
  readonly any?: true;
  /** Attributes that the samples use. */
  readonly tries: readonly A[];
  /** Set where the samples hit points without a derivative. */
  readonly noGrad?: string;
  readonly range?: readonly [number, number];
}

/** Declares a composite that maps one floating-point input to a value of its own type. */
export function mapOp<A extends Attrs>(name: string, def: MapDef<A>): Op<[Node], A> {
  const self: Op<[Node], A> = op<[Node], A>({
    name,
    kind: "composite",
    infer: ([x]) => {
      if (!(isFloat(x.dtype) || (def.any && x.dtype !== "bool")))
        throw new DTypeError(`${name}: ${showType(x)} is not floating point; cast it first`);
      return x;
    },
    ...(def.vjp && { vjp: (ct: Node, y: Node<A>) => [single([ct, y.inputs[0]!, y], (c, x, z) => def.vjp!(c, x, y.attrs, z))] as const }),
    decompose: (y, [x]) => single([x], (wide) => def.forward(wide, y.attrs)),
    samples: def.tries.map(
      (attrs): Sample => ({
        shapes: [[3, 7]],
        test: floats,
        range: def.range ?? [-4, 4],
        ...(def.noGrad && { noGrad: def.noGrad }),
        call: (x) => make(self, [x!], attrs),
      }),
    ),
  });
  return self;
}
