/** Integer and float arithmetic, comparison, selection and conversion, for one lane or many. */
import type { Helper } from "./prelude.js";
import { resized } from "./preludeConvert.js";

const floats = ["f32", "f64"] as const;
const signed = ["i8", "i16", "i32", "i64"] as const;
const unsigned = ["u8", "u16", "u32", "u64"] as const;
const ints = [...signed, ...unsigned] as const;
const numbers = [...floats, ...ints] as const;
const bits = (t: string): number => Number(/\d+/.exec(t)![0]);
/** The signed integer of a type's width: what its comparisons yield in each lane. */
const maskOf = (t: string): string => (t === "bool" ? "i32" : `i${bits(t)}`);

/** One instruction for all lanes: the macro that says whether there is one, and a call of GCC's name for it. */
type Instruction = readonly [has: string, call: string];

/**
 * One call per lane of the scalar function; the compiler makes vector instructions of what has them. That takes it long: what
 * kernels are full of has the instruction's name.
 */
export const perLane =
  (
    name: string,
    type: string,
    args: number,
    call: (args: readonly string[]) => string,
    instruction: (lanes: number) => Instruction | undefined = () => undefined,
  ): Helper =>
  (n) => {
    const names = ["a", "b", "c"].slice(0, args);
    const head = `${type}x$ ${name}x$(${names.map((a) => `${type}x$ ${a}`).join(", ")})`;
    if (n === 1) return `${head} { return ${call(names)}; }`;
    const each = `${type}x$ r; for (int i = 0; i < $; i++) r[i] = ${call(names.map((a) => `${a}[i]`))}; return r;`;
    const whole = instruction(n);
    if (!whole) return `${head} { ${each} }`;
    return `${head} {\n#if defined(${whole[0]}) && !defined(__clang__)\nreturn ${whole[1]};\n#else\n${each}\n#endif\n}`;
  };
/** An instruction of x86-64 on whole vectors of floats, which `macro` says that there is for up to 32 bytes. */
const wholeVector =
  (name: string, macro: string, t: "f32" | "f64", args: readonly string[]) =>
  (n: number): Instruction | undefined => {
    const bytes = n * (bits(t) / 8);
    const word = `__builtin_ia32_${name}${t === "f32" ? "ps" : "pd"}`;
    if (bytes === 64) return ["__AVX512F__", `${word}512_mask(${[...args, ...(args.length === 1 ? args : []), "-1", "4"].join(", ")})`];
    if (bytes === 32) return [macro, `${word}256(${args.join(", ")})`];
    return bytes === 16 ? [macro, `${word}(${args.join(", ")})`] : undefined;
  };

/**
 * The larger or the smaller of two. The instruction gives its second operand, b, where either is NaN or both are equal; a NaN in a is put
 * back, which is the same to the bit as the comparisons of `plain`.
 */
function extreme(op: "max" | "min", t: "f32" | "f64", n: number, plain: string): string {
  const s = t === "f32" ? "ps" : "pd";
  const bytes = n * (bits(t) / 8);
  const text =
    bytes === 64
      ? `__builtin_ia32_mova${s}512_mask(a, __builtin_ia32_${op}${s}512_mask(a, b, b, -1, 4), __builtin_ia32_cmp${s}512_mask(a, a, 3, -1, 4))`
      : bytes === 32
        ? `__builtin_ia32_blendv${s}256(__builtin_ia32_${op}${s}256(a, b), a, __builtin_ia32_cmp${s}256(a, a, 3))`
        : undefined;
  const has = bytes === 64 ? "__AVX512F__" : "__AVX__";
  const body = text
    ? `\n#if defined(${has}) && !defined(__clang__)\nreturn ${text};\n#else\nreturn ${plain};\n#endif\n`
    : ` return ${plain}; `;
  return `${t}x$ ${op}_${t}x$(${t}x$ a, ${t}x$ b) {${body}}`;
}

