/** The WGSL functions that generated kernels call; a module gets those that its kernel names. */
import type { Parts } from "../../kernel/parts.js";

const list: [string, string][] = [];
const part = (name: string, text: string): void => {
  list.push([name, text]);
};
// The compiler may assume that NaN and infinities do not occur: they are made of bits that it does not know, and found by bits.
part("unknown_zero", "var<private> unknown_zero: u32 = 0u;");
part("infinity", "fn infinity() -> f32 { return bitcast<f32>(0x7f800000u | unknown_zero); }");
part("not_a_number", "fn not_a_number() -> f32 { return bitcast<f32>(0x7fc00000u | unknown_zero); }");
part("from_bits", "fn from_bits(x: u32) -> f32 { return bitcast<f32>(x | unknown_zero); }");
for (const t of ["f32", "i32", "u32"]) part(`keep_${t}`, `fn keep_${t}(x: ${t}) -> ${t} { return x; }`);
part("nan_", "fn nan_(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u; }");
// An integer in the order of the floats; both zeros are 0.
part("order_", "fn order_(x: f32) -> i32 { let b = bitcast<i32>(x); let m = b & 0x7fffffff; return select(m, -m, b < 0); }");
part("lt_", "fn lt_(a: f32, b: f32) -> bool { return !nan_(a) && !nan_(b) && order_(a) < order_(b); }");
part("le_", "fn le_(a: f32, b: f32) -> bool { return !nan_(a) && !nan_(b) && order_(a) <= order_(b); }");
part("eq_", "fn eq_(a: f32, b: f32) -> bool { return !nan_(a) && !nan_(b) && order_(a) == order_(b); }");
part("max_", "fn max_(a: f32, b: f32) -> f32 { return select(b, a, nan_(a) || (!nan_(b) && order_(a) > order_(b))); }");
part("min_", "fn min_(a: f32, b: f32) -> f32 { return select(b, a, nan_(a) || (!nan_(b) && order_(a) < order_(b))); }");
part("abs_", "fn abs_(x: f32) -> f32 { return bitcast<f32>(bitcast<u32>(x) & 0x7fffffffu); }");
part("neg_", "fn neg_(x: f32) -> f32 { return bitcast<f32>(bitcast<u32>(x) ^ 0x80000000u); }");

// Half floats in words.
part("widen_bf16", "fn widen_bf16(h: u32) -> f32 { return bitcast<f32>(h << 16u); }");
part(
  "narrow_bf16",
  "fn narrow_bf16(x: f32) -> u32 { let u = bitcast<u32>(x); return select((u + 0x7fffu + ((u >> 16u) & 1u)) >> 16u, (u >> 16u) | 0x40u, (u & 0x7fffffffu) > 0x7f800000u); }",
);
part(
  "widen_f16",
  `fn widen_f16(h: u32) -> f32 { let s = (h & 0x8000u) << 16u; let e = (h >> 10u) & 31u; let m = h & 1023u;
  if (e == 0u) { return bitcast<f32>(bitcast<u32>(f32(m) * 5.9604644775390625e-8f) | s); }
  return from_bits(s | (select(e + 112u, 255u, e == 31u) << 23u) | (m << 13u)); }`,
);
part(
  "narrow_f16",
  `fn narrow_f16(x: f32) -> u32 { let u = bitcast<u32>(x); let s = (u >> 16u) & 0x8000u; let m = u & 0x7fffffffu;
  if (m > 0x7f800000u) { return s | 0x7e00u | ((m >> 13u) & 0x1ffu); }
  if (m >= 0x477ff000u) { return s | 0x7c00u; }
  if (m >= 0x38800000u) { return s | ((m + 0xfffu + ((m >> 13u) & 1u) - 0x38000000u) >> 13u); }
  return s | (bitcast<u32>(bitcast<f32>(m) + 0.5f) - 0x3f000000u); }`,
);
for (const h of ["bf16", "f16"]) part(`round_${h}`, `fn round_${h}(x: f32) -> f32 { return widen_${h}(narrow_${h}(x)); }`);

// Positions.
part("floor_div", "fn floor_div(a: i32, b: i32) -> i32 { let q = a / b; return select(q, q - 1, q * b > a); }");
part("floor_mod", "fn floor_mod(a: i32, b: i32) -> i32 { let r = a % b; return select(r, r + b, r < 0); }");

