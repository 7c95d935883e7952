/** Blocks of sixteen rows of sixteen words transposed in registers: words, pairs, and quarters of vectors change places. */
import type { Helper } from "./prelude.js";

const each = (n: number, f: (i: number) => string): string => Array.from({ length: n }, (_, i) => f(i)).join(" ");
/** Lanes of two vectors in turn, of each group of so many from place `first` on. */
const picks = (groups: number, group: number, first: readonly number[]): string =>
  Array.from({ length: groups }, (_, g) => first.flatMap((i) => [g * group + i, g * group + i + groups * group]))
    .flat()
    .join(", ");
const quarters = (first: number): string => [first, first + 8, first + 16, first + 24].flatMap((q) => [q, q + 1, q + 2, q + 3]).join(", ");

const words = (a: string, b: string, first: readonly number[]): string => `__builtin_shufflevector(${a}, ${b}, ${picks(4, 4, first)})`;
const pairs = (a: string, b: string, first: number): string =>
  `(u32x16)__builtin_shufflevector((u64x8)${a}, (u64x8)${b}, ${picks(4, 2, [first])})`;
const halves = (a: string, b: string, first: number): string => `__builtin_shufflevector(${a}, ${b}, ${quarters(first)})`;

/** Rows are stored from the first to the last: where they overlap, later ones stay. */
export const turn: Helper = () => `void turn_u32x$(void* to, i64x1 to_stride, const void* from, i64x1 from_stride, i32x1 rows) {
  u32x16 a[16], b[16];
  ${each(16, (i) => `a[${i}] = ${i} < rows ? (u32x16)*(const u32ux16*)((const char*)from + ${i} * from_stride) : (u32x16){0};`)}
  ${each(8, (i) => [0, 1].map((h) => `b[${2 * i + h}] = ${words(`a[${2 * i}]`, `a[${2 * i + 1}]`, [2 * h, 2 * h + 1])};`).join(" "))}
  ${each(8, (i) => {
    const at = 4 * (i >> 1) + (i & 1);
    return [0, 1].map((h) => `a[${4 * (i >> 1) + 2 * (i & 1) + h}] = ${pairs(`b[${at}]`, `b[${at + 2}]`, h)};`).join(" ");
  })}
  ${each(8, (i) => {
    const at = (i & 3) + 8 * (i >> 2);
    return [0, 4].map((h) => `b[${at + h}] = ${halves(`a[${at}]`, `a[${at + 4}]`, h)};`).join(" ");
  })}
  ${each(16, (i) => `*(u32ux16*)((char*)to + ${i} * to_stride) = ${halves(`b[${i % 8}]`, `b[${(i % 8) + 8}]`, i < 8 ? 0 : 4)};`)}
}`;
