/**
 * Rewrites of scalar operations. None changes a NaN, an infinity or the sign of a zero: x + 0 is not x (-0 + 0 is 0), x * 0 is
 * not 0, x - x is not 0. Integers wrap, so their rules are those of a ring.
 */
import { type DType, dtypes, isFloat, isInt, isWide } from "../../core/dtype.js";
import { is, type Node } from "../../ir/node.js";
import { castOp } from "../../ops/cast.js";
import { add, cast, mul, neg, sub, where } from "../../ops/elementwise.js";
import { full } from "../../ops/source.js";
import { splat } from "./fold.js";

type Rewrite = (n: Node, a: Node, b: Node, c: Node) => Node | undefined;

/** Filled with one number, in the shape and dtype of n. */
const filled = (n: Node, value: number): Node => full(n.type.shape, isWide(n.type.dtype) ? BigInt(value) : value, n.type.dtype);
/** Whether every element of x is this number; 0 and -0 differ. */
function all(x: Node, value: number): boolean {
  const s = splat(x);
  return typeof s === "bigint" ? s === BigInt(value) : Object.is(s, value);
}
/** Whether every element of x is zero of either sign. */
const zero = (x: Node): boolean => all(x, 0) || all(x, -0);
const scalarOf = (n: Node): string | undefined => (n.op.kind === "elementwise" ? n.op.scalar : undefined);
const integer = (n: Node): boolean => isInt(n.type.dtype);
const float = (n: Node): boolean => isFloat(n.type.dtype);

/** A constant stands last where the order does not matter. */
const constantLast: Rewrite = (n, a, b) =>
  splat(a) !== undefined && splat(b) === undefined ? { op: n.op, inputs: [b, a], attrs: n.attrs, type: n.type } : undefined;

/** (x op c) op d is x op (c op d) on integers. */
const gather: Rewrite = (n, a, b) => {
  if (!integer(n) || scalarOf(a) !== scalarOf(n) || splat(b) === undefined || splat(a.inputs[1]!) === undefined) return undefined;
  const constants = { op: n.op, inputs: [a.inputs[1]!, b], attrs: n.attrs, type: n.type };
  return { op: n.op, inputs: [a.inputs[0]!, constants], attrs: n.attrs, type: n.type };
};

/** The reciprocal of a power of two, where it is exact and not subnormal. */
function reciprocal(x: number, dtype: DType): number | undefined {
  const r = 1 / x;
  const least = dtype === "f16" ? 2 ** -14 : dtype === "f64" ? 2 ** -1022 : 2 ** -126;
  const most = dtype === "f16" ? 2 ** 15 : dtype === "f64" ? 2 ** 1023 : 2 ** 127;
  const power =
    Math.abs(x) > 0 && Number.isFinite(x) && Number.isInteger(Math.log2(Math.abs(x))) && 2 ** Math.log2(Math.abs(x)) === Math.abs(x);
  return power && Math.abs(r) >= least && Math.abs(r) <= most ? r : undefined;
}

