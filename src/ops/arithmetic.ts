import { type DType, isFloat } from "../core/dtype.js";
import { DTypeError } from "../core/errors.js";
import type { Node } from "../ir/node.js";
import { bitwiseAnd, bitwiseOr } from "./bitwise.js";
import { cast } from "./cast.js";
import { eq, isNaN, logicalAnd, logicalOr, lt, ne, where } from "./comparison.js";
import { type Binary, binary, type Unary, unary } from "./define.js";
import { literalDType, type Operand, resultType, toNode } from "./promotion.js";
import { floor, trunc } from "./rounding.js";
import { full } from "./source.js";
import { log, sqrt } from "./transcendental.js";

/** x's shape and dtype, filled with one number. */
export const fill = (x: Node, value: number): Node =>
  full(x.type.shape, x.type.dtype === "i64" || x.type.dtype === "u64" ? BigInt(value) : value, x.type.dtype);
const dtypeOf = (a: Operand, b: Operand): DType => resultType(a, b);
const isBool = (a: Operand, b: Operand): boolean => dtypeOf(a, b) === "bool";

const plus = binary("add", { domain: "number", reference: (a, b) => a + b, integer: (a, b) => a + b, vjp: (ct) => [ct, ct] });
/** a + alpha * b; on bool it is `or` (torch.add). */
export const add: Binary & ((a: Operand, b: Operand, options?: { alpha?: number }) => Node) = Object.assign(
  (a: Operand, b: Operand, { alpha = 1 }: { alpha?: number } = {}): Node =>
    isBool(a, b) ? bitwiseOr(a, b) : plus(a, alpha === 1 ? b : mul(b, alpha)),
  { op: plus.op },
);

const minus = binary("sub", { domain: "number", reference: (a, b) => a - b, integer: (a, b) => a - b, vjp: (ct) => [ct, neg(ct)] });
/** a - alpha * b (torch.sub). */
export const sub: Binary & ((a: Operand, b: Operand, options?: { alpha?: number }) => Node) = Object.assign(
  (a: Operand, b: Operand, { alpha = 1 }: { alpha?: number } = {}): Node => minus(a, alpha === 1 ? b : mul(b, alpha)),
  { op: minus.op },
);

const times = binary("mul", {
  domain: "number",
  reference: (a, b) => a * b,
  integer: (a, b) => a * b,
  vjp: (ct, a, b) => [times(ct, b), times(ct, a)],
});
/** a * b; on bool it is `and` (torch.mul). */
export const mul: Binary = Object.assign((a: Operand, b: Operand): Node => (isBool(a, b) ? bitwiseAnd(a, b) : times(a, b)), {
  op: times.op,
});

// Integer division by zero gives the dividend, and remainder 0, so that no device traps; PyTorch throws on the CPU.
const divide = binary("div", {
  domain: "number",
  range: [
    [-20, 20],
    [0.5, 6],
  ],
  reference: (a, b) => a / b,
  integer: (a, b) => (b === 0n ? a : a / b),
  vjp: (ct, a, b, y) => (isFloat(a.type.dtype) ? [divide(ct, b), neg(divide(times(ct, y), b))] : [null, null]),
});
/** a / b; integers and bool divide as floats. `rounding` "trunc" or "floor" rounds the quotient and keeps integers (torch.div). */
export const div: Binary & ((a: Operand, b: Operand, options?: { rounding?: "trunc" | "floor" | null }) => Node) = Object.assign(
  (a: Operand, b: Operand, { rounding = null }: { rounding?: "trunc" | "floor" | null } = {}): Node => {
    const dtype = dtypeOf(a, b);
    if (rounding === "floor") return floorDivide(a, b);
    if (rounding === "trunc") return isFloat(dtype) ? trunc(divide(a, b)) : divide(a, b);
    if (isFloat(dtype)) return divide(a, b);
    const as = literalDType(0.5, dtype);
    return divide(cast(toNode(a, as), as), cast(toNode(b, as), as));
  },
  { op: divide.op },
);
/** a / b, integers as floats (torch.true_divide). */
export const trueDivide = (a: Operand, b: Operand): Node => div(a, b);