// Integers: division by zero gives the dividend and leaves 0, far shifts move everything out.
for (const t of ["i32", "u32"]) {
  part(`div_${t}`, `fn div_${t}(a: ${t}, b: ${t}) -> ${t} { return select(a / select(b, ${t}(1), b == 0), a, b == 0); }`);
  part(`rem_${t}`, `fn rem_${t}(a: ${t}, b: ${t}) -> ${t} { return select(a % select(b, ${t}(1), b == 0), 0, b == 0); }`);
  part(
    `pow_${t}`,
    `fn pow_${t}(a: ${t}, b: ${t}) -> ${t} { ${t === "i32" ? "if (b < 0) { return select(select(0, select(1, -1, (b & 1) != 0), a == -1), 1, a == 1); } " : ""}var r = ${t}(1); var p = a; var e = u32(b); loop { if (e == 0u) { break; } if ((e & 1u) != 0u) { r = r * p; } p = p * p; e = e >> 1u; } return r; }`,
  );
}
part("shl_", "fn shl_(a: u32, b: i32, width: i32) -> u32 { return select(0u, a << (u32(b) & 31u), b >= 0 && b < width); }");
part("shr_i32", "fn shr_i32(a: i32, b: i32, width: i32) -> i32 { return a >> u32(select(width - 1, b, b >= 0 && b < width)); }");
part("shr_u32", "fn shr_u32(a: u32, b: i32, width: i32) -> u32 { return select(0u, a >> (u32(b) & 31u), b >= 0 && b < width); }");
part(
  "mulhi_u32",
  "fn mulhi_u32(a: u32, b: u32) -> u32 { let al = a & 0xffffu; let ah = a >> 16u; let bl = b & 0xffffu; let bh = b >> 16u; let m = ah * bl + ((al * bl) >> 16u); let n = al * bh + (m & 0xffffu); return ah * bh + (m >> 16u) + (n >> 16u); }",
);
// Modulo 2^32 of the truncated value; NaN and infinities give 0.
part(
  "to_int",
  "fn to_int(x: f32) -> i32 { let b = bitcast<u32>(x); let e = i32((b >> 23u) & 255u) - 150; let m = (b & 0x7fffffu) | 0x800000u; if (e < -23 || e > 31) { return 0; } let v = i32(select(m << u32(max(e, 0)), m >> u32(-min(e, 0)), e < 0)); return select(v, -v, (b >> 31u) != 0u); }",
);

// Functions that WGSL lacks, or defines on part of their range only.
part("tanh_", "fn tanh_(x: f32) -> f32 { if (nan_(x)) { return x; } return tanh(clamp(x, -15.0f, 15.0f)); }");
part(
  "pow_f32",
  "fn pow_f32(a: f32, b: f32) -> f32 { if (a == 1.0f || b == 0.0f) { return 1.0f; } if (a >= 0.0f || nan_(a)) { return pow(a, b); } if (b != floor(b)) { return not_a_number(); } let r = pow(-a, b); return select(r, -r, abs(b) < 16777216.0f && (i32(b) & 1) != 0); }",
);
part("rem_f32", "fn rem_f32(a: f32, b: f32) -> f32 { let r = a - b * trunc(a / b); return select(r, a, abs(a) < abs(b)); }");
part(
  "expm1_",
  "fn expm1_(x: f32) -> f32 { let u = exp(x); if (u == 1.0f) { return x; } let d = u - 1.0f; if (d == -1.0f || x > 80.0f) { return d; } return d * x / log(u); }",
);
part(
  "log1p_",
  "fn log1p_(x: f32) -> f32 { let u = 1.0f + x; if (u == 1.0f) { return x; } if (x > 1e10f) { return log(x); } return log(u) * x / (u - 1.0f); }",
);
part(
  "erf_",
  `fn erf_(x: f32) -> f32 { if (nan_(x)) { return x; } let m = min(abs(x), 4.0f); let z = m * m;
  if (m < 0.95f) { return fma(x, ((((((-9.68013228e-6f * z + 0.000112705427f) * z - 0.000848471129f) * z + 0.00522107491f) * z - 0.0268654451f) * z + 0.112837829f) * z - 0.376126379f) * z + 0.128379166f, x); }
  let p = ((((((-2.08286183e-5f * m + 0.000431393564f) * m - 0.0041562547f) * m + 0.0250806157f) * m - 0.108220384f) * m - 0.633400857f) * m - 1.12948835f) * m + 0.00016920513f;
  return sign(x) * (1.0f - exp(p)); }`,
);
part(
  "erfc_",
  `fn erfc_(x: f32) -> f32 { if (nan_(x)) { return x; } if (abs(x) < 0.5f) { return 1.0f - erf_(x); } let z = abs(x); let t = 1.0f / (1.0f + 0.5f * z);
  let p = -1.26551223f + t * (1.00002368f + t * (0.37409196f + t * (0.09678418f + t * (-0.18628806f + t * (0.27886807f + t * (-1.13520398f + t * (1.48851587f + t * (-0.82215223f + t * 0.17087277f))))))));
  let r = t * exp(-z * z + p); return select(r, 2.0f - r, x < 0.0f); }`,
);
part(
  "lgamma_",
  `fn lgamma_positive(x: f32) -> f32 { var z = x; var shift = 1.0f; loop { if (z >= 7.0f) { break; } shift = shift * z; z = z + 1.0f; }
  let w = 1.0f / (z * z); let s = (0.083333333f + w * (-0.0027777778f + w * 0.00079365079f)) / z; return (z - 0.5f) * log(z) - z + 0.91893853f + s - log(shift); }
fn lgamma_(x: f32) -> f32 { if (nan_(x)) { return x; } if (x <= 0.0f && x == floor(x)) { return infinity(); } if (x > 0.0f) { return lgamma_positive(x); }
  let f = x - floor(x); return log(3.14159265f / abs(sin(3.14159265f * f) * x)) - lgamma_positive(-x); }`,
);

/** Every function, by name. */
export const parts: Parts = new Map(list);
