/** How a program's kernels are shared out over compilations. */
import { clamp, roundUp } from "../core/numbers.js";
import type { Program } from "./program.js";

/** What is compiled, or was compiled, as one: text or machine code, and the kernels in it. */
export interface Unit {
  readonly source: string | Uint8Array;
  readonly entries: readonly string[];
}
/** How large texts should be. */
export interface UnitSizes {
  /** Compilations that run side by side. */
  readonly cores: number;
  /** Source text beyond which a unit is cut. */
  readonly unitText: number;
  /** Source text that is worth a unit of its own while a core is idle. */
  readonly leastText: number;
}

/** The kernels of a program as a few texts of about equal length; compiled kernels by the code that they are in. */
export function splitUnits(program: Program, { cores, unitText, leastText }: UnitSizes): readonly Unit[] {
  const text = program.kernels.filter((k) => typeof k.source === "string");
  const total = text.reduce((sum, k) => sum + k.source.length, 0);
  // Where there are more units than cores, every core gets equally many.
  const wanted = total > cores * unitText ? roundUp(Math.ceil(total / unitText), cores) : Math.min(cores, Math.ceil(total / leastText));
  const count = clamp(wanted, 1, text.length);
  const units: { source: string; entries: string[] }[] = [];
  let done = 0;
  for (const k of text) {
    if (!units.length || done >= (total * units.length) / count) units.push({ source: program.prelude, entries: [] });
    const unit = units[units.length - 1]!;
    unit.source += `\n${k.source}\n`;
    unit.entries.push(k.entry);
    done += k.source.length;
  }
  const binaries = new Map<Uint8Array, string[]>();
  for (const k of program.kernels) {
    if (typeof k.source === "string") continue;
    const entries = binaries.get(k.source) ?? [];
    binaries.set(k.source, entries);
    entries.push(k.entry);
  }
  return [...units, ...[...binaries].map(([source, entries]) => ({ source, entries }))];
}
