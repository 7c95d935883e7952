/** The spellings of Intel's tile registers; they need the compiler's intrinsics, and a thread that was let use them. */
import { bytesOf } from "../../core/dtype.js";
import type { Dialect } from "../../kernel/dialect.js";

/** A fragment is a tile number, never a variable. */
const number = (tile: string): string => tile.slice(tile.lastIndexOf("_") + 1);

/** Matrix-unit statements as tile instructions. */
export const amxWords: Pick<Dialect, "fill" | "fetch" | "mma" | "spill" | "issue" | "settle"> = {
  fill: (_u, [acc]) => `_tile_zero(${number(acc!)});`,
  fetch: (_u, [into], from, i, stride, { stream }) =>
    `_tile_${stream ? "stream_" : ""}loadd(${number(into!)}, ${from.name} + ${i}, (${stride}) * ${bytesOf(from.dtype)});`,
  mma: (u, [acc], [a], [b]) => `_tile_${u.input === "i8" ? "dpbssd" : "dpbf16ps"}(${number(acc!)}, ${number(a!)}, ${number(b!)});`,
  spill: (_u, [acc], to, i, stride) => `_tile_stored(${number(acc!)}, ${to.name} + ${i}, (${stride}) * 4);`,
  issue: () => ["", ""],
  settle: () => "",
};

/** Whether text uses tiles. */
export const usesTiles = (text: string): boolean => text.includes("_tile_");
const pairs = (n: number, f: (i: number) => string): string => Array.from({ length: n }, (_, i) => f(i)).join(" ");
/** A block of words transposed in registers: words, pairs, and quarters of vectors change places. */
const turnPrelude = `static inline void turn_words(void* to, long long to_stride, const void* from, long long from_stride) {
#ifdef __AVX512F__
  __m512i a[16], b[16];
  ${pairs(16, (i) => `a[${i}] = _mm512_loadu_si512((const char*)from + ${i} * from_stride);`)}
  ${pairs(8, (i) => `b[${2 * i}] = _mm512_unpacklo_epi32(a[${2 * i}], a[${2 * i + 1}]); b[${2 * i + 1}] = _mm512_unpackhi_epi32(a[${2 * i}], a[${2 * i + 1}]);`)}
  ${pairs(4, (i) => [0, 1].map((h) => `a[${4 * i + 2 * h}] = _mm512_unpacklo_epi64(b[${4 * i + h}], b[${4 * i + 2 + h}]); a[${4 * i + 2 * h + 1}] = _mm512_unpackhi_epi64(b[${4 * i + h}], b[${4 * i + 2 + h}]);`).join(" "))}
  ${pairs(4, (i) => [0, 8].map((h) => `b[${i + h}] = _mm512_shuffle_i32x4(a[${i + h}], a[${i + h + 4}], 0x88); b[${i + h + 4}] = _mm512_shuffle_i32x4(a[${i + h}], a[${i + h + 4}], 0xdd);`).join(" "))}
  ${pairs(8, (i) => `_mm512_storeu_si512((char*)to + ${i} * to_stride, _mm512_shuffle_i32x4(b[${i}], b[${i + 8}], 0x88)); _mm512_storeu_si512((char*)to + ${i + 8} * to_stride, _mm512_shuffle_i32x4(b[${i}], b[${i + 8}], 0xdd));`)}
#else
  for (int i = 0; i < 16; i++) for (int j = 0; j < 16; j++) __builtin_memcpy((char*)to + j * to_stride + 4 * i, (const char*)from + i * from_stride + 4 * j, 4);
#endif
}`;
/** What text that uses tiles needs before it: the header (only then: it takes long to read), and eight tiles of 16 rows of 64 bytes. */
export const tilePrelude: string = `#include <immintrin.h>
static inline void configure_tiles(void) {
  struct { unsigned char palette, row, pad[14]; unsigned short bytes[16]; unsigned char rows[16]; } t = {1};
  for (int i = 0; i < 8; i++) { t.bytes[i] = 64; t.rows[i] = 16; }
  _tile_loadconfig(&t);
}
${turnPrelude}`;
