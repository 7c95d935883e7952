/** How a program's kernels are shared out over compilations. */
import { type Dim, evaluate, lo } from "../core/expr.js";
import { groupBy } from "../core/group-by.js";
import { clamp, roundUp } from "../core/numbers.js";
import type { DimRange, KernelCode, Program } from "./program.js";

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

/**
 * The kernels of a program as a few texts of about equal length; compiled kernels by the code that they are in. `apart`: kernels that run
 * for some sizes only are in texts without those that run for others.
 */
export function splitUnits(program: Program, sizes: UnitSizes, apart = false): readonly Unit[] {
  const when = apart ? occasions(program) : [];
  const groups = groupBy(
    program.kernels.map((k, i) => ({ ...k, when: when[i] ?? "" })).filter((k) => typeof k.source === "string"),
    (k) => k.when,
  );
  const binaries = groupBy(
    program.kernels.filter((k) => typeof k.source !== "string"),
    (k) => k.source,
  );
  return [
    ...[...groups.values()].flatMap((list) => inTexts(program.prelude, list, sizes)),
    ...[...binaries].map(([source, list]) => ({ source, entries: list.map((k) => k.entry) })),
  ];
}
function inTexts(prelude: string, text: readonly KernelCode[], { cores, unitText, leastText }: UnitSizes): readonly Unit[] {
  const total = text.reduce((sum, k) => sum + k.source.length, 0);
  // Where there are more units than cores, every core gets equally many.
  const wanted = total > cores * unitText ? roundUp(Math.ceil(total / unitText), cores) : Math.min(cores, Math.ceil(total / leastText));
  const count = clamp(wanted, 1, text.length);
  const units: { source: string; entries: string[] }[] = [];
  let done = 0;
  for (const k of text) {
    if (!units.length || done >= (total * units.length) / count) units.push({ source: prelude, entries: [] });
    const unit = units[units.length - 1]!;
    unit.source += `\n${k.source}\n`;
    unit.entries.push(k.entry);
    done += k.source.length;
  }
  return units;
}

/** For each kernel, at which of some sizes it has grid points, as a text: empty where it has some at all of them. */
function occasions(program: Program): readonly string[] {
  const grids = program.kernels.map(() => new Set<Dim>());
  for (const s of program.steps) if (s.kind === "launch") grids[s.kernel]!.add(s.grid);
  const tried = sizesToTry(program.dims);
  return grids.map((dims) => {
    if ([...dims].some((d) => lo(d) > 0)) return "";
    const runs = tried.map((sizes) => [...dims].some((d) => evaluate(d, sizes) > 0));
    return runs.every(Boolean) ? "" : runs.map(Number).join("");
  });
}
/** Each dim at and beside powers of two, with the others at their largest. */
function sizesToTry(dims: readonly DimRange[]): readonly Record<string, number>[] {
  const top = (d: DimRange): number => Math.min(d.max, 2 ** 40);
  const largest = Object.fromEntries(dims.map((d) => [d.name, top(d)]));
  return dims.flatMap((d) => {
    const sizes = new Set<number>();
    for (let p = 1; p <= 2 * top(d); p *= 2) for (const n of [p - 1, p, p + 1]) sizes.add(clamp(n, Math.max(1, d.min), top(d)));
    return [...sizes].map((n) => ({ ...largest, [d.name]: n }));
  });
}
