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
/** What text that uses tiles needs before it: the header (only then: it takes long to read), and eight tiles of 16 rows of 64 bytes. */
export const tilePrelude: string = `#include <immintrin.h>
static inline void configure_tiles(void) {
  struct { unsigned char palette, row, pad[14]; unsigned short bytes[16]; unsigned char rows[16]; } t = {1};
  for (int i = 0; i < 8; i++) { t.bytes[i] = 64; t.rows[i] = 16; }
  _tile_loadconfig(&t);
}`;
