/**
 * Transcendental functions. f32: polynomials on all lanes at once, within 2 ulp, fitted for these intervals. What has none, and
 * all of f64, calls the C library lane by lane.
 */
import { cosTail, erfLarge, erfSmall, exp2Tail, expTail, logTail, sinTail, tanhTail } from "../../kernel/polynomials.js";
import type { Helper } from "./prelude.js";
import { perLane } from "./preludeScalar.js";

const chain = (x: string, coefficients: readonly number[]): string =>
  coefficients
    .toReversed()
    .reduce<string>((p, c) => (p ? `fma_f32x$(${p}, ${x}, splat_f32x$(${literal(c)}))` : `splat_f32x$(${literal(c)})`), "");
const literal = (c: number): string => `${Number.isInteger(c) ? c.toFixed(1) : c}f`;
const S = (c: string): string => `splat_f32x$(${c})`;

/** Where GCC has its names for the instructions that scale by powers of two. */
const avx512 = "defined(__AVX512F__) && defined(__AVX512VL__) && !defined(__clang__)";

/** Every helper of this file by name. */
export function math(): Record<string, Helper> {
  const out: Record<string, Helper> = {};
  const int = (n: number, x: string): string => (n === 1 ? `(i32x$)(${x})` : `__builtin_convertvector(${x}, i32x$)`);
  const float = (n: number, x: string): string => (n === 1 ? `(f32x$)(${x})` : `__builtin_convertvector(${x}, f32x$)`);
  // x * 2^n for |n| < 254, in two steps so that subnormal results round once more at most.
  out.scale_f32 = () =>
    "f32x$ scale_f32x$(f32x$ x, i32x$ n) { i32x$ h = n >> 1, g = n - h; return x * bits_i32_f32x$((h + 127) << 23) * bits_i32_f32x$((g + 127) << 23); }";
  // A value beyond the range where results change; a NaN passes both comparisons. The instructions give their second operand for a NaN.
  out.clip_f32 = (n) => {
    const bits = "a = sel_f32x$(lt_f32x$(a, low), low, a); return sel_f32x$(lt_f32x$(high, a), high, a);";
    const [minimum, maximum] = ["min", "max"].map(
      (op) => (x: string, y: string) =>
        n === 16 ? `__builtin_ia32_${op}ps512_mask(${x}, ${y}, ${y}, -1, 4)` : `__builtin_ia32_${op}ps${n === 8 ? "256" : ""}(${x}, ${y})`,
    ) as [(x: string, y: string) => string, (x: string, y: string) => string];
    const body = [4, 8, 16].includes(n)
      ? `\n#if ${avx512}\nreturn ${minimum("high", maximum("low", "a"))};\n#else\n${bits}\n#endif\n`
      : ` ${bits} `;
    return `f32x$ clip_f32x$(f32x$ a, f32x$ low, f32x$ high) {${body}}`;
  };
  // x * 2^n for whole n: one instruction, which rounds once and takes any n; otherwise integers make the powers, and a NaN, which
  // converts to no integer, is carried on by x.
  out.scalef_f32 = (n) => {
    const whole = int(n, `sel_f32x$(isnan_f32x$(n), ${S("0.0f")}, n)`);
    const head = "f32x$ scalef_f32x$(f32x$ x, f32x$ n)";
    const one =
      n === 16
        ? "return __builtin_ia32_scalefps512_mask(x, n, x, -1, 4);"
        : n === 8 || n === 4
          ? `return __builtin_ia32_scalefps${32 * n}_mask(x, n, x, -1);`
          : n === 1
            ? "f32x4 v = {x}, w = {n}; return __builtin_ia32_scalefps128_mask(v, w, v, -1)[0];"
            : "f32x$ r; for (int i = 0; i < $; i++) r[i] = scalef_f32x1(x[i], n[i]); return r;";
    return `${head} {\n#if ${avx512}\n${one}\n#else\nreturn scale_f32x$(x, ${whole});\n#endif\n}`;
  };
  out.exp_f32 = () =>
    `f32x$ exp_f32x$(f32x$ a) { a = clip_f32x$(a, ${S("-104.0f")}, ${S("89.0f")}); f32x$ n = fma_f32x$(a, ${S("1.44269504f")}, ${S("12582912.0f")}) - ${S("12582912.0f")}; ` +
    `f32x$ r = fma_f32x$(n, ${S("-0.693359375f")}, a); r = fma_f32x$(n, ${S("2.12194440e-4f")}, r); ` +
    `f32x$ p = ${chain("r", expTail)}; return scalef_f32x$(fma_f32x$(p, r * r, r) + ${S("1.0f")}, n); }`;
  out.exp2_f32 = () =>
    `f32x$ exp2_f32x$(f32x$ a) { a = clip_f32x$(a, ${S("-150.0f")}, ${S("128.0f")}); f32x$ n = (a + ${S("12582912.0f")}) - ${S("12582912.0f")}, r = a - n; ` +
    `f32x$ p = ${chain("r", exp2Tail)}; return scalef_f32x$(fma_f32x$(p, r, ${S("1.0f")}), n); }`;
  // x = 2^k (1 + f) with 1 + f in [0.707, 1.414); s = f / (2 + f).
  const log = (n: number, name: string, result: string): string =>
    `f32x$ ${name}x$(f32x$ a) { boolx$ tiny = lt_f32x$(a, ${S("0x1p-126f")}); f32x$ x = sel_f32x$(tiny, a * ${S("0x1p25f")}, a); ` +
    `i32x$ u = bits_f32_i32x$(x) - 0x3f3504f3, k = (u >> 23) - ${n === 1 ? "(tiny ? 25 : 0)" : "(tiny & 25)"}; ` +
    `f32x$ f = bits_i32_f32x$((u & 0x7fffff) + 0x3f3504f3) - ${S("1.0f")}, s = f / (f + ${S("2.0f")}), z = s * s, e = ${float(n, "k")}; ` +
    `f32x$ h = f * f * ${S("0.5f")}, t = s * fma_f32x$(z, ${chain("z", logTail)}, h); ` +
    `f32x$ r = ${result}; ` +
    `r = sel_f32x$(lt_f32x$(a, ${S("__builtin_inff()")}), r, a); r = sel_f32x$(eq_f32x$(a, ${S("0.0f")}), ${S("-__builtin_inff()")}, r); ` +
    `return sel_f32x$(lt_f32x$(a, ${S("0.0f")}), ${S('__builtin_nanf("")')}, r); }`;
  // log(1+f) = f - (h - s (h + R))
  out.log_f32 = (n) => log(n, "log_f32", `fma_f32x$(e, ${S("0.693359375f")}, f - (h - fma_f32x$(e, ${S("-2.12194440e-4f")}, t)))`);
  // The leading bits of f - h times log2(e) are exact; what is left is small.
  out.log2_f32 = (n) =>
    log(
      n,
      "log2_f32",
      `({ f32x$ d = f - h, hi = bits_u32_f32x$(bits_f32_u32x$(d) & 0xfffff000u), lo = (f - hi) - h + t; ` +
        `fma_f32x$(hi, ${S("1.4428710938f")}, e) + ((lo + hi) * ${S("-1.7605285393e-4f")} + lo * ${S("1.4428710938f")}); })`,
    );
  out.tanh_f32 = () =>
    `f32x$ tanh_f32x$(f32x$ a) { f32x$ m = clip_f32x$(abs_f32x$(a), ${S("0.0f")}, ${S("9.1f")}), z = a * a; ` +
    `f32x$ big = ${S("1.0f")} - ${S("2.0f")} / (exp_f32x$(m + m) + ${S("1.0f")}), small = fma_f32x$(a * z, ${chain("z", tanhTail)}, a); ` +
    `return sel_f32x$(lt_f32x$(m, ${S("0.625f")}), small, signof_f32x$(big, a)); }`;
  out.erf_f32 = () =>
    `f32x$ erf_f32x$(f32x$ a) { f32x$ m = clip_f32x$(abs_f32x$(a), ${S("0.0f")}, ${S("4.0f")}), z = m * m; ` +
    `f32x$ big = ${S("1.0f")} - exp_f32x$(${chain("m", erfLarge)}), small = fma_f32x$(a, ${chain("z", erfSmall)}, a); ` +
    `return sel_f32x$(lt_f32x$(m, ${S("0.95f")}), small, signof_f32x$(big, a)); }`;
  out.rsqrt_f32 = () => `f32x$ rsqrt_f32x$(f32x$ a) { return ${S("1.0f")} / sqrt_f32x$(a); }`;
  out.rsqrt_f64 = () => "f64x$ rsqrt_f64x$(f64x$ a) { return splat_f64x$(1.0) / sqrt_f64x$(a); }";
  // Reduction by pi/2 in three parts is exact enough up to 2^15; the rare larger argument goes to the C library.
  for (const [name, shift] of [
    ["sin", 0],
    ["cos", 1],
  ] as const)
    out[`${name}_f32`] = (n) =>
      `f32x$ ${name}_f32x$(f32x$ a) { f32x$ q = (a * ${S("0.636619772f")} + ${S("12582912.0f")}) - ${S("12582912.0f")}; ` +
      `boolx$ far = not_boolx$(lt_f32x$(abs_f32x$(a), ${S("32768.0f")})); q = sel_f32x$(far, ${S("0.0f")}, q); ` +
      `f32x$ r = fma_f32x$(q, ${S("-0x1.921fb6p+0f")}, a); r = fma_f32x$(q, ${S("0x1.777a5cp-25f")}, r); r = fma_f32x$(q, ${S("0x1.ee59dap-50f")}, r); ` +
      `i32x$ k = ${int(n, "q")} + ${shift}; f32x$ z = r * r, s = fma_f32x$(r * z, ${chain("z", sinTail)}, r), c = fma_f32x$(z * z, ${chain("z", cosTail)}, fma_f32x$(z, ${S("-0.5f")}, ${S("1.0f")})); ` +
      `${n === 1 ? "f32x$ v = k & 1 ? c : s; v = k & 2 ? -v : v;" : "f32x$ v = sel_f32x$((k & 1) != 0, c, s); v = sel_f32x$((k & 2) != 0, -v, v);"} ` +
      `${n === 1 ? `return far ? __builtin_${name}f(a) : v;` : `if (any_boolx$(far)) for (int i = 0; i < $; i++) if (far[i]) v[i] = __builtin_${name}f(a[i]); return v;`} }`;
  const names = [
    "exp",
    "exp2",
    "expm1",
    "log",
    "log2",
    "log1p",
    "sin",
    "cos",
    "tan",
    "asin",
    "acos",
    "atan",
    "sinh",
    "cosh",
    "tanh",
    "asinh",
    "acosh",
    "atanh",
    "erf",
    "erfc",
  ];
  for (const [t, f] of [
    ["f32", "f"],
    ["f64", ""],
  ] as const) {
    for (const x of names) out[`${x}_${t}`] ??= perLane(`${x}_${t}`, t, 1, ([a]) => `__builtin_${x}${f}(${a})`);
    out[`atan2_${t}`] = perLane(`atan2_${t}`, t, 2, ([a, b]) => `__builtin_atan2${f}(${a}, ${b})`);
    out[`pow_${t}`] = perLane(`pow_${t}`, t, 2, ([a, b]) => `__builtin_pow${f}(${a}, ${b})`);
    // The reentrant form: the plain one writes a global sign.
    out[`gammasign_${t}`] = () =>
      `extern ${t}x1 lgamma${f}_r(${t}x1, int*); static inline ${t}x1 gammasign_${t}x1(${t}x1 a) { int s; return lgamma${f}_r(a, &s); }`;
    out[`lgamma_${t}`] = perLane(`lgamma_${t}`, t, 1, ([a]) => `gammasign_${t}x1(${a})`);
  }
  return out;
}
