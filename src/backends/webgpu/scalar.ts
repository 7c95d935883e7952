/** Scalar operations in WGSL: floats by functions that keep IEEE's rules where WGSL does not, small integers wrapped, 64-bit ones in words. */
import { bytesOf, computeDType, type DType, isFloat, isHalf, isInt, isWide } from "../../core/dtype.js";
import { UnsupportedError } from "../../core/errors.js";
import type { Text } from "../../kernel/dialect.js";
import type { ScalarOp } from "../../ops/scalar.js";
import { narrow, wideCompare, wideLiteral, widen, wideOp, wideType } from "./wide.js";

/** The WGSL type of a value; small integers live in 32 bits, large ones in two words. */
export const valueType = (dtype: DType): string =>
  dtype === "bool" ? "bool" : isFloat(dtype) ? "f32" : isWide(dtype) ? wideType : dtype[0] === "u" ? "u32" : "i32";
/** Types that WGSL neither has nor is given here. */
export const isForeign = (dtype: DType): boolean => dtype === "f64" || dtype === "complex64";

/** Refuses what a tiling should not have asked for. */
export const unsupported = (what: string): never => {
  throw new UnsupportedError(`WGSL has no ${what}; choose a tiling without it`);
};
/** A small integer wrapped to its width. */
export function wrap(x: string, dtype: DType): string {
  switch (dtype) {
    case "i8":
    case "i16":
      return `((${x} << ${32 - 8 * bytesOf(dtype)}u) >> ${32 - 8 * bytesOf(dtype)}u)`;
    case "u8":
      return `(${x} & 255u)`;
    case "u16":
      return `(${x} & 65535u)`;
    default:
      return x;
  }
}
const isLiteral = (x: string): boolean => /^\(?-?\d[\w.+-]*\)?$/.test(x);
const infix: Readonly<Partial<Record<ScalarOp, string>>> = { add: "+", sub: "-", mul: "*", div: "/", and: "&", or: "|", xor: "^" };
const functions: Readonly<Partial<Record<ScalarOp, string>>> = {
  ...Object.fromEntries(
    "exp exp2 expm1 log log2 log1p sin cos tan asin acos atan atan2 sinh cosh tanh asinh acosh atanh erf erfc lgamma max min abs neg"
      .split(" ")
      .map((f) => [f, `${f}_`]),
  ),
  ...Object.fromEntries("sqrt floor ceil trunc round fma".split(" ").map((f) => [f, f])),
  expnear: "exp_",
  exp2near: "exp2",
  rsqrt: "inverseSqrt",
  pow: "pow_f32",
  rem: "rem_f32",
};