/** Remainder with the sign of the dividend (torch.fmod). */
export const fmod: Binary = binary("fmod", {
  domain: "number",
  scalar: "rem",
  range: [
    [-20, 20],
    [0.5, 6],
  ],
  discontinuous: "jumps at multiples of the divisor",
  reference: (a, b) => a % b,
  integer: (a, b) => (b === 0n ? 0n : a % b),
  vjp: (ct, a, b) => [ct, neg(mul(ct, trunc(divide(a, b))))],
});
const signed = (dtype: DType): boolean => !(dtype[0] === "u" || dtype === "bool");
/** Remainder with the sign of the divisor (torch.remainder, JavaScript's % made Python's). */
export const remainder: Binary = binary("remainder", {
  domain: "number",
  scalar: null,
  range: [
    [-20, 20],
    [0.5, 6],
  ],
  discontinuous: "jumps at multiples of the divisor",
  reference: (a, b) => {
    const r = a % b;
    return r !== 0 && r < 0 !== b < 0 ? r + b : r;
  },
  integer: (a, b) => {
    const r = b === 0n ? 0n : a % b;
    return r !== 0n && r < 0n !== b < 0n ? r + b : r;
  },
  vjp: (ct, a, b) => [ct, neg(mul(ct, floorDivide(a, b)))],
  decompose: (a, b) => {
    const r = fmod(a, b);
    return signed(a.type.dtype) ? where(logicalAnd(ne(r, 0), ne(lt(r, 0), lt(b, 0))), plus(r, b), r) : r;
  },
});
/** The quotient rounded down (torch.floor_divide). */
export const floorDivide: Binary = binary("floorDivide", {
  domain: "number",
  scalar: null,
  range: [
    [-20, 20],
    [0.5, 6],
  ],
  discontinuous: "a step at every multiple of the divisor",
  reference: (a, b) => {
    if (b === 0) return a / b;
    const r = a % b;
    const q = (a - r) / b - (r !== 0 && b < 0 !== r < 0 ? 1 : 0);
    if (q === 0) return Object.is(a / b, -0) || a / b < 0 ? -0 : 0;
    const floor = Math.floor(q);
    return q - floor > 0.5 ? floor + 1 : floor;
  },
  integer: (a, b) => {
    if (b === 0n) return a;
    const q = a / b;
    return q * b !== a && a < 0n !== b < 0n ? q - 1n : q;
  },
  vjp: () => [null, null],
  decompose: (a, b) => {
    if (!isFloat(a.type.dtype)) {
      if (!signed(a.type.dtype)) return divide(a, b);
      const r = fmod(a, b);
      const low = logicalAnd(ne(r, 0), ne(lt(r, 0), lt(b, 0)));
      return minus(divide(a, b), cast(low, a.type.dtype));
    }
    const quotient = divide(a, b);
    const r = fmod(a, b);
    const exact = divide(minus(a, r), b);
    const q = where(logicalAnd(ne(r, 0), ne(lt(b, 0), lt(r, 0))), minus(exact, 1), exact);
    const down = floor(q);
    const rounded = where(lt(0.5, minus(q, down)), plus(down, 1), down);
    return where(eq(b, 0), quotient, where(eq(q, 0), times(quotient, 0), rounded));
  },
});

const max = (a: number, b: number): number => (Number.isNaN(a) || Number.isNaN(b) ? Number.NaN : Math.max(a, b));
const greater = binary("maximum", {
  domain: "number",
  scalar: "max",
  reference: max,
  integer: (a, b) => (a > b ? a : b),
  vjp: (ct, a, b) => {
    const tie = eq(a, b);
    const half = times(ct, 0.5);
    return [where(lt(a, b), 0, where(tie, half, ct)), where(lt(b, a), 0, where(tie, half, ct))];
  },
});
/** The larger of both; NaN where either is NaN (torch.maximum). */
export const maximum: Binary = Object.assign((a: Operand, b: Operand): Node => (isBool(a, b) ? bitwiseOr(a, b) : greater(a, b)), {
  op: greater.op,
});
const less = binary("minimum", {
  domain: "number",
  scalar: "min",
  reference: (a, b) => -max(-a, -b),
  integer: (a, b) => (a < b ? a : b),
  vjp: (ct, a, b) => {
    const tie = eq(a, b);
    const half = times(ct, 0.5);
    return [where(lt(b, a), 0, where(tie, half, ct)), where(lt(a, b), 0, where(tie, half, ct))];
  },
});
/** The smaller of both; NaN where either is NaN (torch.minimum). */
export const minimum: Binary = Object.assign((a: Operand, b: Operand): Node => (isBool(a, b) ? bitwiseAnd(a, b) : less(a, b)), {
  op: less.op,
});

