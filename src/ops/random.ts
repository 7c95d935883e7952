import { type DType, isFloat } from "../core/dtype.js";
import { ArgumentError, DTypeError, ShapeError } from "../core/errors.js";
import { lo } from "../core/expr.js";
import { NdArray } from "../core/ndarray.js";
import { randomWords } from "../core/philox.js";
import { numel, type Shape, showShape, showType } from "../core/type.js";
import { make, type Node, type Op, op } from "../ir/node.js";
import { floating } from "./composite.js";
import {
  add,
  bitwiseAnd,
  bitwiseOr,
  bitwiseXor,
  cast,
  cos,
  div,
  eq,
  log,
  lt,
  mul,
  neg,
  remainder,
  shl,
  shr,
  sin,
  sqrt,
  sub,
  where,
} from "./elementwise.js";
import { expand, reshape, slice } from "./movement.js";
import { mulhi } from "./mulhi.js";
import { iota, scalar } from "./source.js";

/*
 * Philox 4x32-10. `state` is u32[4]: key low, key high, offset low, offset high; `stream` numbers the random calls of a program. Element i
 * of a result is word i % 4 of the block with counter (i / 4, stream, offset low, offset high), whatever the shape and however it is tiled.
 */
const rounds = 10;
const [m0, m1, w0, w1] = [0xd2511f53, 0xcd9e8d57, 0x9e3779b9, 0xbb67ae85] as const;
const u32 = (x: number): Node => scalar(x >>> 0, "u32");

/** The four words of the blocks that `block` counts. */
function philox(block: Node, state: Node, stream: number): readonly [Node, Node, Node, Node] {
  const part = (i: number): Node => expand(reshape(slice(state, [i], [1]), []), block.type.shape);
  let c: readonly [Node, Node, Node, Node] = [block, expand(u32(stream), block.type.shape), part(2), part(3)];
  let [k0, k1] = [part(0), part(1)];
  for (let r = 0; r < rounds; r++) {
    const [x, y, z, w] = c;
    c = [
      bitwiseXor(bitwiseXor(mulhi(z, u32(m1)), y), k0),
      mul(z, u32(m1)),
      bitwiseXor(bitwiseXor(mulhi(x, u32(m0)), w), k1),
      mul(x, u32(m0)),
    ];
    if (r < rounds - 1) [k0, k1] = [add(k0, u32(w0)), add(k1, u32(w1))];
  }
  return c;
}
function checkState(name: string, state: { readonly shape: Shape; readonly dtype: DType }, shape: Shape): void {
  if (state.dtype !== "u32" || state.shape.length !== 1 || state.shape[0] !== 4)
    throw new ShapeError(`${name}: the generator's state is u32[4], not ${showType(state)}`);
  if (lo(numel(shape)) > 2 ** 32) throw new ArgumentError(`${name}: ${showShape(shape)} has more than 2^32 elements; draw it in parts`);
}
/** 0, 1, 2, ... in row-major order. */
const positions = (shape: Shape): Node => reshape(iota(numel(shape), "u32"), shape);

/** 32 uniformly random bits for each element, as u32: the same on every backend. */
export function randomBits(state: Node, shape: Shape, stream: number): Node {
  return make(randomBitsOp, [state], { shape, stream });
}
export const randomBitsOp: Op<[Node], { shape: Shape; stream: number }> = op<[Node], { shape: Shape; stream: number }>({
  name: "randomBits",
  kind: "composite",
  infer: ([state], { shape }) => {
    checkState("randomBits", state, shape);
    return { shape, dtype: "u32" };
  },
  vjp: () => [null],
  decompose: (y, [state]) => {
    const i = positions(y.attrs.shape);
    const [a, b, c, d] = philox(shr(i, u32(2)), state, y.attrs.stream);
    const odd = eq(bitwiseAnd(i, u32(1)), u32(1));
    return where(lt(bitwiseAnd(i, u32(3)), u32(2)), where(odd, b, a), where(odd, d, c));
  },
  reference: ([state], { stream }, out) => {
    const shape = out.shape as readonly number[];
    const words = randomWords(
      Array.from(state.data, Number),
      stream,
      shape.reduce((a, b) => a * b, 1),
    );
    return new NdArray("u32", shape, Float64Array.from(words));
  },
  samples: [{ shapes: [[4]], dtypes: ["u32"], test: ["u32"], call: (state) => randomBits(state!, [3, 5], 7), noGrad: "random bits" }],
});

/** Uniform in [0, 1): as many bits as the dtype's fraction holds, so that 1 is never reached (torch.rand). */
export function uniform(state: Node, shape: Shape, stream: number, options: { readonly dtype?: DType } = {}): Node {
  const dtype = options.dtype ?? "f32";
  if (dtype === "f64") {
    const bits = randomBits(state, [...shape, 2], stream);
    const word = (i: number): Node => reshape(slice(bits, [...shape.map(() => 0), i], [...shape, 1]), shape);
    const high = cast(shr(word(0), u32(5)), "f64");
    return mul(add(mul(high, 2 ** 26), cast(shr(word(1), u32(6)), "f64")), 2 ** -53);
  }
  const width = { f32: 24, f16: 11, bf16: 8 }[dtype as string];
  if (width === undefined) throw new DTypeError(`uniform: ${dtype} is not a float dtype`);
  return mul(cast(shr(randomBits(state, shape, stream), u32(32 - width)), dtype), 2 ** -width);
}

