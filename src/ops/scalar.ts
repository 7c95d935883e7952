/**
 * The closed set of scalar operations: what every backend spells, and what a Kernel's values are made of. Everything else
 * decomposes to these plus movement and reductions. Adding one here makes every printer fail to compile until it is spelled.
 */
export type ScalarOp = Arithmetic | Transcendental | Rounding | Comparison | Bits | "where" | "cast" | "bitcast";
/**
 * `div` truncates for integers; `rem` has the sign of the dividend; `max` and `min` keep NaN; `fma`, `dot2`, `dot4` and `pair` only arise in lowering.
 * `dot2` of two words (u32) of two bf16 each and an f32: the f32 plus both products; where it rounds, and whether it flushes subnormals,
 * is left to the target. `dot4` of a word of four u8, a word of four i8 and an i32: the i32 plus all four products, wrapping. `pair`
 * of two values that are cast to one half float is the word (u32) of both, the first one lowest.
 */
type Arithmetic = "add" | "sub" | "mul" | "div" | "rem" | "max" | "min" | "neg" | "abs" | "fma" | "dot2" | "dot4" | "pair" | "pow";
/**
 * `expnear` and `exp2near` only arise in lowering. `expnear` is at most 2^-17 of the result off where that is normal, for what is rounded to
 * 16 bits in the end; `exp2near` a few units in the last place, and 0 where 2^x is subnormal.
 */
type Transcendental =
  | "sqrt"
  | "rsqrt"
  | "exp"
  | "exp2"
  | "expnear"
  | "exp2near"
  | "expm1"
  | "log"
  | "log2"
  | "log1p"
  | "sin"
  | "cos"
  | "tan"
  | "asin"
  | "acos"
  | "atan"
  | "atan2"
  | "sinh"
  | "cosh"
  | "tanh"
  | "asinh"
  | "acosh"
  | "atanh"
  | "erf"
  | "erfc"
  | "lgamma";
/** `round` is half to even. */
type Rounding = "floor" | "ceil" | "trunc" | "round";
type Comparison = "lt" | "le" | "eq" | "ne" | "isnan";
/** On bool these are logical; `shr` is arithmetic for signed integers; `mulhi` is the upper half of a u32 product. */
type Bits = "and" | "or" | "xor" | "not" | "shl" | "shr" | "mulhi";

/** `bool`: the result is bool whatever the arguments are. `heavy`: costs about ten times an addition, or more. */
interface ScalarInfo {
  readonly arity: 1 | 2 | 3;
  readonly bool?: true;
  readonly heavy?: true;
}

/** What there is to know of each scalar operation. */
export const scalarOps: Readonly<Record<ScalarOp, ScalarInfo>> = {
  add: { arity: 2 },
  sub: { arity: 2 },
  mul: { arity: 2 },
  div: { arity: 2 },
  rem: { arity: 2 },
  max: { arity: 2 },
  min: { arity: 2 },
  neg: { arity: 1 },
  abs: { arity: 1 },
  fma: { arity: 3 },
  dot2: { arity: 3 },
  pair: { arity: 2 },
  dot4: { arity: 3 },
  pow: { arity: 2, heavy: true },
  sqrt: { arity: 1 },
  rsqrt: { arity: 1 },
  exp: { arity: 1, heavy: true },
  exp2: { arity: 1, heavy: true },
  expnear: { arity: 1 },
  exp2near: { arity: 1 },
  expm1: { arity: 1, heavy: true },
  log: { arity: 1, heavy: true },
  log2: { arity: 1, heavy: true },
  log1p: { arity: 1, heavy: true },
  sin: { arity: 1, heavy: true },
  cos: { arity: 1, heavy: true },
  tan: { arity: 1, heavy: true },
  asin: { arity: 1, heavy: true },
  acos: { arity: 1, heavy: true },
  atan: { arity: 1, heavy: true },
  atan2: { arity: 2, heavy: true },
  sinh: { arity: 1, heavy: true },
  cosh: { arity: 1, heavy: true },
  tanh: { arity: 1, heavy: true },
  asinh: { arity: 1, heavy: true },
  acosh: { arity: 1, heavy: true },
  atanh: { arity: 1, heavy: true },
  erf: { arity: 1, heavy: true },
  erfc: { arity: 1, heavy: true },
  lgamma: { arity: 1, heavy: true },
  floor: { arity: 1 },
  ceil: { arity: 1 },
  trunc: { arity: 1 },
  round: { arity: 1 },
  lt: { arity: 2, bool: true },
  le: { arity: 2, bool: true },
  eq: { arity: 2, bool: true },
  ne: { arity: 2, bool: true },
  isnan: { arity: 1, bool: true },
  and: { arity: 2 },
  or: { arity: 2 },
  xor: { arity: 2 },
  not: { arity: 1 },
  shl: { arity: 2 },
  shr: { arity: 2 },
  mulhi: { arity: 2 },
  where: { arity: 3 },
  cast: { arity: 1 },
  bitcast: { arity: 1 },
};