/** Every helper of this file by name. */
export function arithmetic(): Record<string, Helper> {
  const out: Record<string, Helper> = {};
  const compare = (name: string, t: string, expression: string): void => {
    out[name] = (n) => {
      const head = `boolx$ ${name}x$(${t}x$ a, ${t}x$ b)`;
      return n === 1 || bits(t) === 32
        ? `${head} { return ${expression}; }`
        : `${head} { return ${resized(`(${maskOf(t)}x$)(${expression})`, maskOf(t), "i32")}; }`;
    };
  };
  for (const t of numbers) {
    const m = maskOf(t);
    out[`splat_${t}`] = (n) => `${t}x$ splat_${t}x$(${t}x1 a) { return ${n === 1 ? "a" : `(${t}x$){${Array(n).fill("a").join(", ")}}`}; }`;
    out[`sel_${t}`] = (n) => {
      const head = `${t}x$ sel_${t}x$(boolx$ c, ${t}x$ a, ${t}x$ b)`;
      if (n === 1) return `${head} { return c ? a : b; }`;
      const mask = bits(t) === 32 ? "c" : resized("c", "i32", m);
      return `${head} { ${m}x$ m = ${mask}; return (${t}x$)(((${m}x$)a & m) | ((${m}x$)b & ~m)); }`;
    };
    for (const [name, op] of [
      ["lt", "<"],
      ["le", "<="],
      ["eq", "=="],
      ["ne", "!="],
    ] as const)
      compare(`${name}_${t}`, t, `a ${op} b`);
    out[`insert_${t}`] = (n) =>
      n === 1
        ? `${t}x$ insert_${t}x$(${t}x$ v, int l, ${t}x1 x) { return x; }`
        : `${t}x$ insert_${t}x$(${t}x$ v, int l, ${t}x1 x) { v[l] = x; return v; }`;
  }
  out.splat_bool = (n) =>
    n === 1 ? "boolx$ splat_boolx$(boolx1 a) { return a; }" : "boolx$ splat_boolx$(boolx1 a) { return splat_i32x$(-(a != 0)); }";
  out.sel_bool = (n) =>
    n === 1
      ? "boolx$ sel_boolx$(boolx$ c, boolx$ a, boolx$ b) { return c ? a : b; }"
      : "boolx$ sel_boolx$(boolx$ c, boolx$ a, boolx$ b) { return (a & c) | (b & ~c); }";
  out.not_bool = (n) => `boolx$ not_boolx$(boolx$ a) { return ${n === 1 ? "!a" : "~a"}; }`;
  out.lt_bool = (n) => `boolx$ lt_boolx$(boolx$ a, boolx$ b) { return ${n === 1 ? "a < b" : "~a & b"}; }`;
  out.le_bool = (n) => `boolx$ le_boolx$(boolx$ a, boolx$ b) { return ${n === 1 ? "a <= b" : "~a | b"}; }`;
  out.eq_bool = () => "boolx$ eq_boolx$(boolx$ a, boolx$ b) { return a == b; }";
  out.ne_bool = () => "boolx$ ne_boolx$(boolx$ a, boolx$ b) { return a != b; }";
  out.insert_bool = (n) =>
    n === 1
      ? "boolx$ insert_boolx$(boolx$ v, int l, boolx1 x) { return x; }"
      : "boolx$ insert_boolx$(boolx$ v, int l, boolx1 x) { v[l] = -(x != 0); return v; }";
  /** True if any lane is. */
  out.any_bool = (n) => (n === 1 ? "int any_boolx$(boolx$ a) { return a; }" : "int any_boolx$(boolx$ a) { return across_or_i32x$(a); }");

  for (const t of floats) {
    const u = t === "f32" ? "u32" : "u64";
    const magnitude = t === "f32" ? "0x7fffffffu" : "0x7fffffffffffffffull";
    const f = t === "f32" ? "f" : "";
    const whole = t === "f32" ? "8388608.0f" : "4503599627370496.0";
    for (const [to, from] of [
      [u, t],
      [t, u],
      [maskOf(t), t],
      [t, maskOf(t)],
    ] as const)
      out[`bits_${from}_${to}`] = (n) =>
        n === 1
          ? `${to}x$ bits_${from}_${to}x$(${from}x$ a) { ${to}x$ r; __builtin_memcpy(&r, &a, sizeof r); return r; }`
          : `${to}x$ bits_${from}_${to}x$(${from}x$ a) { return (${to}x$)a; }`;
    out[`isnan_${t}`] = (n) =>
      n === 1 || t === "f32"
        ? `boolx$ isnan_${t}x$(${t}x$ a) { return a != a; }`
        : `boolx$ isnan_${t}x$(${t}x$ a) { return __builtin_convertvector(a != a, i32x$); }`;
    // NaN stays: the first comparison fails for a NaN in b, the second takes one in a.
    out[`max_${t}`] = (n) => extreme("max", t, n, `sel_${t}x$(lt_${t}x$(b, a) | isnan_${t}x$(a), a, b)`);
    out[`min_${t}`] = (n) => extreme("min", t, n, `sel_${t}x$(lt_${t}x$(a, b) | isnan_${t}x$(a), a, b)`);
    out[`abs_${t}`] = () => `${t}x$ abs_${t}x$(${t}x$ a) { return bits_${u}_${t}x$(bits_${t}_${u}x$(a) & splat_${u}x$(${magnitude})); }`;
    out[`signof_${t}`] = () =>
      `${t}x$ signof_${t}x$(${t}x$ a, ${t}x$ s) { return bits_${u}_${t}x$((bits_${t}_${u}x$(a) & splat_${u}x$(${magnitude})) | (bits_${t}_${u}x$(s) & ~splat_${u}x$(${magnitude}))); }`;
    out[`fma_${t}`] = perLane(
      `fma_${t}`,
      t,
      3,
      ([a, b, c]) => `__builtin_fma${f}(${a}, ${b}, ${c})`,
      wholeVector("vfmadd", "__FMA__", t, ["a", "b", "c"]),
    );
    out[`sqrt_${t}`] = perLane(`sqrt_${t}`, t, 1, ([a]) => `__builtin_sqrt${f}(${a})`, wholeVector("sqrt", "__AVX__", t, ["a"]));
    // Adding and taking away 2^23 (2^52) rounds to an integer, half to even; larger values, infinities and NaN are kept.
    out[`round_${t}`] = () =>
      `${t}x$ round_${t}x$(${t}x$ a) { ${t}x$ m = abs_${t}x$(a), big = splat_${t}x$(${whole}); return sel_${t}x$(lt_${t}x$(m, big), signof_${t}x$((m + big) - big, a), a); }`;
    const one = `splat_${t}x$(1.0${f})`;
    const zero = `splat_${t}x$(0.0${f})`;
    out[`trunc_${t}`] = () =>
      `${t}x$ trunc_${t}x$(${t}x$ a) { ${t}x$ m = abs_${t}x$(a), r = round_${t}x$(m); return signof_${t}x$(r - sel_${t}x$(lt_${t}x$(m, r), ${one}, ${zero}), a); }`;
    out[`floor_${t}`] = () =>
      `${t}x$ floor_${t}x$(${t}x$ a) { ${t}x$ r = round_${t}x$(a); return signof_${t}x$(r - sel_${t}x$(lt_${t}x$(a, r), ${one}, ${zero}), a); }`;
    out[`ceil_${t}`] = () =>
      `${t}x$ ceil_${t}x$(${t}x$ a) { ${t}x$ r = round_${t}x$(a); return signof_${t}x$(r + sel_${t}x$(lt_${t}x$(r, a), ${one}, ${zero}), a); }`;
    out[`rem_${t}`] = perLane(`rem_${t}`, t, 2, ([a, b]) => `__builtin_fmod${f}(${a}, ${b})`);
    // Modulo 2^64 of the truncated value, as the host wraps; NaN and infinities give 0.
    if (t === "f64")
      out.wrap_f64 = () =>
        "i64x$ wrap_f64x$(f64x$ a) { if (__builtin_fabs(a) < 9223372036854775808.0) return (i64x$)a; if (!(__builtin_fabs(a) < __builtin_inf())) return 0; " +
        "double r = __builtin_fmod(a, 18446744073709551616.0); return r < 0 ? (i64x$)(0 - (u64x1)-r) : (i64x$)(u64x1)r; }";
    for (const to of ints) {
      const limit = `${2 ** 31}.0${f}`;
      const big = `9223372036854775808.0${f}`;
      const via = bits(to) === 64 ? "i64" : "i32";
      const bound = via === "i64" ? big : limit;
      const scalar = (x: string): string => `(${to}x1)wrap_f64x1(${x})`;
      out[`cast_${t}_${to}`] = (n) => {
        if (n === 1) return `${to}x$ cast_${t}_${to}x$(${t}x$ a) { return ${scalar("a")}; }`;
        return (
          `${to}x$ cast_${t}_${to}x$(${t}x$ a) { boolx$ in = lt_${t}x$(abs_${t}x$(a), splat_${t}x$(${bound})); ` +
          `${to}x$ r = ${resized(`__builtin_convertvector(sel_${t}x$(in, a, splat_${t}x$(0)), ${via}x$)`, via, to)}; ` +
          `if (any_boolx$(~in)) for (int i = 0; i < $; i++) r[i] = ${scalar("a[i]")}; return r; }`
        );
      };
    }
  }
  for (const from of numbers) {
    for (const to of numbers)
      if (!out[`cast_${from}_${to}`])
        out[`cast_${from}_${to}`] = (n) =>
          `${to}x$ cast_${from}_${to}x$(${from}x$ a) { return ${n === 1 ? `(${to}x$)a` : resized("a", from, to)}; }`;
    out[`cast_${from}_bool`] = () => `boolx$ cast_${from}_boolx$(${from}x$ a) { return ne_${from}x$(a, splat_${from}x$(0)); }`;
    out[`cast_bool_${from}`] = (n) =>
      `${from}x$ cast_bool_${from}x$(boolx$ a) { return ${n === 1 ? `(${from}x$)(a != 0)` : resized("-a", "i32", from)}; }`;
  }
  out.cast_bool_bool = () => "boolx$ cast_bool_boolx$(boolx$ a) { return a; }";

  for (const t of ints) {
    const neg = t.startsWith("i");
    const w = bits(t);
    out[`isnan_${t}`] = (n) => `boolx$ isnan_${t}x$(${t}x$ a) { return ${n === 1 ? "0" : "splat_boolx$(0)"}; }`;
    out[`max_${t}`] = () => `${t}x$ max_${t}x$(${t}x$ a, ${t}x$ b) { return sel_${t}x$(lt_${t}x$(b, a), a, b); }`;
    out[`min_${t}`] = () => `${t}x$ min_${t}x$(${t}x$ a, ${t}x$ b) { return sel_${t}x$(lt_${t}x$(a, b), a, b); }`;
    out[`abs_${t}`] = () =>
      neg
        ? `${t}x$ abs_${t}x$(${t}x$ a) { return sel_${t}x$(lt_${t}x$(a, splat_${t}x$(0)), (${t}x$)-a, a); }`
        : `${t}x$ abs_${t}x$(${t}x$ a) { return a; }`;
    // Division never traps: by zero it gives 0, and the least value by -1 wraps.
    const one = (a: string, b: string, op: string): string =>
      `(${b} == 0 ? ${op === "/" ? a : "0"} : ${neg ? `${b} == -1 ? ${op === "/" ? `(${t}x1)-${a}` : "0"} : ` : ""}(${t}x1)(${a} ${op} ${b}))`;
    out[`div_${t}`] = (n) => {
      if (n === 1 || w === 64) return perLane(`div_${t}`, t, 2, ([a, b]) => one(a!, b!, "/"))(n);
      const f = w === 32 ? "f64" : "f32"; // wide enough that the truncated quotient is exact
      const zero = `eq_${t}x$(b, splat_${t}x$(0))`;
      return `${t}x$ div_${t}x$(${t}x$ a, ${t}x$ b) { ${f}x$ q = __builtin_convertvector(a, ${f}x$) / __builtin_convertvector(b | (${t}x$)sel_${t}x$(${zero}, splat_${t}x$(1), splat_${t}x$(0)), ${f}x$); return sel_${t}x$(${zero}, a, __builtin_convertvector(__builtin_convertvector(q, ${w === 32 ? "i64" : "i32"}x$), ${t}x$)); }`;
    };
    out[`rem_${t}`] = (n) => {
      if (n === 1 || w === 64) return perLane(`rem_${t}`, t, 2, ([a, b]) => one(a!, b!, "%"))(n);
      return `${t}x$ rem_${t}x$(${t}x$ a, ${t}x$ b) { return sel_${t}x$(eq_${t}x$(b, splat_${t}x$(0)), splat_${t}x$(0), (${t}x$)(a - div_${t}x$(a, b) * b)); }`;
    };
    // A shift by less than zero or by the width and more moves everything out.
    const far = neg ? (b: string): string => `${b} < 0 || ${b} >= ${w}` : (b: string): string => `${b} >= ${w}`;
    const shl = perLane(`shl_${t}`, t, 2, ([a, b]) => `(${far(b!)} ? 0 : (${t}x1)((u64x1)${a} << ${b}))`);
    const shr = perLane(`shr_${t}`, t, 2, ([a, b]) => `(${t}x1)(${far(b!)} ? ${neg ? `${a} >> ${w - 1}` : "0"} : ${a} >> ${b})`);
    // All lanes at once where there are instructions for that.
    const u = `u${w}`;
    const near = `((${u}x$)b < ${w})`;
    const by = `((${u}x$)b & ${w - 1})`;
    out[`shl_${t}`] = (n) =>
      n === 1 || w < 32 ? shl(n) : `${t}x$ shl_${t}x$(${t}x$ a, ${t}x$ b) { return (${t}x$)(((${u}x$)a << ${by}) & (${u}x$)${near}); }`;
    out[`shr_${t}`] = (n) =>
      n === 1 || w < 32
        ? shr(n)
        : neg
          ? `${t}x$ shr_${t}x$(${t}x$ a, ${t}x$ b) { return a >> (((${t}x$)${by} & ${near}) | (~${near} & ${w - 1})); }`
          : `${t}x$ shr_${t}x$(${t}x$ a, ${t}x$ b) { return (a >> ${by}) & (${u}x$)${near}; }`;
    out[`ipow_${t}`] = () =>
      `static ${t}x1 ipow_${t}x1(${t}x1 a, ${t}x1 b) { ${neg ? `if (b < 0) return a == 1 ? 1 : a == -1 ? (b & 1 ? -1 : 1) : 0; ` : ""}u64x1 r = 1, p = (u64x1)a; for (; b; b >>= 1) { if (b & 1) r *= p; p *= p; } return (${t}x1)r; }`;
    out[`pow_${t}`] = perLane(`pow_${t}`, t, 2, ([a, b]) => `ipow_${t}x1(${a}, ${b})`);
    out[`fma_${t}`] = () => `${t}x$ fma_${t}x$(${t}x$ a, ${t}x$ b, ${t}x$ c) { return (${t}x$)((${t}x$)(a * b) + c); }`;
  }
  // One instruction where there is one: it takes subnormals for 0, and rounds after each of the two products. GCC keeps accumulators in
  // registers only where it knows the instruction, by a name whose operands are of another type since version 13.
  out.dot2_f32 = (n) => {
    const exact =
      "return fma_f32x$(bits_u32_f32x$(a & 0xffff0000u), bits_u32_f32x$(b & 0xffff0000u), fma_f32x$(bits_u32_f32x$(a << 16), bits_u32_f32x$(b << 16), c));";
    const asm = `__asm__("vdpbf16ps %2, %1, %0" : "+v"(c) : "v"(bits_u32_f32x$(a)), "v"(bits_u32_f32x$(b))); return c;`;
    const builtin = `typedef HALF halves __attribute__((vector_size(${4 * n}))); return __builtin_ia32_dpbf16ps_v$sf(c, (halves)a, (halves)b);`;
    const has = "defined(__AVX512BF16__) && defined(__AVX512VL__)";
    const by = (half: string): string => builtin.replace("HALF", half);
    const text =
      n === 1
        ? `#if ${has}\n${asm}\n#else\n${exact}\n#endif`
        : [4, 8, 16].includes(n)
          ? `#if ${has} && defined(__clang__)\n${asm}\n#elif ${has} && __GNUC__ >= 13\n${by("__bf16")}\n#elif ${has}\n${by("short")}\n#else\n${exact}\n#endif`
          : exact;
    return `f32x$ dot2_f32x$(u32x$ a, u32x$ b, f32x$ c) {\n${text}\n}`;
  };
  out.dot4_i32 = (n) => {
    const byte = (i: number): string => `(i32x$)(a >> ${8 * i} & 255u) * ((i32x$)(b << ${24 - 8 * i}) >> 24)`;
    const exact = `return c + ${[0, 1, 2, 3].map(byte).join(" + ")};`;
    const asm = `__asm__("vpdpbusd %2, %1, %0" : "+v"(c) : "v"(a), "v"(b)); return c;`;
    const builtin = `return (i32x$)__builtin_ia32_vpdpbusd_v$si(c, (i32x$)a, (i32x$)b);`;
    const has = "defined(__AVX512VNNI__) && defined(__AVX512VL__)";
    const text = [4, 8, 16].includes(n)
      ? `#if ${has} && defined(__clang__)\n${asm}\n#elif ${has}\n${builtin}\n#else\n${exact}\n#endif`
      : exact;
    return `i32x$ dot4_i32x$(u32x$ a, u32x$ b, i32x$ c) {\n${text}\n}`;
  };
  // The sums of four vectors: neighbours from each side by side, so that three additions halve all four twice.
  out.sums_f32 = (n) => {
    if (n === 4 || n === 8 || n === 16) {
      const picks = (f: (group: number) => readonly number[]): string =>
        Array.from({ length: n / 4 }, (_, g) => f(4 * g))
          .flat()
          .join(", ");
      const low = picks((g) => [g, n + g, g + 1, n + g + 1]);
      const high = picks((g) => [g + 2, n + g + 2, g + 3, n + g + 3]);
      const first = picks((g) => [g, g + 1, n + g, n + g + 1]);
      const second = picks((g) => [g + 2, g + 3, n + g + 2, n + g + 3]);
      const both = (a: string, b: string, p: string, q: string): string =>
        `__builtin_shufflevector(${a}, ${b}, ${p}) + __builtin_shufflevector(${a}, ${b}, ${q})`;
      const fold = (m: number): string =>
        m === 4
          ? ""
          : ` f32x${m / 2} p${m}, q${m}; __builtin_memcpy(&p${m}, &s${m}, sizeof p${m}); __builtin_memcpy(&q${m}, (char*)&s${m} + sizeof p${m}, sizeof q${m}); f32x${m / 2} s${m / 2} = p${m} + q${m};${fold(m / 2)}`;
      return `f32x4 sums_f32x$(f32x$ a, f32x$ b, f32x$ c, f32x$ d) { f32x$ ab = ${both("a", "b", low, high)}, cd = ${both("c", "d", low, high)}, s$ = ${both("ab", "cd", first, second)};${fold(n)} return s4; }`;
    }
    return `f32x4 sums_f32x$(f32x$ a, f32x$ b, f32x$ c, f32x$ d) { return (f32x4){across_add_f32x$(a), across_add_f32x$(b), across_add_f32x$(c), across_add_f32x$(d)}; }`;
  };
  out.mulhi_u32 = perLane("mulhi_u32", "u32", 2, ([a, b]) => `(u32x1)((u64x1)${a} * ${b} >> 32)`);
  out.mulhi_i32 = perLane("mulhi_i32", "i32", 2, ([a, b]) => `(i32x1)((i64x1)${a} * ${b} >> 32)`);

  for (const t of numbers)
    for (const op of ["add", "mul", "max", "min", "or", "and"] as const) {
      if (floats.includes(t as "f32") && (op === "or" || op === "and")) continue;
      const infix = { add: "+", mul: "*", or: "|", and: "&" }[op as "add"];
      const merge = (a: string, b: string, n: number): string =>
        infix ? `(${t}x${n})(${a} ${infix} ${b})` : `${op}_${t}x${n}(${a}, ${b})`;
      out[`across_${op}_${t}`] = (n) => {
        if (n === 1) return `${t}x1 across_${op}_${t}x1(${t}x1 a) { return a; }`;
        if (n === 2) return `${t}x1 across_${op}_${t}x2(${t}x2 a) { return ${merge("a[0]", "a[1]", 1)}; }`;
        const h = n / 2;
        return `${t}x1 across_${op}_${t}x$(${t}x$ a) { ${t}x${h} p, q; __builtin_memcpy(&p, &a, sizeof p); __builtin_memcpy(&q, (char*)&a + sizeof p, sizeof q); return across_${op}_${t}x${h}(${merge("p", "q", h)}); }`;
      };
      // Compare-and-swap; addition of integers has an instruction.
      const u = `u${bits(t)}`;
      out[`atomic_${op}_${t}`] = () =>
        `void atomic_${op}_${t}x1(${t}x1* p, ${t}x1 x) { ${u}x1 old, now; __atomic_load((${u}x1*)p, &old, __ATOMIC_RELAXED); ` +
        `do { ${t}x1 a; __builtin_memcpy(&a, &old, sizeof a); a = ${merge("a", "x", 1)}; __builtin_memcpy(&now, &a, sizeof a); } ` +
        `while (!__atomic_compare_exchange((${u}x1*)p, &old, &now, 1, __ATOMIC_RELAXED, __ATOMIC_RELAXED)); }`;
    }
  for (const op of ["add", "mul", "max", "min", "or", "and"] as const) {
    const or = op === "add" || op === "max" || op === "or";
    out[`across_${op}_bool`] = (n) =>
      n === 1
        ? `boolx1 across_${op}_boolx1(boolx1 a) { return a; }`
        : `boolx1 across_${op}_boolx$(boolx$ a) { return ${or ? "any_boolx$(a) != 0" : "!any_boolx$(~a)"}; }`;
    out[`atomic_${op}_bool`] = () =>
      `void atomic_${op}_boolx1(u8x1* p, boolx1 x) { __atomic_fetch_${or ? "or" : "and"}(p, (u8x1)(x != 0), __ATOMIC_RELAXED); }`;
  }

  // Positions: floor division and its remainder, for numerators that may be negative.
  out.floordiv_i64 = () => "i64x$ floordiv_i64x$(i64x$ a, i64x$ b) { i64x$ q = a / b; return q - (q * b > a); }";
  out.floormod_i64 = () => "i64x$ floormod_i64x$(i64x$ a, i64x$ b) { i64x$ r = a % b; return r < 0 ? r + b : r; }";
  out.least_i64 = () => "i64x$ least_i64x$(i64x$ a, i64x$ b) { return a < b ? a : b; }";
  out.most_i64 = () => "i64x$ most_i64x$(i64x$ a, i64x$ b) { return a > b ? a : b; }";
  for (const t of numbers)
    out[`ramp_${t}`] = (n) =>
      `${t}x$ ramp_${t}x$(i64x1 base, i64x1 step) { return __builtin_convertvector(splat_i64x$(base) + splat_i64x$(step) * (i64x$){${Array.from({ length: n }, (_, i) => i).join(", ")}}, ${t}x$); }`;
  // Positions below 2^31.
  for (const t of numbers)
    out[`ramp32_${t}`] = (n) =>
      `${t}x$ ramp32_${t}x$(i32x1 base, i32x1 step) { return __builtin_convertvector(splat_i32x$(base) + splat_i32x$(step) * (i32x$){${Array.from({ length: n }, (_, i) => i).join(", ")}}, ${t}x$); }`;
  return out;
}
