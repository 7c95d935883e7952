/** 64-bit integers, which WGSL does not have: two words each, the low one first. */
import { computeDType, type DType, isFloat } from "../../core/dtype.js";
import { UnsupportedError } from "../../core/errors.js";
import type { Text } from "../../kernel/dialect.js";
import type { Parts } from "../../kernel/parts.js";
import type { ScalarOp } from "../../ops/scalar.js";

/** The WGSL type of a 64-bit integer. */
export const wideType = "vec2<u32>";

export function wideLiteral(value: number | bigint): string {
  const bits = BigInt.asUintN(64, BigInt(value));
  return `${wideType}(${bits & 0xffffffffn}u, ${bits >> 32n}u)`;
}

/** What two 64-bit integers of one dtype give. */
export function wideOp(name: ScalarOp, dtype: DType, a: string, b: string | undefined, c: string | undefined): string {
  const signed = dtype === "i64";
  switch (name) {
    case "add":
    case "sub":
    case "mul":
      return `${name}_wide(${a}, ${b})`;
    case "fma":
      return `add_wide(mul_wide(${a}, ${b}), ${c})`;
    case "and":
      return `(${a} & ${b})`;
    case "or":
      return `(${a} | ${b})`;
    case "xor":
      return `(${a} ^ ${b})`;
    case "not":
      return `(~${a})`;
    case "neg":
      return `neg_wide(${a})`;
    case "abs":
      return signed ? `abs_wide(${a})` : a;
    case "max":
    case "min":
    case "div":
    case "rem":
    case "pow":
    case "shr":
      return `${name}_${dtype}(${a}, ${b})`;
    case "shl":
      return `shl_wide(${a}, ${b})`;
    case "floor":
    case "ceil":
    case "trunc":
    case "round":
      return a;
    default:
      throw new UnsupportedError(`WGSL has no ${name} of ${dtype}; cast to a dtype that it is defined for`);
  }
}

export function wideCompare(name: "lt" | "le" | "eq" | "ne", a: string, b: string, dtype: DType): string {
  switch (name) {
    case "eq":
      return `all(${a} == ${b})`;
    case "ne":
      return `any(${a} != ${b})`;
    case "lt":
      return `lt_${dtype}(${a}, ${b})`;
    case "le":
      return `(!lt_${dtype}(${b}, ${a}))`;
    default:
      return name satisfies never;
  }
}

/** A value of at most 32 bits as a 64-bit integer. `x.dtype` is what it computes in. */
export function widen({ text, dtype }: Text): string {
  if (isFloat(dtype)) return `wide_of_f32(${text})`;
  if (dtype === "bool") return `${wideType}(u32(${text}), 0u)`;
  return dtype[0] === "u" ? `${wideType}(${text}, 0u)` : `wide_of_i32(${text})`;
}
/** A 64-bit integer as f32, as a word (`i32`, `u32`), or as whether it is not 0. */
export function narrow(a: string, from: DType, to: DType): string {
  if (to === "bool") return `any(${a} != ${wideType}(0u, 0u))`;
  if (isFloat(computeDType(to))) return `f32_of_${from}(${a})`;
  return to[0] === "u" ? `(${a}).x` : `bitcast<i32>((${a}).x)`;
}
/** An integer in [min, max] as a position. */
export const widePosition = (a: string, from: DType): string => `position_of_${from}(${a})`;

