/** The instructions that we write: opcode, operand types and result. Letters: i i32, l i64, f f32, d f64, v v128. */

export type ValType = "i32" | "i64" | "f32" | "f64" | "v128";

/** How an instruction is written after its opcode: nothing, an address (alignment and offset), a lane, or both. */
export type Immediate = "none" | "memory" | "lane" | "memory lane";

export interface Instruction {
  readonly opcode: readonly number[];
  readonly takes: readonly ValType[];
  readonly gives: ValType | undefined;
  readonly immediate: Immediate;
  /** Lanes that may be named, or bytes that are accessed. */
  readonly lanes: number;
  readonly bytes: number;
}

const letters: Readonly<Record<string, ValType>> = { i: "i32", l: "i64", f: "f32", d: "f64", v: "v128" };
const table = new Map<string, Instruction>();

function leb(n: number): number[] {
  return n < 128 ? [n] : [(n & 127) | 128, ...leb(n >>> 7)];
}
function put(name: string, prefix: number, code: number, signature: string, immediate: Immediate = "none", lanes = 0, bytes = 0): void {
  const [takes = "", gives = ""] = signature.split(">");
  table.set(name, {
    opcode: prefix ? [prefix, ...leb(code)] : [code],
    takes: [...takes].map((x) => letters[x]!),
    gives: letters[gives],
    immediate,
    lanes,
    bytes,
  });
}
/** Names one after another, from an opcode on; `_` leaves one out. */
function row(prefix: number, from: number, type: string, names: string, signature: string): void {
  names.split(" ").forEach((name, i) => {
    if (name !== "_") put(type ? `${type}.${name}` : name, prefix, from + i, signature);
  });
}
const compare = "eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u";
const compareFloat = "eq ne lt gt le ge";

put("unreachable", 0, 0x00, "");
row(0, 0x45, "i32", "eqz", "i>i");
row(0, 0x46, "i32", compare, "ii>i");
row(0, 0x50, "i64", "eqz", "l>i");
row(0, 0x51, "i64", compare, "ll>i");
row(0, 0x5b, "f32", compareFloat, "ff>i");
row(0, 0x61, "f64", compareFloat, "dd>i");
row(0, 0x67, "i32", "clz ctz popcnt", "i>i");
row(0, 0x6a, "i32", "add sub mul div_s div_u rem_s rem_u and or xor shl shr_s shr_u", "ii>i");
row(0, 0x79, "i64", "clz ctz popcnt", "l>l");
row(0, 0x7c, "i64", "add sub mul div_s div_u rem_s rem_u and or xor shl shr_s shr_u", "ll>l");
row(0, 0x8b, "f32", "abs neg ceil floor trunc nearest sqrt", "f>f");
row(0, 0x92, "f32", "add sub mul div min max copysign", "ff>f");
row(0, 0x99, "f64", "abs neg ceil floor trunc nearest sqrt", "d>d");
row(0, 0xa0, "f64", "add sub mul div min max copysign", "dd>d");
put("i32.wrap_i64", 0, 0xa7, "l>i");
put("i64.extend_i32_s", 0, 0xac, "i>l");
put("i64.extend_i32_u", 0, 0xad, "i>l");
put("f32.convert_i32_s", 0, 0xb2, "i>f");
put("f32.convert_i32_u", 0, 0xb3, "i>f");
put("f32.convert_i64_s", 0, 0xb4, "l>f");
put("f32.convert_i64_u", 0, 0xb5, "l>f");
put("f32.demote_f64", 0, 0xb6, "d>f");
put("f64.convert_i32_s", 0, 0xb7, "i>d");
put("f64.convert_i32_u", 0, 0xb8, "i>d");
put("f64.convert_i64_s", 0, 0xb9, "l>d");
put("f64.convert_i64_u", 0, 0xba, "l>d");
put("f64.promote_f32", 0, 0xbb, "f>d");
put("i32.reinterpret_f32", 0, 0xbc, "f>i");
put("i64.reinterpret_f64", 0, 0xbd, "d>l");
put("f32.reinterpret_i32", 0, 0xbe, "i>f");
put("f64.reinterpret_i64", 0, 0xbf, "l>d");
put("i32.extend8_s", 0, 0xc0, "i>i");
put("i32.extend16_s", 0, 0xc1, "i>i");
put("i64.trunc_sat_f64_s", 0xfc, 6, "d>l");
for (const [name, code, signature, bytes] of [
  ["i32.load", 0x28, "i>i", 4],
  ["i64.load", 0x29, "i>l", 8],
  ["f32.load", 0x2a, "i>f", 4],
  ["f64.load", 0x2b, "i>d", 8],
  ["i32.load8_s", 0x2c, "i>i", 1],
  ["i32.load8_u", 0x2d, "i>i", 1],
  ["i32.load16_s", 0x2e, "i>i", 2],
  ["i32.load16_u", 0x2f, "i>i", 2],
  ["i32.store", 0x36, "ii", 4],
  ["i64.store", 0x37, "il", 8],
  ["f32.store", 0x38, "if", 4],
  ["f64.store", 0x39, "id", 8],
  ["i32.store8", 0x3a, "ii", 1],
  ["i32.store16", 0x3b, "ii", 2],
] as const)
  put(name, 0, code, signature, "memory", 0, bytes);

const simd = 0xfd;
for (const [name, code, signature, bytes] of [
  ["v128.load", 0x00, "i>v", 16],
  ["v128.load8_splat", 0x07, "i>v", 1],
  ["v128.load16_splat", 0x08, "i>v", 2],
  ["v128.load32_splat", 0x09, "i>v", 4],
  ["v128.load64_splat", 0x0a, "i>v", 8],
  ["v128.store", 0x0b, "iv", 16],
  ["v128.load32_zero", 0x5c, "i>v", 4],
  ["v128.load64_zero", 0x5d, "i>v", 8],
] as const)
  put(name, simd, code, signature, "memory", 0, bytes);
