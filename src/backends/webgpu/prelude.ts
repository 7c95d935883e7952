/** The WGSL functions that generated kernels call; a module gets those that its kernel names. */
import type { Parts } from "../../kernel/parts.js";
import { cosTail, erfLarge, erfSmall, exp2Tail, expTail, logTail, sinTail, tanhTail } from "../../kernel/polynomials.js";
import { wideParts } from "./wide.js";

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
for (const f of ["max", "min"])
  part(`${f}_`, `fn ${f}_(a: f32, b: f32) -> f32 { return select(select(${f}(a, b), b, nan_(b)), a, nan_(a)); }`);
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

// Transcendental functions: those of WGSL may be off by much, these are within a few ulp.
const chain = (x: string, coefficients: readonly number[]): string =>
  coefficients.toReversed().reduce((p, c) => (p ? `fma(${p}, ${x}, ${c}f)` : `${c}f`), "");
// x * 2^n for |n| < 254, in two steps so that subnormal results round once more at most.
part(
  "scale_",
  "fn scale_(x: f32, n: i32) -> f32 { let h = n >> 1u; let g = n - h; return x * bitcast<f32>(u32(h + 127) << 23u) * bitcast<f32>(u32(g + 127) << 23u); }",
);
// Beyond 87 results may be infinite or subnormal, and the argument may be NaN.
part(
  "exp_far",
  `fn exp_far(x: f32) -> f32 { if (nan_(x)) { return x; } if (x > 88.8f) { return infinity(); } if (x < -104.0f) { return 0.0f; } let n = round(x * 1.44269504f);
  let r = fma(n, 2.12194440e-4f, fma(n, -0.693359375f, x)); return scale_(fma(${chain("r", expTail)}, r * r, r) + 1.0f, i32(n)); }`,
);
part(
  "exp_",
  `fn exp_(x: f32) -> f32 { if ((bitcast<u32>(x) & 0x7fffffffu) > 0x42ae0000u) { return exp_far(x); } let n = round(x * 1.44269504f);
  let r = fma(n, 2.12194440e-4f, fma(n, -0.693359375f, x)); return (fma(${chain("r", expTail)}, r * r, r) + 1.0f) * bitcast<f32>((i32(n) << 23u) + 0x3f800000); }`,
);
part(
  "exp2_",
  `fn exp2_(x: f32) -> f32 { if (nan_(x)) { return x; } if (x >= 128.0f) { return infinity(); } let a = max(x, -150.0f); let n = round(a); let r = a - n;
  return scale_(fma(${chain("r", exp2Tail)}, r, 1.0f), i32(n)); }`,
);
// x = 2^k (1 + f) with 1 + f in [0.707, 1.414); s = f / (2 + f).
for (const [name, result] of [
  ["log_", "fma(e, 0.693359375f, f - (h - fma(e, -2.12194440e-4f, t)))"],
  ["log2_", "fma(high, 1.4428710938f, e) + ((low + high) * -1.7605285393e-4f + low * 1.4428710938f)"],
] as const)
  part(
    name,
    `fn ${name}(a: f32) -> f32 { let bits = bitcast<u32>(a); if ((bits & 0x7fffffffu) == 0u) { return neg_(infinity()); } if (nan_(a)) { return a; }
  if (bits >= 0x80000000u) { return not_a_number(); } if (bits == 0x7f800000u) { return a; }
  let tiny = bits < 0x00800000u; let u = bitcast<i32>(select(bits, bitcast<u32>(f32(bits)) - (24u << 23u), tiny)) - 0x3f3504f3; let e = f32((u >> 23u) - select(0, 125, tiny));
  let f = bitcast<f32>((u & 0x7fffff) + 0x3f3504f3) - 1.0f; let s = f / (f + 2.0f); let z = s * s; let h = f * f * 0.5f; let t = s * fma(z, ${chain("z", logTail)}, h);
  ${name === "log2_" ? "let d = f - h; let high = bitcast<f32>(bitcast<u32>(d) & 0xfffff000u); let low = (f - high) - h + t;" : ""} return ${result}; }`,
  );