const rules: Readonly<Record<string, Rewrite>> = {
  add: (n, a, b) => {
    if (all(b, -0) && float(n)) return a;
    if (integer(n) && zero(b)) return a;
    if (scalarOf(b) === "neg") return sub(a, b.inputs[0]!);
    if (scalarOf(a) === "neg") return sub(b, a.inputs[0]!);
    return constantLast(n, a, b, b) ?? gather(n, a, b, b);
  },
  sub: (n, a, b) => {
    if (all(b, 0)) return a;
    if (integer(n) && a === b) return filled(n, 0);
    if (integer(n) && zero(a)) return neg(b);
    if (scalarOf(b) === "neg") return add(a, b.inputs[0]!);
    return undefined;
  },
  mul: (n, a, b) => {
    if (all(b, 1)) return a;
    if (all(b, -1)) return neg(a);
    if (integer(n) && zero(b)) return filled(n, 0);
    if (scalarOf(a) === "neg" && scalarOf(b) === "neg") return mul(a.inputs[0]!, b.inputs[0]!);
    return constantLast(n, a, b, b) ?? gather(n, a, b, b);
  },
  div: (n, a, b) => {
    if (all(b, 1)) return a;
    if (!float(n)) return undefined;
    if (all(b, -1)) return neg(a);
    const s = splat(b);
    const r = typeof s === "number" ? reciprocal(s, n.type.dtype) : undefined;
    return r === undefined ? undefined : mul(a, full(n.type.shape, r, n.type.dtype));
  },
  rem: (n, _, b) => (integer(n) && all(b, 1) ? filled(n, 0) : undefined),
  neg: (_, a) => (scalarOf(a) === "neg" ? a.inputs[0] : undefined),
  abs: (n, a) => (scalarOf(a) === "abs" ? a : scalarOf(a) === "neg" && float(n) ? { ...n, inputs: [a.inputs[0]!] } : undefined),
  max: (n, a, b) => (a === b || (float(n) && all(b, -Infinity)) ? a : float(n) && all(a, -Infinity) ? b : undefined),
  min: (n, a, b) => (a === b || (float(n) && all(b, Infinity)) ? a : float(n) && all(a, Infinity) ? b : undefined),
  pow: (_, a, b) => (all(b, 1) ? a : all(b, 2) ? mul(a, a) : undefined),
  and: (n, a, b) => {
    if (a === b || all(b, n.type.dtype === "bool" ? 1 : -1)) return a;
    if (zero(b)) return filled(n, 0);
    return constantLast(n, a, b, b);
  },
  or: (n, a, b) => {
    if (a === b || zero(b)) return a;
    if (n.type.dtype === "bool" && all(b, 1)) return filled(n, 1);
    return constantLast(n, a, b, b);
  },
  xor: (n, a, b) => (zero(b) ? a : a === b ? filled(n, 0) : constantLast(n, a, b, b)),
  not: (_, a) => (scalarOf(a) === "not" ? a.inputs[0] : undefined),
  shl: (_, a, b) => (zero(b) ? a : undefined),
  shr: (_, a, b) => (zero(b) ? a : undefined),
  lt: (n, a, b) => (a === b ? filled(n, 0) : undefined),
  le: (n, a, b) => (a === b && !float(a) ? filled(n, 1) : undefined),
  eq: (n, a, b) => (a === b && !float(a) ? filled(n, 1) : constantLast(n, a, b, b)),
  ne: (n, a, b) => {
    if (a === b && !float(a)) return filled(n, 0);
    if (zero(b) && is(a, castOp) && a.inputs[0]!.type.dtype === "bool") return a.inputs[0];
    return constantLast(n, a, b, b);
  },
  where: (_, c, a, b) => {
    if (a === b) return a;
    const s = splat(c);
    if (s !== undefined) return s ? a : b;
    return scalarOf(c) === "not" ? where(c.inputs[0]!, b, a) : undefined;
  },
  cast: (n, a) => {
    const to = n.type.dtype;
    if (a.type.dtype === to) return a;
    if (!is(a, castOp)) return undefined;
    const from = a.inputs[0]!.type.dtype;
    return holds(a.type.dtype, from) ? cast(a.inputs[0]!, to) : undefined;
  },
};

/** Whether `wide` has every value of `narrow`. */
function holds(wide: DType, narrow: DType): boolean {
  const [w, n] = [dtypes[wide], dtypes[narrow]];
  if (wide === narrow || narrow === "bool") return true;
  if (w.kind === "bool" || w.kind === "complex" || n.kind === "complex") return false;
  if (n.kind === "float") return w.kind === "float" && w.bytes > n.bytes;
  if (w.kind === "float")
    return n.bytes * 8 <= (wide === "f64" ? 53 : wide === "f32" ? 24 : wide === "f16" ? 11 : 8) - (n.kind === "int" ? -1 : 0);
  if (n.kind === "uint") return w.kind === "uint" ? w.bytes >= n.bytes : w.bytes > n.bytes;
  return w.kind === "int" && w.bytes >= n.bytes;
}

/** One simpler node in place of a scalar operation, or undefined. */
export function simplifyScalar(n: Node): Node | undefined {
  const rule = n.op.scalar === undefined ? undefined : rules[n.op.scalar];
  return rule?.(n, n.inputs[0]!, n.inputs[1]!, n.inputs[2]!);
}
