/** How products are cut for a unit whose registers are whole tiles. */
import { bytesOf } from "../../../core/dtype.js";
import { divides } from "../../../core/expr.js";
import { roundUp } from "../../../core/numbers.js";
import type { Target } from "../../codegen.js";
import { isOpaque } from "../../units.js";
import { type ContractTiling, most, type Problem } from "./tiling.js";

/** Rows and columns of results below which packing costs more than the unit saves. */
const [leastRows, leastColumns] = [16, 32];

/**
 * Two tiles by two of accumulators (of one product, or shared by two); both operands packed as words, once for each block, which k is not cut for. Undefined where the
 * target has no such unit for the product, or the product is not made for it.
 */
export function tileTiles(p: Problem, t: Target): ContractTiling | undefined {
  const unit = t.units.find((u) => isOpaque(u) && u.input === p.input);
  const { k } = p.total;
  const [m, n] = [most(p.total.m), most(p.total.n)];
  if (!unit || p.products > 2 || p.dtype !== (unit.input === "i8" ? "i32" : "f32")) return undefined;
  if (typeof k !== "number" || k === 0 || !divides(unit.k, k) || m < leastRows || n < leastColumns) return undefined;
  // Two products share the four accumulators: one tile of the operand that each has its own of.
  const [mr, nr] = [m <= unit.m || p.operands.a > 1 ? unit.m : 2 * unit.m, p.operands.b > 1 ? unit.n : 2 * unit.n];
  const room = ((t.caches[1] ?? 1 << 20) * 3) / 4;
  let [mc, nc] = [Math.min(roundUp(m, mr), 128), Math.min(roundUp(n, nr), 256)];
  const bytes = (): number => (mc * p.operands.a + nc * p.operands.b) * k * bytesOf(p.input) + mc * nc * 4 * p.products;
  const points = (): number => most(p.batch) * Math.ceil(m / mc) * Math.ceil(n / nc);
  while (nc > nr && (bytes() > room || points() < 2 * t.parallel)) nc = roundUp(nc / 2, nr);
  while (mc > mr && (bytes() > room || points() < t.parallel)) mc = roundUp(mc / 2, mr);
  if (bytes() > room) return undefined;
  const pack = 4 / bytesOf(p.input);
  return {
    levels: [
      { axis: "m", tile: mc, on: "grid" },
      { axis: "n", tile: nc, on: "grid" },
      { axis: "k", tile: k, on: "loop" },
      { axis: "n", tile: nr, on: "loop" },
      { axis: "m", tile: mr, on: "loop" },
    ],
    accumulate: 5,
    a: { after: 3, dtype: "u32", layout: { kind: "words" } },
    b: { after: 3, dtype: "u32", layout: { kind: "panels", width: unit.n } },
    depth: 1,
    micro: { m: mr, n: nr, k: unit.k, vector: t.lanes, unit },
    threads: 1,
    leave: "swept",
    pack,
    band: 1,
  };
}
