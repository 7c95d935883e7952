/** How a CPU multiplies matrices: the heuristics that choose a tiling by counting what each would cost. */

import { bytesOf } from "../../../core/dtype.js";
import { divides } from "../../../core/expr.js";
import { clamp, roundUp } from "../../../core/numbers.js";
import type { Target } from "../../codegen.js";
import { rowWords } from "../../units.js";
import { type ContractTiling, most, type Problem, type Role, type Stage } from "./tiling.js";

/** Equal blocks of at most `limit`, each a multiple of `unit`. */
const balanced = (size: number, limit: number, unit: number): number => roundUp(Math.ceil(size / Math.ceil(size / limit)), unit);

/** A tiling with what it costs, in vector operations. */
interface Choice {
  readonly tiling: ContractTiling;
  readonly cost: number;
}

/** The cheapest tiling of a product, computed as it stands or transposed. */
export const tileCpu = (both: readonly [Problem, Problem], t: Target): ContractTiling => cheapest(both, t).tiling;
/** What it costs, in cycles of one core. */
export const costCpu = (both: readonly [Problem, Problem], t: Target): number => cheapest(both, t).cost;
function cheapest([p, turned]: readonly [Problem, Problem], t: Target): Choice {
  if (t.vectors !== "native") return panels(p, t);
  const choices = [panels(p, t), panels(turned, t, true), ...alongK(p, t)];
  return choices.reduce((best, c) => (c.cost < best.cost ? c : best));
}

/** An empty axis is laid out like one of one element. */
const one = (x: number): number => Math.max(1, x);

/**
 * What things cost in cycles of a core that does two vector operations in each, as measured on Zen 4, Zen 5 and Granite Rapids with
 * AVX-512: to pack an element (or a word) of an operand by how it lies, to let a result leave through scratch, to read an element of the
 * other operand again from the second cache or from beyond it, to read one for the first time that no core's cache holds, to read one at
 * each step that the first cache does not keep, since it is too small or since rows share its sets, to put a sum down until the next
 * block of k, one step of a register block beyond its operations, to start a grid point; and how long a launch must be for threads to
 * differ in speed.
 */
const cycles = {
  inOrder: 0.15,
  joined: 0.5,
  turnedIn: 0.25,
  gathered: 1.2,
  computed: 1.5,
  swept: 0.15,
  turned: 1,
  near: 0.05,
  far: 0.1,
  beyond: 0.6,
  lost: 0.05,
  shared: 0.12,
  waiting: 0.2,
  step: 1.3,
  alongK: 0.85,
  point: 500,
  launch: 1e5,
} as const;

/** Neighbours along k that one operation multiplies. */
function packOf(p: Problem, t: Target): number {
  const word = 4 / bytesOf(p.input);
  if (!t.dots?.has(p.input) || (word === 4 && p.dtype !== "i32")) return 1;
  return divides(word, p.total.k) || (p.strides.a && p.strides.b) ? word : 1;
}

/**
 * One thread per grid point: a register block of rows times vectors, b in panels that stay in L2, a read where it lies if its rows run
 * along k. Rows, vectors and blocks are those of least cost: padding, packing (again for every block of the other operand), tails.
 */
