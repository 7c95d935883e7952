/** Loads and stores that convert, and rounding to half floats: to nearest, half to even. */
import type { Helper } from "./prelude.js";
import { resized } from "./preludeConvert.js";

const widths = { f32: 4, f64: 8, i8: 1, i16: 2, i32: 4, i64: 8, u8: 1, u16: 2, u32: 4, u64: 8 } as const;
const plain = Object.keys(widths) as readonly (keyof typeof widths)[];

/** Every helper of this file by name. */
export function storage(): Record<string, Helper> {
  const out: Record<string, Helper> = {};
  const convert = (n: number, from: string, to: string, x: string): string => (n === 1 ? `(${to}x$)(${x})` : resized(x, from, to));
  out.widen_bf16 = (n) => `f32x$ widen_bf16x$(u16x$ h) { return bits_u32_f32x$(${convert(n, "u16", "u32", "h")} << 16); }`;
  out.narrow_bf16 = (n) =>
    `u16x$ narrow_bf16x$(f32x$ a) {${n === 16 ? narrowAtOnce : " "}` +
    "u32x$ u = bits_f32_u32x$(a), r = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16; " +
    `return ${convert(n, "u32", "u16", "sel_u32x$(isnan_f32x$(a), (u >> 16) | 0x40u, r)")}; }`;
  out.round_bf16 = () => "f32x$ round_bf16x$(f32x$ a) { return widen_bf16x$(narrow_bf16x$(a)); }";
  // The exponent is 112 smaller in f32; a multiplication puts it right, for subnormals too.
  out.widen_f16 = (n) =>
    converted(
      n,
      "f32x$ widen_f16x$(u16x$ h)",
      n === 1
        ? 'f32x1 f; __asm__("vmovd %1, %0\\n\\tvcvtph2ps %0, %0" : "=x"(f) : "r"((u32x1)h)); return f;'
        : 'f32x$ f; __asm__("vcvtph2ps %1, %0" : "=v"(f) : "v"(h)); return f;',
      `u32x$ w = ${convert(n, "u16", "u32", "h")}, m = (w & 0x7fffu) << 13; u32x$ f = bits_f32_u32x$(bits_u32_f32x$(m) * splat_f32x$(0x1p112f)); ` +
        "return bits_u32_f32x$(sel_u32x$(lt_u32x$(m, splat_u32x$(0x0f800000u)), f, m | 0x7f800000u) | ((w & 0x8000u) << 16));",
    );
  // Normal results round in the integer; below 2^-14, adding 0.5 leaves steps of 2^-24 in the mantissa.
  out.narrow_f16 = (n) =>
    converted(
      n,
      "u16x$ narrow_f16x$(f32x$ a)",
      n === 1
        ? 'u32x1 h; f32x1 t; __asm__("vcvtps2ph %3, %2, %1\\n\\tvmovd %1, %0" : "=r"(h), "=&x"(t) : "x"(a), "i"(0)); return (u16x1)h;'
        : 'u16x$ h; __asm__("vcvtps2ph %2, %1, %0" : "=v"(h) : "v"(a), "i"(0)); return h;',
      "u32x$ u = bits_f32_u32x$(a), m = u & 0x7fffffffu, s = (u >> 16) & 0x8000u; " +
        "u32x$ normal = (m + 0xfffu + ((m >> 13) & 1u) - 0x38000000u) >> 13, small = bits_f32_u32x$(bits_u32_f32x$(m) + splat_f32x$(0.5f)) - 0x3f000000u; " +
        "u32x$ r = sel_u32x$(lt_u32x$(m, splat_u32x$(0x38800000u)), small, sel_u32x$(lt_u32x$(m, splat_u32x$(0x477ff000u)), normal, splat_u32x$(0x7c00u))); " +
        `return ${convert(n, "u32", "u16", "s | sel_u32x$(isnan_f32x$(a), 0x7e00u | ((m >> 13) & 0x1ffu), r)")};`,
    );
  out.round_f16 = () => "f32x$ round_f16x$(f32x$ a) { return widen_f16x$(narrow_f16x$(a)); }";
  for (const t of plain) {
    out[`load_${t}`] = () => `${t}x$ load_${t}x$(const ${t}x1* p) { return *(const ${t}ux$*)p; }`;
    out[`stream_${t}`] = (n) => streamed(`void stream_${t}x$(${t}x1* p, ${t}x$ v)`, "v", t, n);
    out[`store_${t}`] = () => `void store_${t}x$(${t}x1* p, ${t}x$ v) { *(${t}ux$*)p = v; }`;
  }
  // GCC likes to read an operand again for each of its uses, and a core loads no more vectors in a cycle than it multiplies.
  out.held_f32 = (n) => {
    const macro = ({ 4: "SSE2", 8: "AVX", 16: "AVX512F" } as const)[n];
    const text = macro ? `\n#if defined(__${macro}__)\n__asm__("" : "+v"(a));\n#endif\n` : " ";
    return `f32x$ held_f32x$(f32x$ a) {${text}return a; }`;
  };
  // Two or more narrow elements at once, as they lie.
  out.word_u32 = () => "u32x$ word_u32x$(const void* p) { return *(const u32ux$*)p; }";
  out.load_bool = (n) =>
    `boolx$ load_boolx$(const u8x1* p) { return ${n === 1 ? "*p != 0" : `${resized("*(const u8ux$*)p", "u8", "i32")} != 0`}; }`;
  out.store_bool = (n) =>
    `void store_boolx$(u8x1* p, boolx$ v) { ${n === 1 ? "*p = (u8x1)(v != 0)" : `*(u8ux$*)p = ${resized("-v", "i32", "u8")}`}; }`;
  for (const h of ["f16", "bf16"]) {
    out[`load_${h}`] = () => `f32x$ load_${h}x$(const u16x1* p) { return widen_${h}x$(*(const u16ux$*)p); }`;
    out[`stream_${h}`] = (n) => streamed(`void stream_${h}x$(u16x1* p, f32x$ v)`, `narrow_${h}x$(v)`, "u16", n);
    out[`store_${h}`] = () => `void store_${h}x$(u16x1* p, f32x$ v) { *(u16ux$*)p = narrow_${h}x$(v); }`;
  }
  out.stream_end = () =>
    "#if defined(__x86_64__)\nFN void stream_endx1(void) { __builtin_ia32_sfence(); }\n#else\nFN void stream_endx1(void) {}\n#endif";
  return out;
}

