/** All decisions about one matmul kernel, as plain data, and the heuristics that compute them from a Target. */

import { bytesOf, type DType, isFloat } from "../../../core/dtype.js";
import { ceilDiv, type Dim, hi, mul } from "../../../core/expr.js";
import { ceilPower, clamp, roundUp } from "../../../core/numbers.js";
import { bindings } from "../../bindings.js";
import type { Target } from "../../codegen.js";
import type { MatrixUnit } from "../../kernel.js";

/** acc[m, n] += a[m, k] * b[k, n] */
export type Name = "m" | "n" | "k";
export type Role = "a" | "b";
export type PerAxis<T> = Readonly<Record<Name, T>>;

/** One cut of one dimension. Grid and thread levels are digits of pid and tid; loop levels are loops. */
export interface Level {
  readonly axis: Name;
  readonly tile: number;
  readonly on: "grid" | "threads" | "loop";
}

/** Where an operand is copied to `shared` storage on its way to the arithmetic. */
export interface Stage {
  /** Staged once this many levels are fixed. */
  readonly after: number;
  readonly dtype: DType;
  readonly layout: StageLayout;
}
/** [tile / width][k][width]: what a register block reads in order. */
export interface PanelLayout {
  readonly kind: "panels";
  readonly width: number;
  /** Rows that run along k in memory are transposed in registers, block by block. */
  readonly turned?: true;
}
/** Whether rows of a panel are stored in vectors that reach into the next row. */
export const spillsOver = (width: number, vector: number): boolean => width % vector !== 0 && roundUp(width, vector) <= 2 * width;
export type StageLayout =
  | PanelLayout
  /** A unit's tiles one after another, those of a row of them along k first. */
  | { readonly kind: "tiles" }
  /** Row-major with padding. */
  | { readonly kind: "rows"; readonly pad: number }
  /** Rows along m or n with padding, one for each k: what threads read side by side, wherever it came from. */
  | { readonly kind: "columns"; readonly pad: number }
  /** 16-byte pieces of a 128-byte row exchanged by xor, as Hopper's matrix unit reads them. */
  | { readonly kind: "swizzled" };

export interface ContractTiling {
  /** Outermost first. */
  readonly levels: readonly Level[];
  /** Absent: read where it lies. */
  readonly a?: Stage;
  readonly b?: Stage;
  /** Accumulators live inside this many levels; a k level outside of them keeps partial sums in scratch. */
  readonly accumulate: number;
  /** Where a thread of a GPU keeps the partial sums that it adds up. */
  readonly partial?: "memory" | "registers";
  /** Stages in flight; 1 = synchronous. */
  readonly depth: number;
  /** Who fills the stages: all threads, piece by piece, or one more warp, a whole tile at a time. */
  readonly feed?: "threads" | "warp";
  /** Lanes lie along n, or along k for both operands (sums across lanes at the end). */
  readonly micro: {
    readonly m: number;
    readonly n: number;
    readonly k: number;
    readonly vector: number;
    readonly unit?: MatrixUnit;
    readonly along?: "n" | "k";
  };
  readonly threads: number;
  /** Stages are written in whole vectors, whichever way operands lie in memory. */
  readonly wholeVectors?: true;
  /**
   * How results leave: each lane stores what it holds; a warp regroups them in shared memory for 16-byte stores; the grid point's
   * whole tile waits in scratch, and a sweep over its rows computes the epilogue; or it does so in parts, a fragment's rows at a time.
   */
  readonly leave?: "direct" | "regrouped" | "swept" | "parts";
  /** Where results are swept: tiles wait inside this many levels. Absent: inside the grid's. */
  readonly within?: number;
  /** The tiling's m is the product's n, and its n the product's m: the result is computed transposed. */
  readonly turned?: true;
  /** Steps along k in one turn of a register block's loop, where they divide it: compilers do not unroll it by themselves. */
  readonly turns?: number;
  /** Narrow elements are multiplied as words: so many neighbours along k at once. */
  readonly pack?: number;
  /**
   * Bytes from which on a buffer lies beyond the caches of the cores. What the next register block reads of `a` in such a one, and what
   * the epilogue will read, is asked for in time: blocks are too short for hardware to see a stream in them.
   */
  readonly far?: number;
  /** Grid points that share an m band run together, for the L2 cache. */
  readonly band: number;
}

/** What the heuristics need to know about a product. */
export interface Problem {
  readonly batch: Dim;
  readonly total: PerAxis<Dim>;
  /** What accumulators hold. */
  readonly dtype: DType;
  /** What operands hold. */
  readonly input: DType;
  /** Tensors of the result's size that the epilogue reads. */
  readonly reads: number;
  /** Strides of an operand across (m or n) and along k where it is a plain affine view of a buffer: nothing to compute, no masks. */
  readonly strides: Readonly<Record<Role, readonly [across: number, k: number] | undefined>>;
  /** Whether an operand's buffers hold it as it is: nothing is widened. */
  readonly stored: Readonly<Record<Role, boolean>>;
  /** Narrow neighbours along k are words in memory, whatever rows look like. */
  readonly words: Readonly<Record<Role, boolean>>;
  /** So are those that are whole, where k may end within one. */
  readonly runs: Readonly<Record<Role, boolean>>;
  /** How many products are computed at once, and how many operands of each role they have: one, where they share it. */
  readonly products: number;
  readonly operands: Readonly<Record<Role, number>>;
  /** One kernel computes it: k is not shared out. */
  readonly whole?: true;
}

