/** Decisions about attention on GPUs as plain data, from a Target. */
import { bytesOf } from "../../../../core/dtype.js";
import { type Dim, div, hi, mul } from "../../../../core/expr.js";
import { numel } from "../../../../core/type.js";
import type { Node } from "../../../../ir/node.js";
import type { Target } from "../../../codegen.js";
import type { MatrixUnit } from "../../../kernel.js";
import { type Attention, sizesOf } from "../setup.js";
import { pitch } from "./tile.js";

/** Tiles of queries and keys that matrix units work on. */
export interface MatrixTiling {
  readonly unit: MatrixUnit;
  /** Warps of a grid point, each with `tall` fragments of queries. */
  readonly warps: number;
  readonly tall: number;
  /** Queries of a grid point, and keys of a tile. */
  readonly queries: number;
  readonly keys: number;
}

/** The unit whose fragments are registers for a dtype: weights go from one product to the next without leaving them. */
export const unitFor = (target: Target, node: Node): MatrixUnit | undefined => {
  const { dtype } = node.inputs[0]!.type;
  const fits = (u: MatrixUnit): boolean => u.operands === "registers" && u.m === 16 && u.n === 8 && u.k * bytesOf(u.input) === 32;
  return target.units.find((u) => u.input === dtype && u.layout && fits(u) && (!u.rounds || node.attrs.precision === "tf32"));
};

/** Tall fragments where they fill the device, flat ones where there are few queries; undefined where no tile fits into shared memory. */
export function tileMatrix(node: Node, target: Target): MatrixTiling | undefined {
  const { batch, queries, depth, width } = sizesOf(node);
  const unit = unitFor(target, node);
  if (!unit) return undefined;
  const { tall, warps } = rowsAbreast(unit, target, { heads: numel(batch), rows: queries, isTall: Math.max(hi(depth), hi(width)) <= 64 });
  const [key, value] = [depth, width].map((n) => rowBytes(n as number, unit)) as [number, number];
  return firstFit(warps, [64, 32, 16], target, (some, keys) => {
    const rows = unit.m * tall * some;
    return { bytes: rows * key + 2 * keys * (key + value), tiling: { unit, warps: some, tall, queries: rows, keys } };
  });
}
/** Fragments of a warp, one below the other, and warps of a grid point. */
function rowsAbreast(
  unit: MatrixUnit,
  target: Target,
  s: { readonly heads: Dim; readonly rows: Dim; readonly isTall: boolean },
): { readonly tall: number; readonly warps: number } {
  const points = (rows: number): number => hi(s.heads) * Math.ceil(hi(s.rows) / rows);
  const tall = s.isTall && unit.k === 16 && points(128) >= target.parallel ? 2 : 1;
  const warps = points(64) * 2 >= target.parallel || hi(s.rows) > 1024 ? 4 : hi(s.rows) > 16 ? 2 : 1;
  return { tall, warps };
}
/** Bytes of a row of a tile. */
const rowBytes = (columns: number, unit: MatrixUnit): number => pitch(columns, unit.input) * bytesOf(unit.input);
/** The most rows whose tiles fit into shared memory, with the largest blocks of the other side that then do. */
function firstFit<T>(
  warps: number,
  blocks: readonly number[],
  target: Target,
  make: (warps: number, block: number) => { readonly bytes: number; readonly tiling: T },
): T | undefined {
  for (let some = warps; some >= 1; some /= 2)
    for (const block of blocks) {
      const { bytes, tiling } = make(some, block);
      if (bytes <= target.sharedBytes) return tiling;
    }
  return undefined;
}

/** Tiles for units that work in the background on what is moved in the background. */
export interface BackgroundTiling {
  /** How scores lie in registers, warp by warp; what makes them, and what adds values up. */
  readonly unit: MatrixUnit;
  readonly scoring: MatrixUnit;
  readonly adding: MatrixUnit;
  /** Groups of four warps, each with 64 queries. */
  readonly groups: number;
  readonly queries: number;
  readonly keys: number;
  /** Tiles of keys and of values that are on their way or in use. */
  readonly slots: number;
  /** Registers of a thread that multiplies, and of one of the group that moves tiles. */
  readonly registers: { readonly work: number; readonly move: number };
}