function panels(p: Problem, t: Target, turned = false): Choice {
  const { m, n, k } = { m: one(most(p.total.m)), n: one(most(p.total.n)), k: one(most(p.total.k)) };
  const pack = packOf(p, t);
  const size = bytesOf(p.dtype);
  const native = t.vectors === "native";
  const lanes = native ? Math.max(1, Math.floor((t.lanes * 4) / size)) : 1;
  const cache = t.caches[1] ?? 1 << 20;
  // Words of four change on their way, which is done once.
  const packA = (pack > 1 ? !p.words.a : p.strides.a?.[1] !== 1) || pack === 4;
  const l2 = cache / 2;
  // Where panels of a do not stay there, b has more of it.
  const room2 = packA ? l2 : 0.72 * cache;
  const kw = Math.ceil(k / pack);
  const nearest = t.caches[0] ?? 1 << 15;
  // Beside what passes by, so much of it keeps what is read again.
  const kept = 0.85 * nearest;
  const rowsTurn = { a: inTurns(p, "a", pack, t), b: inTurns(p, "b", pack, t) };
  const reading = (role: Role): number => {
    const strides = p.strides[role];
    if (rowsTurn[role]) return cycles.turnedIn;
    if (!strides) return pack > 1 && p.words[role] ? cycles.gathered : cycles.computed;
    return strides[0] === 1 ? (pack > 1 ? cycles.joined : cycles.inOrder) : cycles.gathered;
  };
  const costA = reading("a");
  const costB = reading("b");
  const batch = one(most(p.batch));
  const { products, operands } = p;
  // Operands that the caches of all cores hold together come from there.
  const beyond = (rows: number): number => (batch * rows * k * bytesOf(p.input) > cache * t.parallel ? (cycles.beyond * size) / 4 : 0);
  const fresh = { a: beyond(m * operands.a), b: beyond(n * operands.b) };
  // Beside accumulators, registers hold a row of b and an element of a; or all that a step reads, where that comes first.
  const tallest = (columns: number): number => {
    if (t.loadsFirst) return (t.registers - columns * operands.b) / (columns * products + operands.a);
    return (t.registers < 32 ? (t.registers * 3) / 4 : t.registers - columns * operands.b - 2) / (columns * products);
  };
  let best: Panels | undefined;
  for (const columns of native ? [2, 1] : [clamp(n, 1, Math.floor(4 / products))])
    for (const mr of native ? heights(m, clamp(Math.floor(tallest(columns)), 1, 24)) : [microRows(m, 4)])
      for (const kcw of depths(kw, Math.floor(kept / (mr * operands.a * size)))) {
        const nr = lanes * columns;
        const [rows, wide] = [Math.ceil(m / mr), Math.ceil(n / nr)];
        const multiply = native
          ? kw * (Math.max(mr * columns * products, mr * operands.a + columns * operands.b) / 2 + cycles.step)
          : kw * mr * nr * products;
        // What the first cache does not keep of rows in place is read from the second at each step, where it is read again; so many rows
        // that lines leave before their last element is read cost that at the first time, too.
        const [again, once] = [1, 1.3].map((crowd) => (!packA && sharesSets(p, mr * operands.a, crowd * nearest) ? cycles.shared : 0)) as [
          number,
          number,
        ];
        const tight = again + (!packA && mr * operands.a * kcw * size > kept ? cycles.lost : 0);
        const canStrip = !packA && rowsTurn.a && mr <= rowWords;
        const sums = m * n * products * (Math.ceil(kw / kcw) - 1) * cycles.waiting;
        const leaving = turned ? m * n * products * cycles.turned : 0;
        // What no division into blocks can save may be more than the best one costs in all.
        const packOnce = kw * wide * nr * operands.b * (costB + fresh.b);
        if (best && batch * (rows * wide * multiply + packOnce + sums + leaving) >= best.cost) continue;
        const inRow = blocks(wide);
        for (const mBlocks of blocks(rows))
          for (const nBlocks of inRow) {
            // A sweep takes whole vectors of a tile's columns, so only the last tile may end within one.
            const unit = turned && mBlocks > 1 ? (mr * lanes) / common(mr, lanes) : mr;
            const [mc, nc] = [roundUp(Math.ceil(rows / mBlocks) * mr, unit), Math.ceil(wide / nBlocks) * nr];
            if (nc > nr && nc * kcw * size * operands.b > room2) continue;
            if (packA && mc > mr && mc * kcw * size * operands.a > l2) continue;
            if (typeof p.total.m !== "number" && mc > mr * 32) continue;
            if (turned && mc * nc * size * products > l2) continue;
            const [across, down] = [Math.ceil(n / nc), Math.ceil(m / mc)];
            if (best && batch * (rows * wide * multiply + down * packOnce + sums + leaving) >= best.cost) continue;
            const inPlace = rows * kw * mr * operands.a * (across * once + (wide - across) * tight);
            const afar = Math.max(fresh.a, mc * kcw * size * operands.a > l2 ? cycles.far : cycles.near);
            const readA = (cost: number): number => kw * across * rows * mr * operands.a * (cost + afar);
            const [plain, packed] = [packA ? readA(costA) : readA(0) + inPlace, canStrip ? readA(costA) : Number.POSITIVE_INFINITY];
            const packing = down * packOnce + Math.min(plain, packed);
            const total = batch * (rows * wide * multiply + packing + sums + leaving);
            const points = batch * across * down;
            // Some thread does so many whole points, or its part of each row of them; more points make smaller tails where threads are not equally fast.
            const share =
              across % t.parallel === 0
                ? ((across / t.parallel) * (nc / nr)) / wide
                : (Math.ceil(points / t.parallel) * (mc / mr) * (nc / nr)) / (batch * rows * wide);
            const uneven =
              Math.max(1, t.parallel > 1 ? share * t.parallel : 1) + (t.parallel > 1 && total > cycles.launch ? 0.15 / points : 0);
            const cost = total * uneven + points * cycles.point;
            if (!best || cost < best.cost) best = { cost, mc, nc, mr, nr, kcw, strips: packed < plain };
          }
      }
  const { cost, mc, nc, mr, nr, kcw, strips } = best!;
  const stage = (role: Role, width: number, after: number): Stage => ({
    after,
    dtype: pack > 1 ? "u32" : p.dtype,
    layout: { kind: "panels", width, ...(rowsTurn[role] && (width <= rowWords || width % rowWords === 0) && { turned: true }) },
  });
  const inPlaceB = pack === 1 && p.strides.b?.[0] === 1 && mc / mr < 4 && typeof p.total.n === "number" && p.total.n % nr === 0;
  const inner = { m: { axis: "m", tile: mr, on: "loop" }, n: { axis: "n", tile: nr, on: "loop" } } as const;
  const tiling: ContractTiling = {
    levels: [
      { axis: "m", tile: mc, on: "grid" },
      { axis: "n", tile: nc, on: "grid" },
      { axis: "k", tile: kcw * pack, on: "loop" },
      ...(native ? [inner.m, inner.n] : [inner.n, inner.m]),
    ],
    accumulate: 5,
    ...((packA || strips) && { a: stage("a", mr, strips ? 4 : 3) }),
    ...(!inPlaceB && { b: stage("b", nr, 3) }),
    depth: 1,
    micro: { m: mr, n: nr, k: 1, vector: lanes },
    threads: 1,
    ...(native && !t.loadsFirst && { turns: 2 }),
    ...(turned && { leave: "swept" as const }),
    ...(turned && { turned }),
    ...(native && !turned && kcw >= kw && isStreamed(p) && { leave: "swept" as const, within: 4 }),
    ...(pack > 1 && { pack }),
    ...(t.prefetch && { far: (t.caches[1] ?? 1 << 20) * t.parallel }),
    band: 1,
  };
  return { tiling, cost };
}
/** The least cost so far, and where; `strips`: rows of a are packed for one register block at a time. */
interface Panels {
  readonly cost: number;
  readonly mc: number;
  readonly nc: number;
  readonly mr: number;
  readonly nr: number;
  readonly kcw: number;
  readonly strips: boolean;
}
/** Bytes of a page of memory, and of a way of the first cache. */
const page = 4096;
/**
 * Whether an epilogue goes over the rows of a whole strip at a time: one that reads several tensors, whose rows do not share pages. The few
 * lines of each row that belong to a register block would be in as many pages as it has rows, in each of those tensors.
 */
