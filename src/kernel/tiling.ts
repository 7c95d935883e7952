import { bytesOf, computeDType, type DType } from "../core/dtype.js";
import { type Dim, divides, hi } from "../core/expr.js";
import type { Target } from "./codegen.js";

/**
 * How a kernel walks its rows and columns: decisions as data. Lanes lie along the kept axes (a map; sums over leading axes) or along
 * the reduced ones (softmax, norms), where each row is swept once per pass.
 */
export interface SpaceTiling {
  readonly lanes: "kept" | "reduced";
  readonly vector: number;
  readonly unroll: number;
  /** Rows that one sweep takes at once, for more memory streams. */
  readonly together: number;
  /** reduced: those rows lie as far from each other as they can, so that streams go on from sweep to sweep. */
  readonly apart?: boolean;
  /** Threads of a grid point, and how many of them share a row. */
  readonly threads: number;
  readonly rowThreads: number;
  /** Rows (kept: blocks) that a grid point takes one after another. */
  readonly turn: number;
  /** kept: the lanes' positions that one grid point takes at least; 0 means one per thread. */
  readonly block: number;
  /** Whether values that several passes need may be kept in scratch (or registers). */
  readonly hold: "shared" | "registers" | "nothing";
  readonly stream: boolean;
  /** reduced: what a grid point reads first is copied to shared memory in the background, before the launch in front has ended and the rows that it meets are computed. */
  readonly staged?: boolean;
  /** How far ahead streams are asked for: in bytes of a row (reduced), in rows (kept; a map: in bytes); 0: not at all. */
  readonly ahead: number;
  /** reduced: sweeps after a row's first ask for the rows that come next, while memory would rest. */
  readonly later?: true;
}

/** What a tiling depends on. */
export interface SpaceSizes {
  /** Rows and columns; columns are 1 in a map. */
  readonly rows: Dim;
  readonly cols: Dim;
  /** Size of the axis that the lanes run along. */
  readonly lane: Dim;
  /** Accumulators alive at once, and passes that reduce. */
  readonly accumulators: number;
  readonly passes: number;
  /** Elements leave per position, not only per row. */
  readonly sweeps: boolean;
  /** Dtypes of what is loaded and stored. */
  readonly dtypes: readonly DType[];
  /** Dtypes of the operands that have every element, and are read once. */
  readonly large: readonly DType[];
  /** Bytes that leave. */
  readonly written: number;
}

const floorPower = (n: number): number => 2 ** Math.floor(Math.log2(Math.max(1, n)));
const clamp = (x: number, least: number, most: number): number => Math.max(least, Math.min(most, Math.floor(x)));
/** Elements worth a grid point of their own on a CPU. */
const worth = 1 << 14;

/** Lanes of a vector for these dtypes along an axis. */
export function lanesFor(t: Target, lane: Dim, dtypes: readonly DType[]): number {
  if (t.threads > 1) {
    const widest = Math.max(1, ...dtypes.map(bytesOf));
    const n = Math.max(1, Math.floor((t.lanes * 4) / widest));
    return divides(n, lane) ? n : 1;
  }
  const widest = Math.max(4, ...dtypes.map((d) => bytesOf(computeDType(d))));
  return Math.min(floorPower((t.lanes * 4) / widest), floorPower(hi(lane)));
}

/** Rows ahead at which a matrix that is read across its rows is asked for. */
const rowsAhead = 16;
/** Bytes that a map asks ahead: hardware follows its streams within a page, so it asks for the pages after. */
const pagesAhead = 2 * 4096;
/** Bytes of results beyond which caches are of no use to them. */
export const streamed: number = 1 << 25;
/** More than stays in the caches nearest to the cores, which other matrices want as well. */
const isFar = (t: Target, elements: number, dtypes: readonly DType[]): boolean =>
  4 * elements * Math.max(...dtypes.map(bytesOf)) > (t.caches[1] ?? 1 << 20) * t.parallel;

/** A tiling with lanes along the kept axes. */
export function tileKept(t: Target, s: SpaceSizes): SpaceTiling {
  const base = { lanes: "kept", together: 1, rowThreads: 1, hold: "nothing" } as const;
  const vector = lanesFor(t, s.lane, s.dtypes);
  if (t.threads > 1) {
    const threads = clamp(t.threads, 1, 256);
    return { ...base, vector: s.passes ? 1 : vector, unroll: 1, threads, turn: 1, block: 0, stream: false, ahead: 0 };
  }
  const room = Math.max(1, Math.floor(t.registers / 2 / Math.max(1, s.accumulators)));
  const cols = Math.max(1, hi(s.cols));
  // A matrix read across its rows: long pieces of each, asked for some rows ahead.
  const ahead = s.passes === 1 && cols >= 4 * rowsAhead && isFar(t, hi(s.rows) * cols, s.dtypes) && t.prefetch ? rowsAhead : 0;
  const unroll = s.passes ? clamp(Math.min(floorPower(room), hi(s.lane) / vector), 1, ahead ? 8 : 4) : 1;
  const share = Math.ceil(hi(s.rows) / (4 * t.parallel));
  const wide = vector * unroll;
  const block = Math.ceil(clamp(Math.max(worth / cols, wide), 1, Math.max(worth / cols, s.passes ? share : worth, 1)) / wide) * wide;
  const stream = !s.passes && s.written >= streamed;
  return { ...base, vector, unroll, threads: 1, turn: 1, block, stream, ahead: stream && t.prefetch ? pagesAhead : ahead };
}