/** Most of a size, bounded so that an unbounded symbolic dim gives sensible blocks. */
export const most = (d: Dim): number => Math.min(hi(d), 1 << 20);

/** Most terms that a sum of floats takes one after another, as what is rounded grows with them, and terms of the blocks that longer ones are cut in. */
const mostTerms = 512;
const block = 256;
/** Sums that a thread keeps in registers beside as many accumulators: with more, half as many threads would fit on a processor. */
const mostKept = 16;
/** Shared-memory tiles and a register block per thread, for GPUs without a matrix unit for the dtype. `bound`: bindings that are taken. */
export function tileThreads(p: Problem, t: Target, bound: number): ContractTiling {
  const side = clamp(Math.floor(Math.sqrt(t.threads)), 4, 16);
  const size = bytesOf(p.dtype);
  // Large blocks read shared memory less, where there are enough of them for every processor.
  const blocks = (m: number, n: number): number => most(p.batch) * Math.ceil(most(p.total.m) / m) * Math.ceil(most(p.total.n) / n);
  // Several products share a thread's accumulators: a role with several operands has fewer rows or columns of each.
  const most8 = (role: Role): number => 8 / ceilPower(p.operands[role]);
  const large = size <= 4 && side === 16 && blocks(most8("a") * side, most8("b") * side) >= t.parallel / 2;
  const [m, n] = [large ? most8("a") : Math.min(4, most8("a")), large ? most8("b") : Math.min(4, most8("b"))];
  const pad = 4;
  const row = p.operands.a * (side * m + pad) + p.operands.b * (side * n + pad);
  const bk = 16 * row * size <= t.sharedBytes ? 16 : 8;
  const inBlocks: readonly Level[] = isFloat(p.dtype) && most(p.total.k) > mostTerms ? [{ axis: "k", tile: block, on: "loop" }] : [];
  const accumulate = 4 + inBlocks.length;
  const tiles = mul(p.batch, mul(ceilDiv(p.total.m, side * m), ceilDiv(p.total.n, side * n)));
  const kept = m * n * p.products;
  const room = bound + bindings(mul(tiles, side * side * kept), p.dtype, t) <= t.maxBuffers;
  const stage: Stage = { after: accumulate + 1, dtype: p.dtype, layout: { kind: "columns", pad } };
  return {
    levels: [
      { axis: "m", tile: side * m, on: "grid" },
      { axis: "n", tile: side * n, on: "grid" },
      { axis: "m", tile: m, on: "threads" },
      { axis: "n", tile: n, on: "threads" },
      ...inBlocks,
      { axis: "k", tile: bk, on: "loop" },
    ],
    accumulate,
    a: stage,
    b: stage,
    depth: 1,
    micro: { m, n, k: 1, vector: t.lanes > 1 ? Math.min(4, n) : 1 },
    threads: side * side,
    ...(t.wholeVectors && { wholeVectors: true }),
    ...(inBlocks.length && { partial: kept > mostKept && room ? "memory" : "registers" }),
    band: 1,
  };
}

/** The tiling of one of `cut` parts of k, which has so many turns. */
function inParts(t: ContractTiling, cut: number, turns: number): ContractTiling {
  const { tile } = t.levels.find((l) => l.axis === "k")!;
  const part: Level = { axis: "k", tile: Math.ceil(turns / cut) * tile, on: "grid" };
  const later = (s: Stage): Stage => ({ ...s, after: s.after + 1 });
  return { ...t, levels: [part, ...t.levels], a: later(t.a!), b: later(t.b!), accumulate: t.accumulate + 1 };
}

/** Accumulators that a thread has registers for, beside what is on its way. */
const mostHeld = 64;
/** Blocks of units that take registers, and how warps share them. */
const blocks: readonly { readonly m: number; readonly n: number; readonly warps: readonly [number, number] }[] = [
  { m: 128, n: 128, warps: [2, 4] },
  { m: 128, n: 64, warps: [2, 2] },
  { m: 64, n: 128, warps: [1, 4] },
  { m: 64, n: 64, warps: [2, 2] },
  { m: 32, n: 64, warps: [1, 4] },
  { m: 64, n: 32, warps: [2, 2] },
  { m: 32, n: 32, warps: [2, 2] },
  { m: 16, n: 64, warps: [1, 4] },
];
/** Columns of k that matrix units take at a time: 128 bytes, which is what their layout in shared memory is made of. */
export const kTile = 64;
/** Bytes of shared memory that are left for what is not a stage. */
export const spare: number = 34 << 10;
/** What bounds a block of warps on a processor, in clocks (measured and reckoned on Hopper). */
const clocks = {
  /** Products of 16-bit operands in a clock. */
  products: 750,
  /** Bytes out of shared memory, and into it, in a clock. */
  shared: 128,
  arriving: 48,
  /** What is not hidden where a processor has one block: barriers, and the way from shared memory into registers. */
  turn: 600,
  /** Before the first turn and after the last. */
  block: 1500,
  /** A round of an epilogue, 16 elements a thread: one that reads waits for memory. */
  leave: 200,
  read: 1000,
  /** A second kernel, and the bytes that it reads in a clock. */
  launch: 3500,
  memory: 2000,
} as const;
/** Parts that k may be cut in, and bytes that they may take. */
const cuts = [1, 2, 3, 4, 6, 8];
const mostParts = 64 << 20;

