/** The tiling of products for units that read shared memory in the background, and the parts of k that are worth a product of their own. */
import { bytesOf } from "../../../core/dtype.js";
import { clamp } from "../../../core/numbers.js";
import type { Target } from "../../codegen.js";
import type { MatrixUnit } from "../../kernel.js";
import { type ContractTiling, kTile, most, type Problem, spare, tileUnit } from "./tiling.js";

/** Columns of accumulators that the threads of a unit have registers for. */
const mostColumns = 256;
/** What bounds a block on a processor, in clocks (reckoned on Hopper). */
const clocks = {
  /** Products of 16-bit operands in a clock. */
  products: 2048,
  /** Bytes into shared memory in a clock, where all processors ask at once. */
  arriving: 42,
  /** From asking for a tile until it is there: what is on its way hides it. */
  latency: 2000,
  /** Before the first turn and after the last. */
  block: 1500,
  /** Bytes of parts that all processors write and read in a clock. */
  parts: 1000,
} as const;
/** Stages in flight, and bytes on their way to a processor that keep memory busy. */
const [leastStages, mostStages, onItsWay] = [4, 12, 96 << 10];
/** Rows up to which a product waits for its weights rather than for anything else. */
const fewRows = 64;
/** Parts of k that whoever reads a product adds up in passing, turns of the shortest one, and how much faster they must make it. */
const [inPassing, leastTurns, worth] = [[1, 2, 3, 4], 3, 0.75] as const;

/** A unit, a block of rows and columns, and equal parts of k. */
interface Choice {
  readonly u: MatrixUnit;
  readonly m: number;
  readonly n: number;
  readonly cut: number;
}

/** Whether a product waits for its operands rather than for anything else: it has few rows, or not even a small block for every processor. */
export const isShort = (p: Problem, t: Target): boolean =>
  most(p.total.m) <= fewRows || most(p.batch) * Math.ceil(most(p.total.m) / 64) * Math.ceil(most(p.total.n) / 64) <= t.parallel / 2;
const stageBytes = (p: Problem, { u, m, n }: Choice): number => kTile * bytesOf(u.input) * (p.operands.a * m + p.operands.b * n);
/** One that waits asks for as much as memory has on its way to a processor, and leaves room for another block. */
const depthOf = (p: Problem, t: Target, c: Choice): number =>
  isShort(p, t) ? clamp(Math.floor(onItsWay / stageBytes(p, c)), leastStages, mostStages) : leastStages;

/** What a product takes, in clocks. */
function cost(p: Problem, t: Target, c: Choice): number {
  const { m, n, cut } = c;
  const blocks = cut * most(p.batch) * Math.ceil(most(p.total.m) / m) * Math.ceil(most(p.total.n) / n);
  const rounds = Math.ceil(blocks / Math.max(1, t.parallel / 2));
  // A block's time: its products, and its operands' way into shared memory.
  if (!isShort(p, t)) return rounds * (p.products * m * n + 48 * (p.operands.a * m + p.operands.b * n));
  const products = (p.products * m * n * kTile) / clocks.products;
  const turn = Math.max(products + stageBytes(p, c) / clocks.arriving, clocks.latency / depthOf(p, t, c));
  const parts = cut > 1 ? (cut * most(p.total.m) * most(p.total.n) * 4) / clocks.parts : 0;
  return rounds * ((Math.ceil(most(p.total.k) / kTile) / cut) * turn + clocks.block) + parts;
}

/** As few rounds of the whole GPU as possible, of blocks that use it well; undefined where no block has accumulators for all products. */
function best(
  units: readonly MatrixUnit[],
  p: Problem,
  t: Target,
  cuts: readonly number[],
): (Choice & { readonly cost: number }) | undefined {
  const fits = (c: Choice): boolean => p.products * c.n <= mostColumns && leastStages * stageBytes(p, c) + spare <= t.sharedBytes;
  return units
    .flatMap((u) => (u.turned ? [4, 2, 1].map((several) => ({ u, n: several * u.n })) : [{ u, n: u.n }]))
    .flatMap((b) => [128, 64].flatMap((m) => cuts.map((cut) => ({ ...b, m, cut }))))
    .filter(fits)
    .map((c) => ({ ...c, cost: cost(p, t, c) }))
    .reduce<(Choice & { readonly cost: number }) | undefined>((x, c) => (x && x.cost <= c.cost ? x : c), undefined);
}

/** The tiling, or undefined where no unit is narrow enough. */
export function tileShared(units: readonly MatrixUnit[], p: Problem, t: Target): ContractTiling | undefined {
  const c = best(units, p, t, [1]);
  if (!c) return undefined;
  const { u, m, n } = c;
  return { ...tileUnit(u, { m, n, k: kTile }, [m / u.m, 1], depthOf(p, t, c), 8), feed: "warp" };
}

/** In how many equal parts k is worth cutting where a product waits: grid points share them out, and what reads the product adds them up. */
export function partsShared(units: readonly MatrixUnit[], p: Problem, t: Target): number {
  const { m, n, k } = p.total;
  if (!isShort(p, t) || p.batch !== 1 || typeof m !== "number" || typeof n !== "number" || typeof k !== "number") return 1;
  const cuts = inPassing.filter((c) => k % (c * kTile) === 0 && k >= leastTurns * c * kTile);
  const [whole, cut] = [best(units, p, t, [1]), best(units, p, t, cuts)];
  return whole && cut && cut.cost < worth * whole.cost ? cut.cut : 1;
}
