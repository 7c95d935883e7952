import { DTypeError, ShapeError } from "../core/errors.js";
import { hostData, NdArray } from "../core/ndarray.js";
import { sameShape, showType } from "../core/type.js";
import { make, type Node, type Op, op, type Sample } from "../ir/node.js";
import { abs, mul, sub } from "./arithmetic.js";
import { bitwiseAnd, bitwiseOr, bitwiseXor, logicalNot } from "./bitwise.js";
import { cast } from "./cast.js";
import { type Binary, binary, type None, type Unary, unary } from "./define.js";
import { domainDTypes } from "./domains.js";
import { expand } from "./movement.js";
import { broadcast, type Operand, resultType, toNode } from "./promotion.js";

const step = "a step where both are equal";
/** a < b (torch.lt). */
export const lt: Binary = binary("lt", {
  domain: "any",
  bool: true,
  discontinuous: step,
  reference: (a, b) => +(a < b),
  integer: (a, b) => (a < b ? 1n : 0n),
});
/** a <= b (torch.le). */
export const le: Binary = binary("le", {
  domain: "any",
  bool: true,
  discontinuous: step,
  reference: (a, b) => +(a <= b),
  integer: (a, b) => (a <= b ? 1n : 0n),
});
/** a == b (torch.eq). */
export const eq: Binary = binary("eq", {
  domain: "any",
  bool: true,
  discontinuous: step,
  reference: (a, b) => +(a === b),
  integer: (a, b) => (a === b ? 1n : 0n),
});
/** a != b; true for NaN (torch.ne). */
export const ne: Binary = binary("ne", {
  domain: "any",
  bool: true,
  discontinuous: step,
  reference: (a, b) => +(a !== b),
  integer: (a, b) => (a !== b ? 1n : 0n),
});
/** a > b (torch.gt). */
export const gt = (a: Operand, b: Operand): Node => lt(b, a);
/** a >= b (torch.ge). */
export const ge = (a: Operand, b: Operand): Node => le(b, a);

/** -infinity, NaN and infinity where x is negative, 0 and positive: samples of the tests below. */
const wild = (x: Node): Node => mul(x, Number.POSITIVE_INFINITY);
/** True where x is NaN (torch.isnan). */
export const isNaN: Unary = unary("isNaN", {
  domain: "any",
  scalar: "isnan",
  bool: true,
  discontinuous: "bool",
  reference: (x) => +Number.isNaN(x),
  integer: () => 0n,
  samples: [{ shapes: [[5]], grid: 1 / 8, noGrad: "bool", test: domainDTypes.float, call: (x) => isNaN(wild(x!)) }],
});
/** True where x is an infinity (torch.isinf). */
export const isInf: Unary = unary("isInf", {
  domain: "any",
  scalar: null,
  bool: true,
  discontinuous: "bool",
  reference: (x) => +(Math.abs(x) === Number.POSITIVE_INFINITY),
  integer: () => 0n,
  decompose: (x) => (domainDTypes.float.includes(x.type.dtype) ? eq(abs(x), Number.POSITIVE_INFINITY) : ne(x, x)),
  samples: [{ shapes: [[5]], grid: 1 / 8, noGrad: "bool", test: domainDTypes.float, call: (x) => isInf(wild(x!)) }],
});
/** True where x is neither NaN nor an infinity (torch.isfinite). */
export const isFinite: Unary = unary("isFinite", {
  domain: "any",
  scalar: null,
  bool: true,
  discontinuous: "bool",
  reference: (x) => +Number.isFinite(x),
  integer: () => 1n,
  decompose: (x) => (domainDTypes.float.includes(x.type.dtype) ? lt(abs(x), Number.POSITIVE_INFINITY) : eq(x, x)),
  samples: [{ shapes: [[5]], grid: 1 / 8, noGrad: "bool", test: domainDTypes.float, call: (x) => isFinite(wild(x!)) }],
});

const truth = (x: Operand): Operand => (typeof x === "object" ? cast(x, "bool") : Number.isNaN(x) || Number(x) !== 0);
/** Both are not 0 (torch.logical_and). */
export const logicalAnd = (a: Operand, b: Operand): Node => bitwiseAnd(truth(a), truth(b));
/** One of them is not 0 (torch.logical_or). */
export const logicalOr = (a: Operand, b: Operand): Node => bitwiseOr(truth(a), truth(b));
/** Exactly one of them is not 0 (torch.logical_xor). */
export const logicalXor = (a: Operand, b: Operand): Node => bitwiseXor(truth(a), truth(b));

/** |a - b| <= atol + rtol * |b|, and equal infinities (torch.isclose). */
export function isClose(
  a: Node,
  b: Operand,
  { rtol = 1e-5, atol = 1e-8, equalNan = false }: { rtol?: number; atol?: number; equalNan?: boolean } = {},
): Node {
  const dtype = resultType(a, b);
  const [x, y] = broadcast("isClose", cast(a, dtype), cast(toNode(b, dtype), dtype)) as [Node, Node];
  if (dtype === "bool") return eq(x, y);
  const same = equalNan ? logicalOr(eq(x, y), logicalAnd(isNaN(x), isNaN(y))) : eq(x, y);
  const near = le(abs(sub(x, y)), addTo(mul(abs(cast(y, dtype)), rtol), atol));
  return logicalOr(same, logicalAnd(isFinite(sub(x, y)), near));
}
const addTo = (x: Node, value: number): Node => sub(x, -value);

/** `a` where the condition holds and `b` elsewhere; the side not taken lends neither NaN nor gradient (torch.where). */
export function where(condition: Node, a: Operand, b: Operand): Node {
  const dtype = resultType(a, b);
  const [c, x, y] = broadcast("where", cast(condition, "bool"), cast(toNode(a, dtype), dtype), cast(toNode(b, dtype), dtype));
  return make(whereOp, [c!, x!, y!], {});
}
const whereSamples: readonly Sample[] = [
  {
    shapes: [
      [3, 4],
      [3, 4],
      [3, 4],
    ],
    dtypes: ["bool", null, null],
    test: domainDTypes.any,
    call: (c, a, b) => where(c!, a!, b!),
  },
  { shapes: [[4], [3, 1], []], dtypes: ["bool", null, null], test: domainDTypes.any, call: (c, a, b) => where(c!, a!, b!) },
];
/** The op of `where`. */
export const whereOp: Op<[Node, Node, Node], None> = op({
  name: "where",
  kind: "elementwise",
  scalar: "where",
  infer: ([c, a, b]) => {
    if (c.dtype !== "bool" || a.dtype !== b.dtype)
      throw new DTypeError(`where: ${showType(c)} must be bool, and ${showType(a)} and ${showType(b)} of one dtype`);
    if (!sameShape(c.shape, a.shape) || !sameShape(a.shape, b.shape))
      throw new ShapeError(`where: ${showType(c)}, ${showType(a)} and ${showType(b)} differ in shape`);
    return a;
  },
  vjp: (ct, y) => {
    const c = y.inputs[0]!;
    const zero = expand(toNode(0, ct.type.dtype), ct.type.shape);
    return [null, make(whereOp, [c, ct, zero], {}), make(whereOp, [c, zero, ct], {})];
  },
  reference: ([c, a, b], _, out) => {
    const data = hostData(out.dtype, c.data.length);
    for (let i = 0; i < data.length; i++) data[i] = c.data[i] ? a.data[i]! : b.data[i]!;
    return new NdArray(out.dtype, c.shape, data);
  },
  samples: whereSamples,
});
export { logicalNot };