const isStreamed = (p: Problem): boolean => p.reads > 1 && one(most(p.total.n)) * bytesOf(p.dtype) >= page;
/** Whether panels of an operand are words of its rows, transposed; a's words of four change on their way. */
function inTurns(p: Problem, role: Role, pack: number, t: Target): boolean {
  const words =
    pack > 1 ? p.runs[role] && !(pack === 4 && role === "a") : p.stored[role] && bytesOf(p.input) === 4 && bytesOf(p.dtype) === 4;
  return t.turns === true && t.vectors === "native" && words && p.strides[role]?.[1] === 1;
}
/** Whether lines of so many rows of a meet in so few sets of the first cache that they drive each other out. */
function sharesSets(p: Problem, rows: number, cache: number): boolean {
  const apart = page / common(page, (p.strides.a?.[0] ?? 1) * bytesOf(p.input));
  return rows / apart > (0.9 * cache) / page;
}
/** Lengths of a block of k to try: long ones, and those in which a strip stays in the first cache. */
function depths(kw: number, limit: number): readonly number[] {
  const short = limit >= 192 && kw > limit ? [balanced(kw, limit, 16), balanced(kw, (2 * limit) / 3, 16)] : [];
  return [...new Set([kw <= 1024 ? kw : balanced(kw, 512, 8), ...short])];
}
/** Numbers of blocks to try for so many register blocks: those that differ, up to 64, and each block alone. */
function blocks(count: number): readonly number[] {
  const out = new Set<number>();
  for (let i = 1; i <= Math.min(64, count); i++) out.add(Math.ceil(count / Math.ceil(count / i)));
  for (let i = 128; i < count; i *= 2) out.add(Math.ceil(count / Math.ceil(count / i)));
  return [...out, count];
}
const floorTo = (x: number, unit: number): number => Math.floor(x / unit) * unit;
const common = (a: number, b: number): number => (b ? common(b, a % b) : a);
/** Heights of a register block to try. */
function heights(m: number, limit: number): readonly number[] {
  if (m <= limit) return [m];
  return Array.from({ length: Math.floor(limit / 2) + 1 }, (_, i) => limit - i);
}
/** The register block's rows: as many as fit, but few rows of padding in the last block. */
function microRows(m: number, limit: number): number {
  if (m <= limit) return m;
  let best = limit;
  for (let r = limit; r >= Math.ceil((limit * 2) / 3); r--) if (Math.ceil(m / r) * r < Math.ceil(m / best) * best) best = r;
  return best;
}