/** Rows of a chunk, at least: its sums are added up by another kernel. */
const chunkRows = 48;

/**
 * A tiling for whole rows of a matrix that no cache holds, whose columns are summed in chunks of rows; undefined where its columns are
 * better taken by themselves. The lanes' axis is the only kept one.
 */
export function tileWhole(t: Target, s: SpaceSizes): { readonly tiling: SpaceTiling; readonly chunks: number } | undefined {
  const cols = hi(s.cols);
  const chunks = 2 * t.parallel;
  if (t.threads > 1 || s.passes !== 1 || s.large.length !== 1 || cols < chunkRows * chunks) return undefined;
  if (!isFar(t, hi(s.rows) * cols, s.large) || s.rows !== s.lane) return undefined;
  const sums = hi(s.rows) * s.accumulators * bytesOf("f64");
  if (sums > (t.caches[0] ?? 1 << 15)) return undefined;
  const vector = lanesFor(t, s.lane, s.dtypes);
  const together = t.streams ?? 1;
  const unroll = clamp(floorPower(hi(s.lane) / vector), 1, t.loadsFirst || together > 1 ? 4 : 8);
  return { tiling: { ...tileKept(t, s), vector, unroll, together, ahead: together > 1 ? 0 : t.prefetch }, chunks };
}

/** A tiling with lanes along the reduced axes. */
export function tileReduced(t: Target, s: SpaceSizes): SpaceTiling {
  const cols = Math.max(1, hi(s.cols));
  const rows = Math.max(1, hi(s.rows));
  const vector = lanesFor(t, s.lane, s.dtypes);
  const single = s.passes === 1 && !s.sweeps;
  if (t.threads === 1) {
    // What caches hold is read from several rows at once; memory in as many streams as the target likes, or in one that is asked for ahead.
    const far = single && isFar(t, rows * cols, s.dtypes);
    const several = single && rows >= 16 * t.parallel && cols >= 256;
    const apart = far && several && t.streams !== undefined && s.large.length > 0;
    const ahead = far && !apart ? t.prefetch : 0;
    const together = apart ? Math.max(1, Math.floor(t.streams / s.large.length)) : several && !far && s.accumulators === 1 ? 4 : 1;
    const room = Math.max(1, Math.floor(t.registers / 2 / Math.max(1, s.accumulators * together)));
    // As many bytes of a stream in each turn, however narrow its elements are.
    const narrow = ahead && s.large.length && Math.max(...s.large.map(bytesOf)) <= 2;
    const unroll = clamp(Math.min(floorPower(room), hi(s.lane) / vector), 1, narrow ? 8 : 4);
    const turn = clamp(
      Math.min(
        Math.ceil(rows / together),
        (8 * worth) / (cols * together),
        Math.max(rows / (4 * t.parallel * together), worth / (cols * together)),
      ),
      1,
      1 << 20,
    );
    return {
      lanes: "reduced",
      vector,
      unroll,
      together,
      apart,
      threads: 1,
      rowThreads: 1,
      turn,
      block: 0,
      hold: "shared",
      stream: s.sweeps && s.written >= streamed,
      ahead,
      ...(!single && t.prefetch > 0 && isFar(t, rows * cols, s.dtypes) && { later: true }),
    };
  }
  const base = {
    lanes: "reduced",
    turn: 1,
    block: 0,
    stream: false,
    ahead: 0,
  } as const;
  if (single && cols <= 1 << 15) {
    // The widest access of what is read once, eight of them in flight. A warp has a row, and waits for nobody. Several warps share rows
    // where there are few, or four rows of one matrix, so that what rows share is read less often; two long ones, so that more grid points run,
    // which have less in flight each.
    const wide = s.large.length ? lanesFor(t, s.lane, s.large) : vector;
    const most = clamp(t.threads, 32, 512);
    const few = rows < 6 * t.parallel && cols >= 128 * wide && most >= 128;
    const many = rows >= 32 * t.parallel;
    const four = !few && !many && s.accumulators === 1 && cols >= 128 * wide && most >= 512;
    const rowThreads = few || four ? 128 : 32;
    const long = four && cols >= 1024 * wide;
    const together = long || many ? 2 : four ? 4 : 1;
    const unroll = clamp((long ? 4 : 8) / (together * floorPower(s.accumulators)), 1, Math.max(1, Math.ceil(cols / (rowThreads * wide))));
    const threads = many || rows * rowThreads < 64 * most ? Math.min(most, 128) : most;
    const staged = t.early === true;
    return { ...base, vector: wide, unroll, together, threads, rowThreads, hold: "nothing", staged };
  }
  if (t.warp && t.threads >= 4 * t.warp && cols <= t.warp * 32 && (divides(4, s.rows) || rows >= 4 * t.parallel)) {
    // A warp has the whole row, and nobody waits for another warp.
    const unroll = Math.ceil(cols / (t.warp * vector));
    return { ...base, vector, unroll, together: 1, threads: 4 * t.warp, rowThreads: t.warp, hold: "registers" };
  }
  let unroll = 1;
  while (cols / (vector * unroll) > t.threads / 4 && unroll * vector < 32) unroll *= 2;
  const rowThreads = Math.min(t.threads, Math.ceil(cols / (vector * unroll) / 32) * 32);
  const hold = rowThreads * unroll * vector >= cols ? "registers" : "nothing";
  return { ...base, vector, unroll, together: 1, threads: rowThreads, rowThreads, hold };
}
