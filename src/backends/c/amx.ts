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
/**
 * What text that uses tiles needs before it: their instructions, by the names of Intel's intrinsics (whose header takes half a second to
 * read), and eight tiles of 16 rows of 64 bytes. Loads name what they read, so that what was stored there comes first.
 */
export const tilePrelude: string = `#ifndef _tile_zero
#define _tile_zero(t) __asm__ volatile("tilezero %%tmm" #t ::)
#define tile_load_(name, t, from, stride) __asm__ volatile(name " (%0,%1,1), %%tmm" #t ::"r"((const void*)(from)), "r"((long)(stride)), "m"(*(const char (*)[])(from)))
#define _tile_loadd(t, from, stride) tile_load_("tileloadd", t, from, stride)
#define _tile_stream_loadd(t, from, stride) tile_load_("tileloaddt1", t, from, stride)
#define _tile_stored(t, to, stride) __asm__ volatile("tilestored %%tmm" #t ", (%0,%1,1)" ::"r"((void*)(to)), "r"((long)(stride)) : "memory")
#define tile_dot_(name, c, a, b) __asm__ volatile(name " %%tmm" #b ", %%tmm" #a ", %%tmm" #c ::)
#define _tile_dpbf16ps(c, a, b) tile_dot_("tdpbf16ps", c, a, b)
#define _tile_dpbssd(c, a, b) tile_dot_("tdpbssd", c, a, b)
#define _tile_loadconfig(config) __asm__ volatile("ldtilecfg %0" ::"m"(*(config)))
#endif
static inline void configure_tiles(void) {
  struct { unsigned char palette, row, pad[14]; unsigned short bytes[16]; unsigned char rows[16]; } t = {1};
  for (int i = 0; i < 8; i++) { t.bytes[i] = 64; t.rows[i] = 16; }
  _tile_loadconfig(&t);
}`;
