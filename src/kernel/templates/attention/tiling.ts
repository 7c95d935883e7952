/** Decisions about attention kernels as plain data, from a Target. */
import { bytesOf, type DType } from "../../../core/dtype.js";
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
  const accumulators = 6 * abreast;
  const queries = vector * abreast;
  const most = (target.caches[1] ?? 1 << 18) / 8 / (queries * bytesOf(dtype));
  return { vector, abreast, queries, keys: most < 96 ? 48 : 96, rows: 6, accumulators };
}

/** Into how many vectors abreast and rows a tile with `width` lanes along its second axis is cut. */
export function blockFor(t: AttentionTiling, width: number): { readonly abreast: number; readonly rows: number } {
  const vectors = width / t.vector;
  const abreast = [4, 3, 2, 1].find((n) => n <= t.abreast && vectors % n === 0)!;
  const rows = [12, 8, 6].find((r) => r * abreast <= t.accumulators)!;
  return { abreast, rows };
}

/** Rows at a time for an axis of fixed size: a divisor where there is one, so that no block is left over. */
export const rowsOf = (t: AttentionTiling, size: number): number =>
  [6, 5, 4].find((r) => r <= t.rows && size % r === 0) ?? Math.min(t.rows, size);
