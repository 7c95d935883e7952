/** Which part of a product a grid point and a thread work on. */
import { add, ceilDiv, type Dim, div, divides, indexOn, mod, mul } from "../../../core/expr.js";
import type { ContractTiling, Level, PerAxis } from "./tiling.js";

/** Grid and thread levels as digits of pid and tid; batches are the outermost digit of pid. */
export function parallel(
  t: ContractTiling,
  total: PerAxis<Dim>,
  batches: Dim,
  tid: Dim,
  unitLanes: number,
): { digits: ReadonlyMap<Level, Dim>; points: Dim; batchFlat: Dim } {
  const grid = t.levels.filter((l) => l.on === "grid");
  const counts = grid.map((l) => ceilDiv(total[l.axis], l.tile));
  const product = (xs: readonly Dim[]): Dim => xs.reduce<Dim>(mul, 1);
  const each = product(counts);
  const points = mul(batches, each);
  const pid = indexOn("pid", points);
  const digits = new Map<Level, Dim>();
  const inner = batches === 1 ? pid : mod(pid, each);
  if (grid.length === 2 && t.band > 1 && divides(t.band, counts[0]!)) {
    const band = mul(counts[1]!, t.band);
    digits.set(grid[0]!, add(mul(div(inner, band), t.band), mod(inner, t.band)));
    digits.set(grid[1]!, div(mod(inner, band), t.band));
  } else {
    let rest = inner;
    grid.forEach((l, i) => {
      const below = product(counts.slice(i + 1));
      digits.set(l, div(rest, below));
      rest = mod(rest, below);
    });
  }
  const outer = (l: Level): number => t.levels.slice(0, t.levels.indexOf(l)).findLast((x) => x.axis === l.axis)!.tile;
  t.levels
    .filter((l) => l.on === "threads")
    .reduceRight<Dim>(
      (rest, l) => {
        const count = outer(l) / l.tile;
        digits.set(l, mod(rest, count));
        return div(rest, count);
      },
      div(tid, unitLanes),
    );
  return { digits, points, batchFlat: batches === 1 ? 0 : div(pid, each) };
}