for (const [i, bits] of [8, 16, 32, 64].entries()) {
  put(`v128.load${bits}_lane`, simd, 0x54 + i, "iv>v", "memory lane", 128 / bits, bits / 8);
  put(`v128.store${bits}_lane`, simd, 0x58 + i, "iv", "memory lane", 128 / bits, bits / 8);
}
for (const [type, splat, extract, replace, letter, lanes] of [
  ["i32x4", 0x11, 0x1b, 0x1c, "i", 4],
  ["i64x2", 0x12, 0x1d, 0x1e, "l", 2],
  ["f32x4", 0x13, 0x1f, 0x20, "f", 4],
  ["f64x2", 0x14, 0x21, 0x22, "d", 2],
] as const) {
  put(`${type}.splat`, simd, splat, `${letter}>v`);
  put(`${type}.extract_lane`, simd, extract, `v>${letter}`, "lane", lanes);
  put(`${type}.replace_lane`, simd, replace, `v${letter}>v`, "lane", lanes);
}
row(simd, 0x37, "i32x4", compare, "vv>v");
row(simd, 0x41, "f32x4", compareFloat, "vv>v");
row(simd, 0x47, "f64x2", compareFloat, "vv>v");
put("v128.not", simd, 0x4d, "v>v");
row(simd, 0x4e, "v128", "and andnot or xor", "vv>v");
put("v128.bitselect", simd, 0x52, "vvv>v");
put("v128.any_true", simd, 0x53, "v>i");
put("f32x4.demote_f64x2_zero", simd, 0x5e, "v>v");
put("f64x2.promote_low_f32x4", simd, 0x5f, "v>v");
put("i8x16.narrow_i16x8_u", simd, 0x66, "vv>v");
row(simd, 0x67, "f32x4", "ceil floor trunc nearest", "v>v");
row(simd, 0x74, "f64x2", "ceil floor", "v>v");
put("f64x2.trunc", simd, 0x7a, "v>v");
put("f64x2.nearest", simd, 0x94, "v>v");
put("i16x8.narrow_i32x4_u", simd, 0x86, "vv>v");
put("i16x8.extend_low_i8x16_s", simd, 0x87, "v>v");
put("i16x8.extend_low_i8x16_u", simd, 0x89, "v>v");
for (const [type, at, narrow] of [
  ["i32x4", 0xa0, "i16x8"],
  ["i64x2", 0xc0, "i32x4"],
] as const) {
  row(simd, at, type, "abs neg", "v>v");
  row(simd, at + 3, type, "all_true bitmask", "v>i");
  row(simd, at + 7, type, `extend_low_${narrow}_s extend_high_${narrow}_s extend_low_${narrow}_u extend_high_${narrow}_u`, "v>v");
  row(simd, at + 11, type, "shl shr_s shr_u", "vi>v");
  row(simd, at + 14, type, "add _ _ sub _ _ _ mul", "vv>v");
}
row(simd, 0xb6, "i32x4", "min_s min_u max_s max_u", "vv>v");
row(simd, 0xd6, "i64x2", "eq ne lt_s gt_s le_s ge_s", "vv>v");
row(simd, 0xde, "i64x2", "extmul_low_i32x4_u extmul_high_i32x4_u", "vv>v");
row(simd, 0xe0, "f32x4", "abs neg _ sqrt", "v>v");
row(simd, 0xe4, "f32x4", "add sub mul div min max pmin pmax", "vv>v");
row(simd, 0xec, "f64x2", "abs neg _ sqrt", "v>v");
row(simd, 0xf0, "f64x2", "add sub mul div min max pmin pmax", "vv>v");
row(simd, 0xf8, "", "i32x4.trunc_sat_f32x4_s i32x4.trunc_sat_f32x4_u f32x4.convert_i32x4_s f32x4.convert_i32x4_u", "v>v");
row(simd, 0xfe, "", "f64x2.convert_low_i32x4_s f64x2.convert_low_i32x4_u", "v>v");
put("f32x4.relaxed_madd", simd, 0x105, "vvv>v");
put("f64x2.relaxed_madd", simd, 0x107, "vvv>v");

const atomic = 0xfe;
for (const [name, code, signature, bytes] of [
  ["memory.atomic.notify", 0x00, "ii>i", 4],
  ["memory.atomic.wait32", 0x01, "iil>i", 4],
  ["i32.atomic.load", 0x10, "i>i", 4],
  ["i64.atomic.load", 0x11, "i>l", 8],
  ["i32.atomic.load8_u", 0x12, "i>i", 1],
  ["i32.atomic.load16_u", 0x13, "i>i", 2],
  ["i32.atomic.store", 0x17, "ii", 4],
  ["i32.atomic.rmw.add", 0x1e, "ii>i", 4],
  ["i32.atomic.rmw.sub", 0x25, "ii>i", 4],
  ["i32.atomic.rmw.xchg", 0x41, "ii>i", 4],
  ["i32.atomic.rmw.cmpxchg", 0x48, "iii>i", 4],
  ["i64.atomic.store", 0x18, "il", 8],
  ["i64.atomic.rmw.cmpxchg", 0x49, "ill>l", 8],
  ["i32.atomic.rmw8.cmpxchg_u", 0x4a, "iii>i", 1],
  ["i32.atomic.rmw16.cmpxchg_u", 0x4b, "iii>i", 2],
] as const)
  put(name, atomic, code, signature, "memory", 0, bytes);

/** Every instruction by name. */
export const instructions: ReadonlyMap<string, Instruction> = table;