/** Normally distributed with mean 0 and deviation 1, by Box and Muller: elements 2i and 2i + 1 share two words (torch.randn). */
export function normal(state: Node, shape: Shape, stream: number, options: { readonly dtype?: DType } = {}): Node {
  const dtype = options.dtype ?? "f32";
  if (!isFloat(dtype)) throw new DTypeError(`normal: ${dtype} is not a float dtype`);
  return make(normalOp, [state], { shape, stream, dtype });
}
export const normalOp: Op<[Node], { shape: Shape; stream: number; dtype: DType }> = op<
  [Node],
  { shape: Shape; stream: number; dtype: DType }
>({
  name: "normal",
  kind: "composite",
  infer: ([state], { shape, dtype }) => {
    checkState("normal", state, shape);
    return { shape, dtype };
  },
  vjp: () => [null],
  decompose: (y, [state]) => {
    const { shape, stream, dtype } = y.attrs;
    const i = positions(shape);
    const [a, b, c, d] = philox(shr(i, u32(2)), state, stream);
    const first = lt(bitwiseAnd(i, u32(3)), u32(2));
    const wide = dtype === "f64" ? "f64" : "f32";
    // u is in (0, 1], so that its logarithm is finite; t is in [0, 1).
    const u = mul(add(cast(shr(where(first, a, c), u32(8)), wide), 1), 2 ** -24);
    const t = mul(cast(shr(where(first, b, d), u32(8)), wide), 2 ** -24);
    const angle = mul(t, 2 * Math.PI);
    const odd = eq(bitwiseAnd(i, u32(1)), u32(1));
    return cast(mul(sqrt(mul(log(u), -2)), where(odd, sin(angle), cos(angle))), dtype);
  },
  samples: [{ shapes: [[4]], dtypes: ["u32"], test: ["u32"], call: (state) => normal(state!, [3, 5], 7), noGrad: "random numbers" }],
});

/** 1 with probability p, else 0, in p's dtype (torch.bernoulli). */
export function bernoulli(p: Node, state: Node, stream: number): Node {
  return cast(chance(p, p.type.shape, state, stream), p.type.dtype);
}
/** true with probability p. */
function chance(p: Node, shape: Shape, state: Node, stream: number): Node {
  const wide = p.type.dtype === "f64" ? "f64" : "f32";
  return lt(uniform(state, shape, stream, { dtype: wide }), cast(floating(p), wide));
}

/** Whole numbers in [low, high) (torch.randint). */
export function randint(
  state: Node,
  low: number,
  high: number,
  shape: Shape,
  stream: number,
  options: { readonly dtype?: DType } = {},
): Node {
  const span = high - low;
  const dtype = options.dtype ?? "i64";
  if (!(Number.isSafeInteger(low) && Number.isSafeInteger(high) && span > 0))
    throw new ArgumentError(`randint: [${low}, ${high}) is no range of whole numbers`);
  if (span <= 2 ** 32) {
    const bits = randomBits(state, shape, stream);
    return add(cast(span === 2 ** 32 ? bits : remainder(bits, u32(span)), dtype), low);
  }
  const bits = randomBits(state, [...shape, 2], stream);
  const word = (i: number): Node => cast(reshape(slice(bits, [...shape.map(() => 0), i], [...shape, 1]), shape), "u64");
  const both = bitwiseOr(shl(word(0), scalar(32n, "u64")), word(1));
  return add(cast(cast(remainder(both, scalar(BigInt(span), "u64")), "i64"), dtype), low);
}

/** Zeroes elements with probability p and scales the others by 1 / (1 - p) (torch.nn.functional.dropout); p is a rank-0 value. */
export function dropout(x: Node, p: Node, state: Node, stream: number): Node {
  return mul(x, dropoutMask(x.type.shape, p, state, stream, x.type.dtype));
}
/** What dropout multiplies by: 0, or 1 / (1 - p). */
export function dropoutMask(shape: Shape, p: Node, state: Node, stream: number, dtype: DType = "f32"): Node {
  const wide = cast(p, dtype === "f64" ? "f64" : "f32");
  return cast(where(chance(wide, shape, state, stream), 0, div(1, sub(1, wide))), dtype);
}
/** dropout of whole channels of [N, C, ...] (torch.nn.functional.dropout1d, dropout2d and dropout3d). */
export function featureDropout(x: Node, p: Node, state: Node, stream: number): Node {
  const { shape } = x.type;
  if (shape.length < 2) throw new ShapeError(`featureDropout: ${showShape(shape)} needs at least two axes, [N, C, ...]`);
  return mul(x, dropoutMask([shape[0]!, shape[1]!, ...shape.slice(2).map(() => 1)], p, state, stream, x.type.dtype));
}
/** dropout that keeps mean and variance of selu's outputs (torch.nn.functional.alpha_dropout). */
export function alphaDropout(x: Node, p: Node, state: Node, stream: number): Node {
  const low = -1.7580993408473766;
  const wide = cast(p, x.type.dtype === "f64" ? "f64" : "f32");
  const scale = div(1, sqrt(mul(add(mul(wide, low * low), 1), sub(1, wide))));
  const shift = neg(mul(mul(scale, wide), low));
  const y = where(chance(wide, x.type.shape, state, stream), low, x);
  return cast(add(mul(y, scale), shift), x.type.dtype);
}