/** The instruction takes subnormals for zero, so it is for vectors that hold none. */
const narrowAtOnce = `
#if defined(__AVX512BF16__) && defined(__AVX512DQ__)
if (__builtin_expect(__builtin_ia32_fpclassps512_mask(a, 0x20, -1) == 0, 1)) { u16x16 h; __asm__("vcvtneps2bf16 %1, %0" : "=v"(h) : "v"(a)); return h; }
#endif
`;
/** A conversion between f16 and f32: the instruction where there is one for so many lanes, otherwise integer arithmetic. */
function converted(lanes: number, head: string, instruction: string, plain: string): string {
  if (lanes !== 1 && lanes !== 8 && lanes !== 16) return `${head} { ${plain} }`;
  return `${head} {\n#if defined(${lanes === 16 ? "__AVX512F__" : "__F16C__"})\n${instruction}\n#else\n${plain}\n#endif\n}`;
}

/** A store of whole aligned vectors that bypasses the caches, where compiler and processor have one. */
function streamed(head: string, value: string, t: "u16" | (typeof plain)[number], lanes: number): string {
  const bytes = lanes * widths[t];
  const [macro, builtin] = bytes === 64 ? ["AVX512F", "movntdq512"] : bytes === 32 ? ["AVX", "movntdq256"] : ["SSE2", "movntdq"];
  const words = `i64x${bytes / 8}`;
  return [
    "#if defined(__clang__)",
    `FN ${head} { __builtin_nontemporal_store(${value}, (${t}x$*)p); }`,
    `#elif defined(__${macro}__)`,
    `FN ${head} { __builtin_ia32_${builtin}((${words}*)p, (${words})${value}); }`,
    "#else",
    `FN ${head} { *(${t}ux$*)p = ${value}; }`,
    "#endif",
  ].join("\n");
}
