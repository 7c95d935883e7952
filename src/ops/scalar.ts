/**
 * The closed set of scalar operations: what every backend spells, and what a Kernel's values are made of. Everything else
 * decomposes to these plus movement and reductions. Adding one here makes every printer fail to compile until it is spelled.
 */
export type ScalarOp = Arithmetic | Transcendental | Rounding | Comparison | Bits | "where" | "cast" | "bitcast";
/** `div` truncates for integers; `rem` has the sign of the dividend; `max` and `min` keep NaN; `fma` only arises in lowering. */
type Arithmetic = "add" | "sub" | "mul" | "div" | "rem" | "max" | "min" | "neg" | "abs" | "fma" | "pow";
type Transcendental =
  | "sqrt"
  | "rsqrt"
  | "exp"
  | "exp2"
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

/** Number of arguments, and whether the result is bool whatever the arguments are. */
export const scalarOps: Readonly<Record<ScalarOp, { readonly arity: 1 | 2 | 3; readonly bool?: true }>> = {
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
  pow: { arity: 2 },
  sqrt: { arity: 1 },
  rsqrt: { arity: 1 },
  exp: { arity: 1 },
  exp2: { arity: 1 },
  expm1: { arity: 1 },
  log: { arity: 1 },
  log2: { arity: 1 },
  log1p: { arity: 1 },
  sin: { arity: 1 },
  cos: { arity: 1 },
  tan: { arity: 1 },
  asin: { arity: 1 },
  acos: { arity: 1 },
  atan: { arity: 1 },
  atan2: { arity: 2 },
  sinh: { arity: 1 },
  cosh: { arity: 1 },
  tanh: { arity: 1 },
  asinh: { arity: 1 },
  acosh: { arity: 1 },
  atanh: { arity: 1 },
  erf: { arity: 1 },
  erfc: { arity: 1 },
  lgamma: { arity: 1 },
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