// 2/pi in words. An angle is that many quarter turns: the nearest whole number of them is taken away in 96 bits (Payne and Hanek, 1983).
part(
  "two_over_pi",
  "const two_over_pi = array<u32, 8>(0u, 0xa2f9836eu, 0x4e441529u, 0xfc2757d1u, 0xf534ddc0u, 0xdb629599u, 0x3c439041u, 0xfe5163abu);",
);
part("Turned", "struct Turned { angle: f32, quarter: u32 }");
part(
  "turned_",
  `fn turned_(x: f32) -> Turned { let u = bitcast<u32>(x) & 0x7fffffffu; if (u < 0x3f490fdbu) { return Turned(bitcast<f32>(u), 0u); }
  let m = (u & 0x7fffffu) | 0x800000u; let at = (u >> 23u) - 120u; let k = at >> 5u; let s = at & 31u; let t = (32u - s) & 31u; let more = select(0xffffffffu, 0u, s == 0u);
  let w0 = (two_over_pi[k] << s) | ((two_over_pi[k + 1u] >> t) & more); let w1 = (two_over_pi[k + 1u] << s) | ((two_over_pi[k + 2u] >> t) & more);
  let w2 = (two_over_pi[k + 2u] << s) | ((two_over_pi[k + 3u] >> t) & more);
  let low = mulhi_u32(m, w2); let mid = m * w1 + low; let high = m * w0 + mulhi_u32(m, w1) + select(0u, 1u, mid < low);
  var a = (high << 2u) | (mid >> 30u); var b = mid << 2u; let up = a >= 0x80000000u;
  if (up) { a = ~a; b = ~b; }
  let lead = countLeadingZeros(a); let v = select((a << lead) | ((b >> 1u) >> (31u - lead)), b, lead == 32u);
  let r = scale_(f32(v), -32 - i32(lead)) * 1.57079633f; return Turned(select(r, -r, up), ((high >> 30u) + select(0u, 1u, up)) & 3u); }`,
);
part(
  "wave_",
  `fn wave_(r: f32, quarter: u32) -> f32 { let z = r * r; let s = fma(r * z, ${chain("z", sinTail)}, r); let c = fma(z * z, ${chain("z", cosTail)}, fma(z, -0.5f, 1.0f));
  let v = select(s, c, (quarter & 1u) != 0u); return select(v, -v, (quarter & 2u) != 0u); }`,
);
const unbounded = "if ((bitcast<u32>(x) & 0x7f800000u) == 0x7f800000u) { return not_a_number(); }";
part(
  "sin_",
  `fn sin_(x: f32) -> f32 { ${unbounded} let t = turned_(x); let v = wave_(t.angle, t.quarter); return select(v, neg_(v), bitcast<u32>(x) >= 0x80000000u); }`,
);
part("cos_", `fn cos_(x: f32) -> f32 { ${unbounded} let t = turned_(x); return wave_(t.angle, t.quarter + 1u); }`);
part("tan_", "fn tan_(x: f32) -> f32 { return sin_(x) / cos_(x); }");
part(
  "tanh_",
  `fn tanh_(x: f32) -> f32 { if (nan_(x)) { return x; } let m = min(abs(x), 9.1f); if (m < 0.625f) { let z = x * x; return fma(x * z, ${chain("z", tanhTail)}, x); }
  let big = 1.0f - 2.0f / (exp_(m + m) + 1.0f); return select(big, -big, x < 0.0f); }`,
);
// Inverse functions as in Cephes (Moshier, single precision).
part(
  "atan_",
  `fn atan_(x: f32) -> f32 { if (nan_(x)) { return x; } let a = abs(x); let steep = a > 2.41421356f; let some = a > 0.414213562f;
  let t = select(select(a, (a - 1.0f) / (a + 1.0f), some), -1.0f / a, steep); let base = select(select(0.0f, 0.785398163f, some), 1.57079633f, steep); let z = t * t;
  let r = base + fma(${chain("z", [-0.333329491, 0.199777106, -0.138776856, 0.0805374449])} * z, t, t); return select(r, neg_(r), bitcast<u32>(x) >= 0x80000000u); }`,
);
part(
  "atan2_",
  `fn atan2_(y: f32, x: f32) -> f32 { if (nan_(y) || nan_(x)) { return not_a_number(); } let a = abs(y); let b = abs(x); let left = bitcast<u32>(x) >= 0x80000000u;
  let steep = a > b; let q = select(select(a / b, 1.0f, a == b), b / a, steep); var r = select(atan_(q), 1.57079633f - atan_(q), steep); if (a == 0.0f && b == 0.0f) { r = 0.0f; }
  r = select(r, 3.14159265f - r, left); return select(r, neg_(r), bitcast<u32>(y) >= 0x80000000u); }`,
);
// asin(x) for 0 <= x <= 1/2.
part(
  "asin_small",
  `fn asin_small(x: f32) -> f32 { let z = x * x; return fma(${chain("z", [0.166666752, 0.0749530027, 0.045470026, 0.024181311, 0.042163199])} * z, x, x); }`,
);
part(
  "asin_",
  "fn asin_(x: f32) -> f32 { let a = abs(x); if (nan_(x) || a > 1.0f) { return not_a_number(); } var r = asin_small(min(a, 0.5f)); if (a > 0.5f) { r = 1.57079633f - 2.0f * asin_small(sqrt(0.5f * (1.0f - a))); } return select(r, neg_(r), bitcast<u32>(x) >= 0x80000000u); }",
);
part(
  "acos_",
  "fn acos_(x: f32) -> f32 { let a = abs(x); if (nan_(x) || a > 1.0f) { return not_a_number(); } if (a <= 0.5f) { let s = asin_small(a); return 1.57079633f - select(s, -s, x < 0.0f); } let t = 2.0f * asin_small(sqrt(0.5f * (1.0f - a))); return select(t, 3.14159265f - t, x < 0.0f); }",
);
part(
  "pow_f32",
  "fn pow_f32(a: f32, b: f32) -> f32 { if (a == 1.0f || b == 0.0f) { return 1.0f; } if (a >= 0.0f || nan_(a)) { return pow(a, b); } if (b != floor(b)) { return not_a_number(); } let r = pow(-a, b); return select(r, -r, abs(b) < 16777216.0f && (i32(b) & 1) != 0); }",
);
part("rem_f32", "fn rem_f32(a: f32, b: f32) -> f32 { let r = a - b * trunc(a / b); return select(r, a, abs(a) < abs(b)); }");
part(
  "expm1_",
  "fn expm1_(x: f32) -> f32 { let u = exp_(x); if (u == 1.0f) { return x; } let d = u - 1.0f; if (d == -1.0f || x > 80.0f) { return d; } return d * x / log_(u); }",
);
part(
  "log1p_",
  "fn log1p_(x: f32) -> f32 { let u = 1.0f + x; if (u == 1.0f) { return x; } if (x > 1e10f) { return log_(x); } return log_(u) * x / (u - 1.0f); }",
);
part(
  "asinh_",
  "fn asinh_(x: f32) -> f32 { if (nan_(x)) { return x; } let a = abs(x); var r: f32; if (a > 1e9f) { r = log_(a) + 0.693147181f; } else { let q = a * a; r = log1p_(a + q / (1.0f + sqrt(q + 1.0f))); } return select(r, neg_(r), bitcast<u32>(x) >= 0x80000000u); }",
);
part(
  "acosh_",
  "fn acosh_(x: f32) -> f32 { if (nan_(x) || x < 1.0f) { return not_a_number(); } if (x > 1e9f) { return log_(x) + 0.693147181f; } let t = x - 1.0f; return log1p_(t + sqrt(2.0f * t + t * t)); }",
);
part(
  "atanh_",
  "fn atanh_(x: f32) -> f32 { let a = abs(x); if (nan_(x) || a > 1.0f) { return not_a_number(); } if (a == 1.0f) { return select(infinity(), neg_(infinity()), x < 0.0f); } let r = 0.5f * log1p_(2.0f * a / (1.0f - a)); return select(r, neg_(r), bitcast<u32>(x) >= 0x80000000u); }",
);
part(
  "sinh_",
  "fn sinh_(x: f32) -> f32 { if (nan_(x)) { return x; } let a = abs(x); var r: f32; if (a < 1.0f) { let e = expm1_(a); r = 0.5f * (e + e / (e + 1.0f)); } else { let h = exp_(0.5f * a); r = 0.5f * h * h - 0.5f / h / h; } return select(r, neg_(r), bitcast<u32>(x) >= 0x80000000u); }",
);
part("cosh_", "fn cosh_(x: f32) -> f32 { let h = exp_(0.5f * abs(x)); return 0.5f * h * h + 0.5f / h / h; }");
part(
  "erf_",
  `fn erf_(x: f32) -> f32 { if (nan_(x)) { return x; } let m = min(abs(x), 4.0f); let z = m * m; if (m < 0.95f) { return fma(x, ${chain("z", erfSmall)}, x); }
  let big = 1.0f - exp_(${chain("m", erfLarge)}); return select(big, -big, x < 0.0f); }`,
);
part(
  "erfc_",
  `fn erfc_(x: f32) -> f32 { if (nan_(x)) { return x; } if (abs(x) < 0.5f) { return 1.0f - erf_(x); } let z = abs(x); let t = 1.0f / (1.0f + 0.5f * z);
  let p = -1.26551223f + t * (1.00002368f + t * (0.37409196f + t * (0.09678418f + t * (-0.18628806f + t * (0.27886807f + t * (-1.13520398f + t * (1.48851587f + t * (-0.82215223f + t * 0.17087277f))))))));
  let r = t * exp_(-z * z + p); return select(r, 2.0f - r, x < 0.0f); }`,
);
part(
  "lgamma_",
  `fn lgamma_positive(x: f32) -> f32 { var z = x; var shift = 1.0f; loop { if (z >= 7.0f) { break; } shift = shift * z; z = z + 1.0f; }
  let w = 1.0f / (z * z); let s = (0.083333333f + w * (-0.0027777778f + w * 0.00079365079f)) / z; return (z - 0.5f) * log_(z) - z + 0.91893853f + s - log_(shift); }
fn lgamma_(x: f32) -> f32 { if (nan_(x)) { return x; } if (x <= 0.0f && x == floor(x)) { return infinity(); } if (x > 0.0f) { return lgamma_positive(x); }
  let f = x - floor(x); return log_(3.14159265f / abs(sin_(3.14159265f * f) * x)) - lgamma_positive(-x); }`,
);

/** Every function, by name. */
export const parts: Parts = new Map([...list, ...wideParts]);
/**
 * The same where f16 is WGSL's own: what is stored is converted by the device (`halves.ts` asks it how). Values that stay in registers are
 * still rounded in bits, since drivers drop a conversion to f16 and back.
 */
export const ownHalves: Parts = new Map([...parts, ["half_of", "fn half_of(x: f32) -> f16 { return f16(x); }"]]);
