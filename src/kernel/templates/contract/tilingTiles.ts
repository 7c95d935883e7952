/** How products are cut for a unit whose registers are whole tiles. */
import { bytesOf } from "../../../core/dtype.js";
import { divides } from "../../../core/expr.js";
import { roundUp } from "../../../core/numbers.js";
import type { Target } from "../../codegen.js";
import { isOpaque } from "../../units.js";
import { type ContractTiling, most, type Problem } from "./tiling.js";

/** Rows and columns of results below which packing costs more than the unit saves. */
const [leastRows, leastColumns] = [16, 32];
/** Bytes of a row of k that a block takes at once, and of rows that are not cut: a strip of 32 of them fills most of the first cache. */
const [blockBytes, wholeBytes] = [1280, 1536];

/**
 * What things cost in cycles of a core whose unit does a step (a tile by a tile) in 16, as measured on Granite Rapids: a step where one
 * operand comes from the second cache, a byte of an operand on its way from beyond it into scratch, a sum that waits while k is cut,
 * the same where scratch does not fit the second cache, to start a grid point.
 */
const cycles = { step: 20, byte: 0.25, sum: 0.15, crowded: 0.6, point: 2000 } as const;

/**
 * Two tiles by two of accumulators (of one product, or shared by two). A block of the right operand lies in the second cache as words, a
 * strip of the left one in the first. Undefined where the target has no such unit for the product, or the product is not made for it.
 */
export function tileTiles(p: Problem, t: Target): ContractTiling | undefined {
  const unit = t.units.find((u) => isOpaque(u) && u.input === p.input);
  const { k } = p.total;
  const [m, n] = [most(p.total.m), most(p.total.n)];
  if (!unit || p.products > 2 || p.dtype !== (unit.input === "i8" ? "i32" : "f32")) return undefined;
  if (typeof k !== "number" || k === 0 || !divides(unit.k, k) || m < leastRows || n < leastColumns) return undefined;
  // Two products share the four accumulators: one tile of the operand that each has its own of.
  const [mr, nr] = [m <= unit.m || p.operands.a > 1 ? unit.m : 2 * unit.m, p.operands.b > 1 ? unit.n : 2 * unit.n];
  const size = bytesOf(p.input);
  const parts = k * size <= wholeBytes ? 1 : Math.ceil((k * size) / blockBytes);
  const kc = roundUp(Math.ceil(k / parts), unit.k);
  const room = ((t.caches[1] ?? 1 << 20) * 3) / 4;
  const batch = Math.max(1, most(p.batch));
  const cost = (mc: number, nc: number): number => {
    const points = batch * Math.ceil(m / mc) * Math.ceil(n / nc);
    const steps = ((mc / unit.m) * (nc / unit.n) * k * p.products) / unit.k;
    const bytes = (mc * p.operands.a + nc * p.operands.b) * k * size;
    const sums = mc * nc * p.products * parts;
    const held = nc * kc * size * p.operands.b + mc * nc * 4 * p.products;
    const each = steps * cycles.step + bytes * cycles.byte + sums * (held > room ? cycles.crowded : cycles.sum) + cycles.point;
    // Some thread does so many whole points; more points make smaller tails where threads are not equally fast.
    return Math.ceil(points / t.parallel) * each * (t.parallel > 1 ? 1 + 0.2 / points : 1);
  };
  let best = { mc: mr, nc: nr, cost: Number.POSITIVE_INFINITY };
  for (const mc of sizes(m, mr))
    for (const nc of sizes(n, nr)) {
      const found = cost(mc, nc);
      if (found < best.cost && scratch(mc, nc) <= t.sharedBytes) best = { mc, nc, cost: found };
    }
  function scratch(mc: number, nc: number): number {
    return (mr * p.operands.a + nc * p.operands.b) * kc * size + mc * (nc + unit!.n) * 4 * p.products;
  }
  if (!Number.isFinite(best.cost)) return undefined;
  return {
    levels: [
      { axis: "m", tile: best.mc, on: "grid" },
      { axis: "n", tile: best.nc, on: "grid" },
      { axis: "k", tile: kc, on: "loop" },
      { axis: "m", tile: mr, on: "loop" },
      { axis: "n", tile: nr, on: "loop" },
    ],
    accumulate: 5,
    a: { after: 4, dtype: p.input, layout: { kind: "tiles" } },
    b: { after: 3, dtype: "u32", layout: { kind: "panels", width: unit.n } },
    depth: 1,
    micro: { m: mr, n: nr, k: unit.k, vector: t.lanes, unit },
    threads: 1,
    leave: "swept",
    pack: 4 / size,
    band: 1,
  };
}
/** Sizes of blocks to try: equal parts of a whole, each of whole tiles, none above a thousand or so. */
function sizes(whole: number, tile: number): readonly number[] {
  const out = new Set<number>();
  for (let parts = Math.ceil(whole / 1024); parts <= Math.ceil(whole / tile) && out.size < 24; parts++)
    out.add(roundUp(Math.ceil(whole / parts), tile));
  return [...out];
}