/** Where there are enough long rows, and heads of one or two swizzled rows. */
export function tileBackground(node: Node, target: Target): BackgroundTiling | undefined {
  const { batch, queries, keys, depth, width } = sizesOf(node);
  const { dtype } = node.inputs[0]!.type;
  const unit = unitFor(target, node);
  if (!unit || depth !== width || (width !== swizzled && width !== 2 * swizzled) || typeof keys !== "number") return undefined;
  // Narrow sums leave registers to three groups, and queries stay in shared memory; masks take registers.
  const groups = width === swizzled && !node.attrs.mask ? 3 : 2;
  const units = target.units.filter((u) => u.operands === "shared" && u.input === dtype);
  const adding = units.find((u) => u.turned && u.regs.a > 0 && u.n === swizzled);
  const scoring = units.find((u) => !u.turned && u.regs.a > 0 === (groups === 2) && u.n === 128);
  if (!adding || !scoring) return undefined;
  const rows = scoring.m * groups;
  // Wide heads gain more than narrow ones by being multiplied in the background, also where many multiprocessors have nothing to do.
  const points = hi(numel(batch)) * Math.ceil(hi(queries) / rows);
  if (hi(queries) < leastRows || keys < leastRows || points < target.parallel / (width === swizzled ? 3 : 5)) return undefined;
  const row = width * bytesOf(dtype);
  const slots = Math.min(6, Math.floor((target.sharedBytes - signalBytes - rows * row) / (2 * scoring.n * row)));
  const registers = groups === 3 ? { work: 160, move: 32 } : { work: 240, move: 24 };
  return { unit, scoring, adding, groups, queries: rows, keys: scoring.n, slots, registers };
}
/** Bytes of shared memory for signals, at most. */
const signalBytes = 512;
/** Heads whose longest rows all come first: as many as have keys and values that stay near while they are read again and again. */
export function headsAbreast(x: Attention, t: BackgroundTiling): number {
  const heads = numel(x.batch);
  if (!x.causal || typeof heads !== "number") return 1;
  const bytes = hi(x.keys) * 2 * x.width * bytesOf(t.scoring.input);
  const fits = (some: number): boolean => heads % some === 0 && (some <= x.shared || Math.ceil(some / x.shared) * bytes <= mostNear);
  return Array.from({ length: heads }, (_, i) => heads - i).find(fits)!;
}
/** Bytes of keys and values that the second cache keeps, a part of its size. */
const mostNear = 16 << 20;
/** Queries and keys, at least, at which tiles are worth moving in whole. */
const leastRows = 512;
/** Half floats of a row of a tile as it is copied: 128 bytes. */
export const swizzled = 64;

/** Tiles of derivatives: a grid point has rows of one side, and goes over blocks of the other. */
export interface DerivativeTiling {
  readonly unit: MatrixUnit;
  /** Warps of a grid point, each with `tall` fragments of rows. */
  readonly warps: number;
  readonly tall: number;
  readonly rows: number;
  /** Rows of the other side that are met at a time. */
  readonly block: number;
  /** Whether a warp's rows stay in its registers, or are fetched again for every block. */
  readonly held: boolean;
}

/** Registers for accumulators and held rows beside which there is room for what comes and goes. */
const mostHeld = 192;

/** Tall fragments where they fill the device and their sums fit into registers; undefined where no tile fits into shared memory. */
export function tileDerivatives(node: Node, target: Target, side: "keys" | "queries"): DerivativeTiling | undefined {
  const s = sizesOf(node);
  const unit = unitFor(target, node);
  if (!unit) return undefined;
  const [depth, width] = [s.depth as number, s.width as number];
  const sums = (side === "keys" ? depth + width : depth) / 2;
  const isKeys = side === "keys" && s.batch.length > 0;
  const heads = isKeys ? mul(numel(s.batch.slice(0, -1)), s.keyHeads) : numel(s.batch);
  const { tall, warps } = rowsAbreast(unit, target, { heads, rows: side === "keys" ? s.keys : s.queries, isTall: sums <= 64 });
  // Sums, and scores and their cotangents; a row of 16 words is held in four registers of each lane.
  const own = (4 * (depth + width)) / unit.k;
  const fits = (block: number, kept: number): boolean => tall * (sums + block + kept) <= mostHeld;
  const held = fits(32, own);
  const pair = rowBytes(depth, unit) + rowBytes(width, unit);
  return firstFit(warps, fits(64, held ? own : 0) ? [64, 32, 16] : [32, 16], target, (some, block) => {
    const rows = unit.m * tall * some;
    // Two blocks of rows, and of two numbers of each.
    return { bytes: rows * pair + 2 * block * (pair + 8), tiling: { unit, warps: some, tall, rows, block, held } };
  });
}

