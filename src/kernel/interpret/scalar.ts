/** What each scalar operation means, on one host value: the oracle of printers. */
import { fromBf16, fromF16, roundValue, toBf16, toF16 } from "../../core/convert.js";
import { bytesOf, computeDType, type DType, dtypes, isFloat, isWide } from "../../core/dtype.js";
import { InternalError } from "../../core/errors.js";
import { erfcOf, erfOf, lgammaOf } from "../../ops/oracle.js";
import { roundHalfEven } from "../../ops/rounding.js";
import type { ScalarOp } from "../../ops/scalar.js";

/** A value on the host: 64-bit integers are bigint, bool is 0 or 1. */
export type Scalar = number | bigint;

const floatOps: Readonly<Partial<Record<ScalarOp, (a: number, b: number, c: number) => number>>> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  rem: (a, b) => a % b,
  max: (a, b) => Math.max(a, b),
  min: (a, b) => Math.min(a, b),
  neg: (a) => -a,
  abs: Math.abs,
  fma: (a, b, c) => a * b + c,
  pow: (a, b) => (a === 1 || (a === -1 && Math.abs(b) === Number.POSITIVE_INFINITY) ? 1 : a ** b),
  sqrt: Math.sqrt,
  rsqrt: (a) => 1 / Math.sqrt(a),
  exp: Math.exp,
  exp2: (a) => 2 ** a,
  expnear: Math.exp,
  exp2near: (a) => 2 ** a,
  expm1: Math.expm1,
  log: Math.log,
  log2: Math.log2,
  log1p: Math.log1p,
  sin: Math.sin,
  cos: Math.cos,
  tan: Math.tan,
  asin: Math.asin,
  acos: Math.acos,
  atan: Math.atan,
  atan2: Math.atan2,
  sinh: Math.sinh,
  cosh: Math.cosh,
  tanh: Math.tanh,
  asinh: Math.asinh,
  acosh: Math.acosh,
  atanh: Math.atanh,
  erf: erfOf,
  erfc: erfcOf,
  lgamma: lgammaOf,
  floor: Math.floor,
  ceil: Math.ceil,
  trunc: Math.trunc,
  round: roundHalfEven,
};
const power = (a: bigint, b: bigint): bigint => {
  if (b < 0n) return a === 1n ? 1n : a === -1n ? (b & 1n ? -1n : 1n) : 0n;
  let r = 1n;
  for (let p = BigInt.asUintN(64, a); b; b >>= 1n, p = BigInt.asUintN(64, p * p)) if (b & 1n) r = BigInt.asUintN(64, r * p);
  return r;
};
const shifts = (op: "shl" | "shr", a: bigint, b: bigint, dtype: DType): bigint => {
  const bits = BigInt(bytesOf(dtype) * 8);
  const far = b < 0n || b >= bits;
  if (op === "shl") return far ? 0n : a << b;
  return a >> (far ? bits : b);
};
const intOps: Readonly<Partial<Record<ScalarOp, (a: bigint, b: bigint, c: bigint, dtype: DType) => bigint>>> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => (b === 0n ? a : a / b),
  rem: (a, b) => (b === 0n ? 0n : a % b),
  max: (a, b) => (a > b ? a : b),
  min: (a, b) => (a < b ? a : b),
  neg: (a) => -a,
  abs: (a) => (a < 0n ? -a : a),
  fma: (a, b, c) => a * b + c,
  pow: power,
  floor: (a) => a,
  ceil: (a) => a,
  trunc: (a) => a,
  round: (a) => a,
  and: (a, b) => a & b,
  or: (a, b) => a | b,
  xor: (a, b) => a ^ b,
  not: (a) => ~a,
  shl: (a, b, _c, dtype) => shifts("shl", a, b, dtype),
  shr: (a, b, _c, dtype) => shifts("shr", a, b, dtype),
  mulhi: (a, b) => (a * b) >> 32n,
};
const boolOps: Readonly<Partial<Record<ScalarOp, (a: number, b: number) => number>>> = {
  add: (a, b) => a | b,
  max: (a, b) => a | b,
  or: (a, b) => a | b,
  mul: (a, b) => a & b,
  min: (a, b) => a & b,
  and: (a, b) => a & b,
  sub: (a, b) => a ^ b,
  xor: (a, b) => a ^ b,
  not: (a) => 1 - a,
  neg: (a) => a,
  abs: (a) => a,
};