const w = wideType;
const list: [string, string][] = [
  ["wide_of_i32", `fn wide_of_i32(x: i32) -> ${w} { return ${w}(bitcast<u32>(x), bitcast<u32>(x >> 31u)); }`],
  ["add_wide", `fn add_wide(a: ${w}, b: ${w}) -> ${w} { let low = a.x + b.x; return ${w}(low, a.y + b.y + select(0u, 1u, low < a.x)); }`],
  ["sub_wide", `fn sub_wide(a: ${w}, b: ${w}) -> ${w} { return ${w}(a.x - b.x, a.y - b.y - select(0u, 1u, a.x < b.x)); }`],
  ["neg_wide", `fn neg_wide(a: ${w}) -> ${w} { return sub_wide(${w}(0u, 0u), a); }`],
  ["abs_wide", `fn abs_wide(a: ${w}) -> ${w} { return select(a, neg_wide(a), a.y >= 0x80000000u); }`],
  ["mul_wide", `fn mul_wide(a: ${w}, b: ${w}) -> ${w} { return ${w}(a.x * b.x, mulhi_u32(a.x, b.x) + a.x * b.y + a.y * b.x); }`],
  ["lt_u64", `fn lt_u64(a: ${w}, b: ${w}) -> bool { return a.y < b.y || (a.y == b.y && a.x < b.x); }`],
  ["lt_i64", `fn lt_i64(a: ${w}, b: ${w}) -> bool { return bitcast<i32>(a.y) < bitcast<i32>(b.y) || (a.y == b.y && a.x < b.x); }`],
  ...["u64", "i64"].flatMap((t): [string, string][] => [
    [`max_${t}`, `fn max_${t}(a: ${w}, b: ${w}) -> ${w} { return select(a, b, lt_${t}(a, b)); }`],
    [`min_${t}`, `fn min_${t}(a: ${w}, b: ${w}) -> ${w} { return select(a, b, lt_${t}(b, a)); }`],
  ]),
  // By less than 64.
  [
    "left_wide",
    `fn left_wide(a: ${w}, n: u32) -> ${w} { if (n >= 32u) { return ${w}(0u, a.x << (n & 31u)); } return ${w}(a.x << n, (a.y << n) | ((a.x >> 1u) >> (31u - n))); }`,
  ],
  [
    "right_wide",
    `fn right_wide(a: ${w}, n: u32) -> ${w} { if (n >= 32u) { return ${w}(a.y >> (n & 31u), 0u); } return ${w}((a.x >> n) | ((a.y << 1u) << (31u - n)), a.y >> n); }`,
  ],
  // Far shifts move everything out.
  ["shl_wide", `fn shl_wide(a: ${w}, b: ${w}) -> ${w} { if (b.y != 0u || b.x >= 64u) { return ${w}(0u, 0u); } return left_wide(a, b.x); }`],
  ["shr_u64", `fn shr_u64(a: ${w}, b: ${w}) -> ${w} { if (b.y != 0u || b.x >= 64u) { return ${w}(0u, 0u); } return right_wide(a, b.x); }`],
  [
    "shr_i64",
    `fn shr_i64(a: ${w}, b: ${w}) -> ${w} { let n = select(63u, b.x, b.y == 0u && b.x < 64u); if (a.y < 0x80000000u) { return right_wide(a, n); } return ~right_wide(~a, n); }`,
  ],
  ["Divided", `struct Divided { quotient: ${w}, rest: ${w} }`],
  // Bit by bit where a 32-bit division does not do; division by zero gives the dividend and leaves 0.
  [
    "divide_wide",
    `fn divide_wide(a: ${w}, b: ${w}) -> Divided { if (all(b == ${w}(0u, 0u))) { return Divided(a, b); }
  if (a.y == 0u && b.y == 0u) { return Divided(${w}(a.x / b.x, 0u), ${w}(a.x % b.x, 0u)); }
  var q = ${w}(0u, 0u); var r = ${w}(0u, 0u);
  for (var i = 63; i >= 0; i--) { let top = r.y >= 0x80000000u; r = left_wide(r, 1u) | ${w}(right_wide(a, u32(i)).x & 1u, 0u); q = left_wide(q, 1u);
    if (top || !lt_u64(r, b)) { r = sub_wide(r, b); q.x |= 1u; } }
  return Divided(q, r); }`,
  ],
  ["div_u64", `fn div_u64(a: ${w}, b: ${w}) -> ${w} { return divide_wide(a, b).quotient; }`],
  ["rem_u64", `fn rem_u64(a: ${w}, b: ${w}) -> ${w} { return divide_wide(a, b).rest; }`],
  [
    "div_i64",
    `fn div_i64(a: ${w}, b: ${w}) -> ${w} { let q = divide_wide(abs_wide(a), abs_wide(b)).quotient; return select(q, neg_wide(q), ((a.y ^ b.y) >= 0x80000000u)); }`,
  ],
  [
    "rem_i64",
    `fn rem_i64(a: ${w}, b: ${w}) -> ${w} { let r = divide_wide(abs_wide(a), abs_wide(b)).rest; return select(r, neg_wide(r), a.y >= 0x80000000u); }`,
  ],
  [
    "pow_u64",
    `fn pow_u64(a: ${w}, b: ${w}) -> ${w} { var r = ${w}(1u, 0u); var p = a; var e = b; loop { if (all(e == ${w}(0u, 0u))) { break; } if ((e.x & 1u) != 0u) { r = mul_wide(r, p); } p = mul_wide(p, p); e = right_wide(e, 1u); } return r; }`,
  ],
  [
    "pow_i64",
    `fn pow_i64(a: ${w}, b: ${w}) -> ${w} { if (b.y < 0x80000000u) { return pow_u64(a, b); } let one = ${w}(1u, 0u); if (all(a == one)) { return one; }
  if (all(a == ${w}(0xffffffffu, 0xffffffffu))) { return select(one, a, (b.x & 1u) != 0u); } return ${w}(0u, 0u); }`,
  ],
  // Modulo 2^64 of the truncated value; NaN and infinities give 0.
  [
    "wide_of_f32",
    `fn wide_of_f32(x: f32) -> ${w} { let b = bitcast<u32>(x); let e = i32((b >> 23u) & 255u) - 150; let m = ${w}((b & 0x7fffffu) | 0x800000u, 0u);
  if (e < -23 || e > 63) { return ${w}(0u, 0u); } var v = right_wide(m, u32(max(-e, 0))); if (e > 0) { v = left_wide(m, u32(e)); } return select(v, neg_wide(v), b >= 0x80000000u); }`,
  ],
  // The 32 highest bits, the last of them standing for all below, round to 24: half to even.
  [
    "f32_of_u64",
    `fn f32_of_u64(a: ${w}) -> f32 { let lead = select(countLeadingZeros(a.y), 32u + countLeadingZeros(a.x), a.y == 0u); if (lead == 64u) { return 0.0f; }
  let v = left_wide(a, lead); let top = v.y | select(0u, 1u, v.x != 0u); let rest = top & 255u; let m = top >> 8u;
  return f32(m + select(0u, 1u, rest > 128u || (rest == 128u && (m & 1u) != 0u))) * bitcast<f32>((167u - lead) << 23u); }`,
  ],
  ["f32_of_i64", `fn f32_of_i64(a: ${w}) -> f32 { let v = f32_of_u64(abs_wide(a)); return select(v, -v, a.y >= 0x80000000u); }`],
  // The nearest position: what does not fit becomes the least or the greatest.
  ["position_of_u64", `fn position_of_u64(a: ${w}) -> i32 { return select(0x7fffffff, i32(a.x), a.y == 0u && a.x < 0x80000000u); }`],
  [
    "position_of_i64",
    `fn position_of_i64(a: ${w}) -> i32 { let x = bitcast<i32>(a.x); return select(select(0x7fffffff, i32(-0x7fffffff - 1), a.y >= 0x80000000u), x, bitcast<i32>(a.y) == (x >> 31u)); }`,
  ],
];
/** The functions of 64-bit integers, by name. */
export const wideParts: Parts = new Map(list);