/** How few queries share the keys of a head out over threads. */
export interface FewTiling {
  /** Elements of a piece of a key or value: one access. */
  readonly piece: number;
  /** Threads that share a key, and pieces that each has of it. */
  readonly across: number;
  readonly pieces: number;
  readonly threads: number;
  /** Keys that a group of threads reads before it weighs them. */
  readonly ahead: number;
  /** Shares of a head's keys. */
  readonly splits: number;
}

/** Most rows of queries that share a head of keys here: each has a sum in registers. */
export const mostFew = 8;
/** Bytes of shared memory for what groups of threads found. */
const mostShared = 72 << 10;
/** Keys that one grid point reads faster than a second kernel is launched. */
const worthShares = 2048;

/** Most shares that readers put together for themselves, and keys of one at least. */
const mostJoined = 8;
const leastShare = 64;
/** How many shares of `keys` keys fill a device that has `points` heads of them; few, unless a cache is so long that a kernel of its own joins them. */
export function sharesOf(target: Target, points: number, keys: number): number {
  const wanted = Math.ceil(target.parallel / Math.max(1, points));
  const long = Math.ceil(keys / 512);
  return Math.max(1, Math.min(wanted, long > mostJoined ? Math.min(long, 64) : Math.min(Math.floor(keys / leastShare), mostJoined)));
}

/** Rows of queries that meet each head of keys; undefined where their number is not fixed. */
export function rowsOfFew(node: Node): number | undefined {
  const { queries, heads, keyHeads } = sizesOf(node);
  const shared = heads === keyHeads ? 1 : typeof heads === "number" && typeof keyHeads === "number" ? heads / keyHeads : undefined;
  return typeof queries === "number" && shared !== undefined ? queries * shared : undefined;
}

/** The tiling of few queries, or undefined where the sizes of a head do not suit. */
export function tileFew(node: Node, target: Target): FewTiling | undefined {
  // Its threads exchange values inside branches that others do not take: a warp can, threads that meet at barriers cannot.
  if (!target.warp) return undefined;
  const { batch, keys, depth, width, heads, keyHeads } = sizesOf(node);
  const rows = rowsOfFew(node);
  const bytes = bytesOf(node.inputs[1]!.type.dtype);
  const piece = Math.max(1, (target.lanes * 4) / bytes);
  if (rows === undefined || rows > mostFew || typeof depth !== "number" || depth !== width || depth % piece) return undefined;
  let across = 1;
  while (across < 32 && depth % (piece * across * 2) === 0) across *= 2;
  const pieces = depth / (piece * across);
  if (pieces * piece * rows > 64) return undefined;
  const points = hi(mul(numel(batch.slice(0, -1)), heads === keyHeads ? heads : div(heads, (heads as number) / (keyHeads as number))));
  const given = node.attrs.shares as number | undefined;
  const splits =
    given ??
    (hi(keys) > worthShares && points < target.parallel ? Math.min(Math.ceil(target.parallel / points), Math.ceil(hi(keys) / 512), 64) : 1);
  const most = given === undefined ? hi(keys) : Math.ceil(hi(keys) / given);
  let threads = Math.min(target.threads, points * splits >= 2 * target.parallel || most <= 64 ? 128 : most <= 1024 ? 256 : 512);
  while (threads > 64 && ((threads / across) * (depth + 2) + depth) * rows * 4 > Math.min(mostShared, target.sharedBytes)) threads /= 2;
  return {
    piece,
    across,
    pieces,
    threads,
    ahead: Math.max(1, Math.min(most * across <= threads * 2 ? 2 : 4, 64 / (pieces * piece))),
    splits,
  };
}