/** A block for units that take registers: the one whose turns are over first, all blocks of the product together. */
export function tileRegisters(u: MatrixUnit, p: Problem, t: Target): ContractTiling {
  const { m, n, k } = p.total;
  const size = bytesOf(u.input);
  const deepest = 128 / size;
  const depth = typeof k === "number" && k <= deepest / 2 ? Math.max(u.k, k <= deepest / 4 ? deepest / 4 : deepest / 2) : deepest;
  const processors = Math.max(1, t.parallel / 2);
  const stages = 3;
  const bytesOfStages = (bm: number, bn: number): number => stages * (p.operands.a * bm + p.operands.b * bn) * (depth * size + 16);
  const parts = (cut: number): number => (cut > 1 ? cut * most(m) * most(n) * 4 * p.products : 0);
  const cost = ({ m: bm, n: bn, warps }: (typeof blocks)[number], cut: number): number => {
    const all = cut * most(p.batch) * Math.ceil(most(m) / bm) * Math.ceil(most(n) / bn);
    const each = Math.ceil(all / processors);
    const [rowsA, rowsB] = [p.operands.a * bm, p.operands.b * bn];
    const bytes = bytesOfStages(bm, bn);
    const together = Math.max(1, Math.min(each, Math.floor(t.sharedBytes / bytes), Math.floor(1024 / (32 * warps[0] * warps[1]))));
    const [mr, nr] = [bm / warps[0], bn / warps[1]];
    const products = (p.products * bm * bn * depth * size) / 2 / clocks.products;
    const out = (warps[0] * warps[1] * (p.operands.a * mr + p.operands.b * nr) * depth * size) / clocks.shared;
    const arriving = ((rowsA + rowsB) * depth * size) / clocks.arriving;
    const rounds = Math.ceil(each / together);
    const turns = Math.ceil(most(k) / depth / cut);
    const leaves = (bm * bn) / (32 * warps[0] * warps[1] * 16);
    const leave = leaves * (p.reads && cut === 1 ? clocks.read : clocks.leave);
    const second = cut > 1 ? clocks.launch + (2 * parts(cut)) / clocks.memory : 0;
    return turns * (each * Math.max(products, out, arriving) + rounds * clocks.turn) + rounds * (clocks.block + leave) + second;
  };
  // Every product of the kernel has accumulators of its own.
  const held = blocks.filter(
    (b) => (b.m * b.n * p.products) / (32 * b.warps[0] * b.warps[1]) <= mostHeld && bytesOfStages(b.m, b.n) + spare <= t.sharedBytes,
  );
  const whole = !p.whole && typeof k === "number" && p.batch === 1 && most(m) * most(n) * 4 * p.products < mostParts;
  const ways = (whole ? cuts : [1]).filter((c) => c === 1 || (parts(c) <= mostParts && most(k) >= 4 * c * depth));
  const choices = (held.length ? held : blocks.slice(-1)).flatMap((b) => ways.map((cut) => ({ b, cut, cost: cost(b, cut) })));
  const { b, cut } = choices.reduce((x, y) => (y.cost < x.cost ? y : x));
  const uncut = { ...tileUnit(u, { m: b.m, n: b.n, k: depth }, b.warps, stages, 8), leave: "parts" } as const;
  return cut === 1 ? uncut : inParts(uncut, cut, Math.ceil(most(k) / depth));
}

/** Tensor cores fed through shared memory. */
export function tileUnit(u: MatrixUnit, block: PerAxis<number>, warps: readonly [number, number], depth: number, band = 1): ContractTiling {
  const [mr, nr] = [block.m / warps[0], block.n / warps[1]];
  const layout: StageLayout = u.operands === "shared" ? { kind: "swizzled" } : { kind: "rows", pad: 16 / bytesOf(u.input) };
  const stage: Stage = { after: 5, dtype: u.input, layout };
  return {
    levels: [
      { axis: "m", tile: block.m, on: "grid" },
      { axis: "n", tile: block.n, on: "grid" },
      { axis: "m", tile: mr, on: "threads" },
      { axis: "n", tile: nr, on: "threads" },
      { axis: "k", tile: block.k, on: "loop" },
    ],
    accumulate: 4,
    a: stage,
    b: stage,
    depth,
    micro: { m: mr, n: nr, k: u.k, vector: 1, unit: u },
    threads: warps[0] * warps[1] * u.lanes,
    leave: u.operands === "shared" ? "regrouped" : "direct",
    band,
  };
}