/** Whether the operation is defined for values of this dtype. */
export function definedFor(op: ScalarOp, dtype: DType): boolean {
  if (["lt", "le", "eq", "ne", "isnan", "where", "cast"].includes(op)) return true;
  if (op === "bitcast") return dtype !== "bool";
  if (dtype === "bool") return op in boolOps;
  if (isFloat(dtype)) return op in floatOps;
  return op === "mulhi" ? dtype === "u32" : op in intOps;
}

/** An operation as a function of up to three arguments, whose dtypes are `from`. A half float rounds, and is an f32 from then on. */
export function scalarFunction(op: ScalarOp, dtype: DType, from: readonly DType[]): (a: Scalar, b: Scalar, c: Scalar) => Scalar {
  switch (op) {
    case "cast":
      return (a) => roundValue(dtype, a);
    case "bitcast":
      return (a) => fromBits(bitsOf(a, from[0]!), dtype);
    case "where":
      return (a, b, c) => (a ? b : c);
    case "lt":
      return (a, b) => (a < b ? 1 : 0);
    case "le":
      return (a, b) => (a <= b ? 1 : 0);
    case "eq":
      return (a, b) => (a === b ? 1 : 0);
    case "ne":
      return (a, b) => (a !== b ? 1 : 0);
    case "dot2":
      return (a, b, c) => {
        const half = (x: Scalar, i: number): number => fromBf16((Number(x) >>> (16 * i)) & 0xffff);
        const sum = Math.fround(Number(c) + half(a, 0) * half(b, 0));
        return Math.fround(sum + half(a, 1) * half(b, 1));
      };
    case "pair":
      return (a, b) => Number(bitsOf(a, from[0]!) | (bitsOf(b, from[1]!) << 16n));
    case "dot4":
      return (a, b, c) => {
        let sum = Number(c);
        for (let i = 0; i < 32; i += 8) sum += ((Number(a) >>> i) & 0xff) * (((Number(b) >>> i) << 24) >> 24);
        return sum | 0;
      };
    case "isnan":
      return (a) => (Number.isNaN(a) ? 1 : 0);
    default:
  }
  const { kind } = dtypes[dtype];
  if (kind === "float") {
    const f = floatOps[op];
    const rounded = computeDType(dtype);
    if (f && rounded === "f32") return (a, b, c) => Math.fround(f(Number(a), Number(b), Number(c)));
    if (f) return (a, b, c) => roundValue(rounded, f(Number(a), Number(b), Number(c)));
  } else if (kind === "bool") {
    const f = boolOps[op];
    if (f) return (a, b) => f(Number(a), Number(b));
  } else {
    const f = intOps[op];
    if (f) return (a, b, c) => roundValue(dtype, f(BigInt(a), BigInt(b ?? 0), BigInt(c ?? 0), dtype));
  }
  throw new InternalError(`${op} is not defined for ${dtype}`);
}

const room = new DataView(new ArrayBuffer(8));
/** The bits of a value, as an unsigned integer. */
export function bitsOf(x: Scalar, dtype: DType): bigint {
  if (dtype === "f16") return BigInt(toF16(Number(x)));
  if (dtype === "bf16") return BigInt(toBf16(Number(x)));
  if (dtype === "f32") room.setFloat32(0, Number(x));
  else if (dtype === "f64") room.setFloat64(0, Number(x));
  else return BigInt.asUintN(bytesOf(dtype) * 8, BigInt(x));
  return dtype === "f32" ? BigInt(room.getUint32(0)) : room.getBigUint64(0);
}
/** The value of a dtype with these bits. */
export function fromBits(bits: bigint, dtype: DType): Scalar {
  if (dtype === "f16") return fromF16(Number(bits));
  if (dtype === "bf16") return fromBf16(Number(bits));
  if (dtype === "f32") room.setUint32(0, Number(bits));
  else if (dtype === "f64") room.setBigUint64(0, bits);
  else return isWide(dtype) ? (roundValue(dtype, bits) as bigint) : roundValue(dtype, Number(bits));
  return dtype === "f32" ? room.getFloat32(0) : room.getFloat64(0);
}