/** Minus x (torch.neg). */
export const neg: Unary = unary("neg", { domain: "number", reference: (x) => -x, integer: (x) => -x, vjp: (ct) => neg(ct) });
/** The absolute value (torch.abs). */
export const abs: Unary = unary("abs", {
  domain: "number",
  reference: Math.abs,
  integer: (x) => (x < 0n ? -x : x),
  vjp: (ct, x) => mul(ct, sign(x)),
});
const signum = unary("sign", {
  domain: "number",
  scalar: null,
  discontinuous: "a step at 0",
  reference: (x) => (x > 0 ? 1 : x < 0 ? -1 : 0),
  integer: (x) => (x > 0n ? 1n : x < 0n ? -1n : 0n),
  vjp: () => null,
  decompose: (x) => {
    const above = cast(lt(0, x), x.type.dtype);
    return signed(x.type.dtype) ? minus(above, cast(lt(x, 0), x.type.dtype)) : above;
  },
});
/** -1, 0 or 1; bool stays (torch.sign). */
export const sign: Unary = Object.assign((x: Node): Node => (x.type.dtype === "bool" ? x : signum(x)), { op: signum.op });
/** 1 / x (torch.reciprocal). */
export const reciprocal: Unary = unary("reciprocal", {
  domain: "float",
  scalar: null,
  range: [0.5, 3],
  reference: (x) => 1 / x,
  vjp: (ct, _, y) => neg(mul(ct, mul(y, y))),
  decompose: (x) => divide(fill(x, 1), x),
});
/** x * x; bool counts as 0 and 1 (torch.square). */
export const square = (x: Node): Node => pow(x, 2);

function integerPower(a: bigint, b: bigint): bigint {
  if (b < 0n) return a === 1n ? 1n : a === -1n ? (b % 2n === 0n ? 1n : -1n) : 0n;
  let out = 1n;
  for (let base = a, e = b; e > 0n; e >>= 1n, base = BigInt.asIntN(64, base * base)) if (e & 1n) out = BigInt.asIntN(64, out * base);
  return out;
}
const power = binary("pow", {
  domain: "number",
  range: [
    [0.25, 3],
    [-2, 3],
  ],
  reference: (a, b) => (a === 1 || b === 0 ? 1 : Math.abs(a) === 1 && !Number.isFinite(b) && !Number.isNaN(b) ? 1 : a ** b),
  integer: integerPower,
  vjp: (ct, a, b, y) => [
    mul(ct, where(eq(b, 0), 0, mul(b, power(a, sub(b, 1))))),
    mul(ct, where(logicalAnd(eq(a, 0), lt(-1, b)), 0, mul(y, log(a)))),
  ],
});
/** a to the power of b; integers wrap, and a negative exponent gives 0 unless the base is 1 or -1 (torch.pow). */
export const pow: Binary = Object.assign(
  (a: Operand, b: Operand): Node => {
    if (typeof a !== "object" || typeof b === "object" || typeof b === "boolean") return power(a, b);
    if (a.type.dtype === "bool") return pow(cast(a, dtypeOf(a, b)), b);
    const e = Number(b);
    if (isFloat(a.type.dtype)) {
      if (e === 0.5) return sqrt(a);
      if (e === 1) return a;
      if (e === 2) return mul(a, a);
      if (e === 3) return mul(mul(a, a), a);
      if (e === -1) return reciprocal(a);
      return power(a, b);
    }
    if (!Number.isInteger(e)) return power(a, b);
    if (e < 0) throw new DTypeError("pow: integers to a negative literal power are not defined; cast to a float dtype first");
    let out: Node | undefined;
    for (let n = e, base: Node = a; n > 0; n = Math.floor(n / 2), base = n > 0 ? mul(base, base) : base)
      if (n % 2) out = out ? mul(out, base) : base;
    return out ?? fill(a, 1);
  },
  { op: power.op },
);