/** The text of an operation. */
export function op(name: ScalarOp, dtype: DType, all: readonly Text[]): string {
  if (isForeign(dtype) || all.some((x) => isForeign(x.dtype)))
    throw new UnsupportedError(`WGSL has no ${name} of ${all.map((x) => x.dtype).join(", ")} giving ${dtype}; cast to a 32-bit type first`);
  const constants = all.every((x) => isLiteral(x.text) || x.text === "true" || x.text === "false");
  // An expression of constants is computed by the compiler, which refuses results that are not finite.
  const args = all.map((x, i) => (constants && i === 0 && isLiteral(x.text) ? { ...x, text: `keep_${valueType(x.dtype)}(${x.text})` } : x));
  const [a, b, c] = args.map((x) => x.text);
  const from = args[0]!.dtype;
  switch (name) {
    case "dot2":
    case "pair":
    case "dot4":
      return unsupported("products of words");
    case "cast":
      return cast(a!, computeDType(from), dtype);
    case "bitcast":
      return bitcast(a!, from, dtype);
    case "where":
      return `select(${c}, ${b}, ${a})`;
    case "lt":
    case "le":
    case "eq":
    case "ne":
      return compare(name, a!, b!, from);
    case "isnan":
      return isFloat(from) ? `nan_(${a})` : "false";
    default:
  }
  if (dtype === "bool") return logical(name, a!, b!);
  if (isFloat(dtype)) {
    const sign = infix[name];
    if (sign) return `(${a} ${sign} ${b})`;
    const f = functions[name];
    if (!f) throw new UnsupportedError(`WGSL has no ${name} of ${dtype}`);
    return `${f}(${args.map((x) => x.text).join(", ")})`;
  }
  return isWide(dtype) ? wideOp(name, dtype, a!, b, c) : integer(name, dtype, a!, b!, c);
}
function integer(name: ScalarOp, dtype: DType, a: string, b: string, c: string | undefined): string {
  const t = valueType(dtype);
  const width = 8 * bytesOf(dtype);
  switch (name) {
    case "add":
    case "sub":
    case "mul":
      return wrap(`(${a} ${infix[name]} ${b})`, dtype);
    case "and":
    case "or":
    case "xor":
      return `(${a} ${infix[name]} ${b})`;
    case "fma":
      return wrap(`(${a} * ${b} + ${c})`, dtype);
    case "neg":
      return wrap(t === "u32" ? `(0u - ${a})` : `(-${a})`, dtype);
    case "not":
      return wrap(`(~${a})`, dtype);
    case "abs":
      return wrap(t === "u32" ? a : `abs(${a})`, dtype);
    case "max":
    case "min":
      return `${name}(${a}, ${b})`;
    case "div":
    case "rem":
      return wrap(`${name}_${t}(${a}, ${b})`, dtype);
    case "pow":
      return wrap(`pow_${t}(${a}, ${b})`, dtype);
    case "shl":
      return wrap(
        t === "i32" ? `bitcast<i32>(shl_(bitcast<u32>(${a}), ${b}, ${width}))` : `shl_(${a}, bitcast<i32>(${b}), ${width})`,
        dtype,
      );
    case "shr":
      return t === "i32" ? `shr_i32(${a}, ${b}, ${width})` : `shr_u32(${a}, bitcast<i32>(${b}), ${width})`;
    case "mulhi":
      if (dtype === "u32") return `mulhi_u32(${a}, ${b})`;
      break;
    case "floor":
    case "ceil":
    case "trunc":
    case "round":
      return a;
    default:
  }
  throw new UnsupportedError(`WGSL has no ${name} of ${dtype}; cast to a dtype that it is defined for`);
}
function logical(name: ScalarOp, a: string, b: string): string {
  switch (name) {
    case "add":
    case "max":
    case "or":
      return `(${a} | ${b})`;
    case "mul":
    case "min":
    case "and":
      return `(${a} & ${b})`;
    case "sub":
    case "xor":
      return `(${a} != ${b})`;
    case "not":
      return `(!${a})`;
    case "neg":
    case "abs":
      return a;
    default:
      throw new UnsupportedError(`WGSL has no ${name} of bool; cast to a dtype that it is defined for`);
  }
}
/** Floats are compared by their bits: the compiler may take comparisons to be of numbers only. */
function compare(name: "lt" | "le" | "eq" | "ne", a: string, b: string, from: DType): string {
  if (isFloat(from)) return name === "ne" ? `(!eq_(${a}, ${b}))` : `${name}_(${a}, ${b})`;
  if (isWide(from)) return wideCompare(name, a, b, from);
  if (from === "bool")
    return name === "lt" ? `(!${a} & ${b})` : name === "le" ? `(!${a} | ${b})` : `(${a} ${name === "eq" ? "==" : "!="} ${b})`;
  return `(${a} ${{ lt: "<", le: "<=", eq: "==", ne: "!=" }[name]} ${b})`;
}
function cast(a: string, from: DType, to: DType): string {
  if (isHalf(to)) return `round_${to}(${cast(a, from, "f32")})`;
  if (from === to) return a;
  if (isWide(to)) return isWide(from) ? a : widen({ text: a, dtype: from, lanes: 1 });
  if (isWide(from)) return wrap(narrow(a, from, to), to);
  if (to === "bool") return from === "f32" ? `(!eq_(${a}, 0.0f))` : `(${a} != ${from[0] === "u" ? "0u" : "0"})`;
  const t = valueType(to);
  if (isFloat(from) && isInt(to)) return wrap(t === "u32" ? `bitcast<u32>(to_int(${a}))` : `to_int(${a})`, to);
  if (isInt(from) && isInt(to)) return wrap(valueType(from) === t ? a : `bitcast<${t}>(${a})`, to);
  return `${t}(${a})`;
}
function bitcast(a: string, from: DType, to: DType): string {
  if (from === to || (isWide(from) && isWide(to))) return a;
  if (isHalf(from)) return bitcast(`narrow_${from}(${a})`, "u16", to);
  if (isHalf(to)) return `widen_${to}(${bitcast(a, from, "u16")})`;
  if (bytesOf(from) !== bytesOf(to) || from === "bool" || to === "bool")
    throw new UnsupportedError(`bitcast from ${from} to ${to}: the sizes differ`);
  if (to === "f32") return `from_bits(${from === "u32" ? a : `bitcast<u32>(${a})`})`;
  return wrap(`bitcast<${valueType(to)}>(${a})`, to);
}
/** The text of a constant. */
export function literal(value: number | bigint, dtype: DType): string {
  if (isWide(dtype)) return wideLiteral(value);
  const x = Number(value);
  if (dtype === "bool") return x ? "true" : "false";
  if (isForeign(dtype)) throw new UnsupportedError(`WGSL has no ${dtype}; cast to a 32-bit type first`);
  if (isInt(dtype)) return dtype[0] === "u" ? `${x}u` : x === -(2 ** 31) ? "i32(-2147483648)" : x < 0 ? `(${x})` : `${x}`;
  const y = Math.fround(x);
  if (Number.isNaN(y)) return "not_a_number()";
  if (!Number.isFinite(y)) return y > 0 ? "infinity()" : "neg_(infinity())";
  const text = Number.isInteger(y) && Math.abs(y) < 1e15 ? y.toFixed(1) : `${y}`;
  if (Object.is(y, -0)) return "neg_(0.0f)";
  if (y !== 0 && Math.abs(y) < 2 ** -126) return `from_bits(${y < 0 ? 0x80000000 + Math.round(-y * 2 ** 149) : Math.round(y * 2 ** 149)}u)`;
  return y < 0 ? `(${text}f)` : `${text}f`;
}
