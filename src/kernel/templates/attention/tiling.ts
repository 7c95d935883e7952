/** Decisions about attention kernels as plain data, from a Target. */
import { bytesOf, type DType } from "../../../core/dtype.js";
import { type Dim, hi } from "../../../core/expr.js";
import type { Target } from "../../codegen.js";

export interface AttentionTiling {
  /** Lanes of a vector, and vectors abreast: queries of a tile are lanes. */
  readonly vector: number;
  readonly abreast: number;
  /** Queries of a tile: `vector * abreast`. */
  readonly queries: number;
  /** Keys of a tile, a multiple of `rows` and of every number of rows that `rowsFor` gives. */
  readonly keys: number;
  /** Keys whose scores are in registers together. */
  readonly rows: number;
  /** Registers for accumulators. */
  readonly accumulators: number;
}

/** Tiles such that scores of a tile stay in L1 or close to it, and that accumulators fill three quarters of the registers. */
export function tileAttention(dtype: DType, target: Target): AttentionTiling {
  const vector = Math.max(1, (target.lanes * 4) / bytesOf(dtype));
  const abreast = target.registers >= 32 ? 4 : 2;
  // Beside accumulators, registers hold a row of a tile and an element of the other operand; or all of a step's, where loads come first.
  const rows = target.loadsFirst ? 4 : 6;
  const accumulators = rows * abreast;
  const queries = vector * abreast;
  const most = (target.caches[1] ?? 1 << 18) / 8 / (queries * bytesOf(dtype));
  return { vector, abreast, queries, keys: most < 96 ? 48 : 96, rows, accumulators };
}

/** Into how many vectors abreast and rows a tile with `width` lanes along its second axis is cut. */
export function blockFor(t: AttentionTiling, width: number): { readonly abreast: number; readonly rows: number } {
  const vectors = width / t.vector;
  const abreast = [4, 3, 2, 1].find((n) => n <= t.abreast && vectors % n === 0)!;
  const rows = [12, 8, 6, 4].find((r) => r * abreast <= t.accumulators)!;
  return { abreast, rows };
}

/** Rows at a time for an axis of fixed size: a divisor where there is one, so that no block is left over. */
export const rowsOf = (t: AttentionTiling, size: number): number =>
  [6, 5, 4].find((r) => r <= t.rows && size % r === 0) ?? Math.min(t.rows, size);

/** Decisions about few queries. */
export interface DecodeTiling {
  /** Keys of a tile. */
  readonly keys: number;
  /** Rows and keys whose products are in registers together, and lanes along the head. */
  readonly rows: number;
  readonly abreast: number;
  readonly depthLanes: number;
  /** Lanes along values, and vectors abreast of them. */
  readonly widthLanes: number;
  readonly columns: number;
  /** Into how many shares the keys of a head are cut. */
  readonly splits: number;
}

/** Tiles such that scores stay in L1; heads of keys that would leave threads idle are cut where they are long. */
export function tileDecode(
  dtype: DType,
  target: Target,
  s: { readonly rows: number; readonly keys: Dim; readonly depth: number; readonly width: number; readonly heads: Dim },
): DecodeTiling {
  const vector = Math.max(1, (target.lanes * 4) / bytesOf(dtype));
  const lanesOf = (size: number): number => {
    let n = vector;
    while (size % n) n /= 2;
    return n;
  };
  const [depthLanes, widthLanes] = [lanesOf(s.depth), lanesOf(s.width)];
  const accumulators = target.registers >= 32 ? 16 : 8;
  const rows = Math.min(s.rows, target.registers >= 32 ? 8 : 4);
  const columns = [8, 4, 3, 2, 1].find((n) => (s.width / widthLanes) % n === 0 && (n === 1 || n * rows <= 1.5 * accumulators))!;
  const abreast = [8, 4, 2, 1].find((n) => n * rows <= accumulators)!;
  const most = s.rows <= 8 ? 256 : 128;
  const keys = Math.min(most, Math.ceil(Math.max(1, hi(s.keys)) / vector) * vector);
  return { keys: Math.ceil(keys / 8) * 8, rows, abreast, depthLanes, widthLanes, columns, splits: splitsOf(target, s.heads, s.keys, most) };
}
/** Shares such that most threads have work at the end, of at least two tiles each at the greatest length. */
function splitsOf(target: Target, heads: Dim, keys: Dim, tile: number): number {
  const busy = (n: number): number => n / (Math.ceil(n / target.parallel) * target.parallel);
  if (typeof heads !== "number" || busy(heads) >= 0.75) return 1;
  const most = Math.min(16 * target.parallel, Math.floor(hi(keys) / (2 * tile)));
  for (let n = 2; n <= most; n++) if (busy(heads * n) >= 0.9) return n;
  return Math.max(1, most >= 2 && heads * most <= target.parallel ? most : 1);
}