/** x with the sign of `from`, -0 included (torch.copysign). */
export const copysign: Binary = binary("copysign", {
  domain: "float",
  scalar: null,
  discontinuous: "a step where the sign changes",
  reference: (a, b) => (b < 0 || Object.is(b, -0) ? -Math.abs(a) : Math.abs(a)),
  vjp: (ct, a, _, y) => [where(eq(a, 0), 0, where(eq(a, y), ct, neg(ct))), null],
  // 1 / -0 is -infinity, which tells -0 from 0.
  decompose: (a, b) => where(lt(where(eq(b, 0), divide(fill(b, 1), b), b), 0), neg(abs(a)), abs(a)),
});
/** The fractional part, with x's sign (torch.frac). */
export const frac = (x: Node): Node => sub(x, trunc(x));
/** 0 below 0, `values` at 0, 1 above (torch.heaviside). */
export const heaviside = (x: Node, values: Operand): Node => {
  const dtype = dtypeOf(x, values);
  return where(eq(x, 0), values, cast(lt(0, x), dtype));
};
/** Of equal numbers the first counts, as in PyTorch; `wins` says where b, a number, is chosen over a. */
function skipNaN(
  name: string,
  f: Binary,
  pick: (a: number, b: number) => number,
  integer: (a: bigint, b: bigint) => bigint,
  wins: (a: Node, b: Node) => Node,
): Binary {
  const r = binary(name, {
    domain: "number",
    scalar: null,
    reference: (a, b) => (Number.isNaN(a) ? b : Number.isNaN(b) ? a : pick(a, b)),
    integer,
    vjp: (ct, a, b) => {
      const second = logicalOr(wins(a, b), logicalAnd(isNaN(a), eq(b, b)));
      return [where(second, 0, ct), where(second, ct, 0)];
    },
    decompose: (a, b) => (isFloat(a.type.dtype) ? where(ne(a, a), b, where(ne(b, b), a, f(a, b))) : f(a, b)),
  });
  return Object.assign((a: Operand, b: Operand): Node => (isBool(a, b) ? f(a, b) : r(a, b)), { op: r.op });
}
/** The maximum that ignores a NaN beside a number (torch.fmax). */
export const fmax: Binary = skipNaN(
  "fmax",
  maximum,
  Math.max,
  (a, b) => (a > b ? a : b),
  (a, b) => lt(a, b),
);
/** The minimum that ignores a NaN beside a number (torch.fmin). */
export const fmin: Binary = skipNaN(
  "fmin",
  minimum,
  Math.min,
  (a, b) => (a < b ? a : b),
  (a, b) => lt(b, a),
);

const clampMin: Binary = binary("clampMin", {
  domain: "number",
  scalar: null,
  discontinuous: "a kink at the bound",
  reference: max,
  integer: (a, b) => (a > b ? a : b),
  vjp: (ct, a, b) => [where(lt(a, b), 0, ct), where(lt(a, b), ct, 0)],
  decompose: (a, b) => greater(a, b),
});
const clampMax: Binary = binary("clampMax", {
  domain: "number",
  scalar: null,
  discontinuous: "a kink at the bound",
  reference: (a, b) => -max(-a, -b),
  integer: (a, b) => (a < b ? a : b),
  vjp: (ct, a, b) => [where(lt(b, a), 0, ct), where(lt(b, a), ct, 0)],
  decompose: (a, b) => less(a, b),
});
/** x held within [min, max]; a bound that is null is not applied (torch.clamp). */
export function clamp(x: Node, min: Operand | null = null, max: Operand | null = null): Node {
  const low = min === null ? x : clampMin(x, min);
  return max === null ? low : clampMax(low, max);
}
/** start + weight * (end - start), from the nearer end (torch.lerp). */
export function lerp(start: Operand, end: Operand, weight: Operand): Node {
  const span = sub(end, start);
  if (typeof weight !== "object") {
    const w = Number(weight);
    return Math.abs(w) < 0.5 ? add(start, mul(span, w)) : sub(end, mul(span, 1 - w));
  }
  return where(lt(abs(weight), 0.5), add(start, mul(span, weight)), sub(end, mul(span, sub(1, weight))));
}
/** x + value * a * b (torch.addcmul). */
export const addcmul = (x: Node, a: Operand, b: Operand, { value = 1 }: { value?: number } = {}): Node =>
  add(x, value === 1 ? mul(a, b) : mul(mul(a, b), value));
/** x + value * a / b (torch.addcdiv). */
export const addcdiv = (x: Node, a: Operand, b: Operand, { value = 1 }: { value?: number } = {}): Node =>
  add(x, value === 1 ? div(a, b) : mul(div(a, b), value));
