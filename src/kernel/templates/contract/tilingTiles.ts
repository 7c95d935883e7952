/** How products are cut for a unit whose registers are whole tiles. */
import { bytesOf } from "../../../core/dtype.js";
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
 * operand comes from the second cache; a byte of a strip and of a block on the way into scratch, and what a byte costs more where rows
 * run across, by their length; a sum that waits while k is cut, and the same where scratch does not fit the second cache; to start a
 * grid point.
 */
const cycles = { step: 20, strip: 0.17, block: 0.25, row: 90, sum: 0.2, crowded: 0.6, point: 2000 } as const;

/**
 * Two tiles by two of accumulators (of one product, or shared by two). A block of the right operand lies in the second cache as words, a
 * strip of the left one in the first. Undefined where the target has no such unit for the product, or the product is not made for it.
 */
export function tileTiles(p: Problem, t: Target): ContractTiling | undefined {
  const unit = t.units.find((u) => isOpaque(u) && u.input === p.input);
  const [m, n] = [most(p.total.m), most(p.total.n)];
  if (!unit || p.products > 2 || p.dtype !== (unit.input === "i8" ? "i32" : "f32")) return undefined;
  if (typeof p.total.k !== "number" || p.total.k < unit.k || m < leastRows || n < leastColumns) return undefined;
  // The last tile along k is filled up.
  const k = roundUp(p.total.k, unit.k);
  // Two products share the four accumulators: one tile of the operand that each has its own of.
  const [mr, nr] = [m <= unit.m || p.operands.a > 1 ? unit.m : 2 * unit.m, p.operands.b > 1 ? unit.n : 2 * unit.n];
  const size = bytesOf(p.input);
  const cut = (whole: number): number =>
    whole * size <= wholeBytes ? whole : roundUp(Math.ceil(whole / Math.ceil((whole * size) / blockBytes)), unit.k);
  const kc = cut(k);
  const second = t.caches[1] ?? 1 << 20;
  const batch = Math.max(1, most(p.batch));
  /** As much of k as the right operand's block has room for in the second cache. */
  const fits = (nc: number): number => Math.max(1, Math.floor((second * 5) / 8 / (nc * size * p.operands.b) / kc)) * kc;
  const scratch = (mc: number, nc: number, kb: number): number => {
    const waiting = (kb >= k ? mr : mc) * (nc + unit.n) * 4 * p.products;
    return mr * p.operands.a * kc * size + nc * p.operands.b * kb * size + waiting;
  };
  const cost = (mc: number, nc: number, kb: number): number => {
    const points = batch * Math.ceil(m / mc) * Math.ceil(n / nc);
    const steps = ((mc / unit.m) * (nc / unit.n) * k * p.products) / unit.k;
    const block = cycles.block + (p.words.b ? 0 : cycles.row / nc);
    const packed = (mc * p.operands.a * cycles.strip + nc * p.operands.b * block) * k * size;
    const sums = mc * nc * p.products * Math.ceil(k / kc);
    const near = scratch(mc, nc, kb) < second * 0.8;
    const each = steps * cycles.step + packed + sums * (near ? cycles.sum : cycles.crowded) + cycles.point;
    // Some thread does so many whole points; more points make smaller tails where threads are not equally fast.
    return Math.ceil(points / t.parallel) * each * (t.parallel > 1 ? 1 + 0.5 / points : 1);
  };
  let best = { mc: mr, nc: nr, kb: kc, cost: Number.POSITIVE_INFINITY };
  for (const mc of sizes(m, mr))
    for (const nc of sizes(n, nr))
      for (const kb of new Set([kc, Math.min(fits(nc), k)])) {
        const found = cost(mc, nc, kb);
        if (found < best.cost && scratch(mc, nc, kb) <= t.sharedBytes) best = { mc, nc, kb, cost: found };
      }
  if (!Number.isFinite(best.cost)) return undefined;
  const { mc, nc, kb } = best;
  const split = kc < kb;
  return {
    levels: [
      { axis: "m", tile: mc, on: "grid" },
      { axis: "n", tile: nc, on: "grid" },
      { axis: "k", tile: kb, on: "loop" },
      { axis: "m", tile: mr, on: "loop" },
      ...(split ? [{ axis: "k", tile: kc, on: "loop" } as const] : []),
      { axis: "n", tile: nr, on: "loop" },
    ],
    accumulate: split ? 6 : 5,
    // Where k is whole, a strip's results leave as soon as they are there.
    ...(kb === k && { within: 4 }),
    a: { after: split ? 5 : 4, dtype: p.input, layout: { kind: "tiles" } },
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