/** Lanes along k for both operands, if both run along it: nothing is packed, so few rows read a matrix at memory speed. */
function alongK(p: Problem, t: Target): readonly Choice[] {
  if (p.strides.a?.[1] !== 1 || p.strides.b?.[1] !== 1 || (p.dtype !== "f32" && packOf(p, t) === 1)) return [];
  const { m, n, k } = { m: one(most(p.total.m)), n: one(most(p.total.n)), k: one(most(p.total.k)) };
  const word = packOf(p, t);
  const pack = divides(word, p.total.k) ? word : 1;
  if (p.dtype !== "f32" && pack === 1) return [];
  const lanes = t.lanes;
  const { products, operands } = p;
  const mr = microRows(m, Math.max(1, Math.floor(6 / products)));
  const nr = Math.min(roundUp(n, 4), mr * products <= 3 && t.registers >= 32 ? 8 : 4);
  if (mr * nr * products + mr * operands.a + nr * operands.b > t.registers && (t.loadsFirst || mr * products > 3)) return [];
  const kw = Math.ceil(k / pack);
  const batch = one(most(p.batch));
  const kc = k <= 4096 * pack ? k : balanced(k, 2048 * pack, lanes * pack);
  const steps = Math.ceil(kw / lanes) * Math.ceil(k / kc);
  const [rows, wide] = [Math.ceil(m / mr), Math.ceil(n / nr)];
  const sums = mr * nr * products * 2 * Math.ceil(k / kc);
  const total =
    batch *
    (rows *
      wide *
      ((steps / Math.ceil(k / kc)) * (Math.max(mr * nr * products, mr * operands.a + nr * operands.b) * cycles.alongK + cycles.step) +
        sums) +
      m * n * products * cycles.swept);
  const mc = Math.min(roundUp(m, mr), mr * 16);
  // A sweep takes whole vectors of a tile's columns.
  let nc = Math.min(512, Math.max(lanes, floorTo(16384 / (mc * products), lanes)));
  while (batch * Math.ceil(m / mc) * Math.ceil(n / nc) < 4 * t.parallel && nc > lanes) nc = Math.max(lanes, floorTo(nc / 2, lanes));
  if (nc >= n) nc = roundUp(n, nr);
  const tiling: ContractTiling = {
    levels: [
      { axis: "m", tile: mc, on: "grid" },
      { axis: "n", tile: nc, on: "grid" },
      { axis: "k", tile: kc, on: "loop" },
      { axis: "n", tile: nr, on: "loop" },
      { axis: "m", tile: mr, on: "loop" },
    ],
    accumulate: 5,
    depth: 1,
    micro: { m: mr, n: nr, k: 1, vector: lanes, along: "k" },
    threads: 1,
    leave: "swept",
    ...(pack > 1 && { pack }),
    band: 1,
  };
  return [{ tiling, cost: total }];
}
