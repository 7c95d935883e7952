import { ArgumentError, ShapeError } from "../core/errors.js";

/** Which axes an op works on: one, several, or all of them (null or left out). Negative ones count from the end. */
export type Dims = number | readonly number[] | null | undefined;

/** A dim in [-rank, rank) as an axis in [0, rank); a rank-0 tensor counts as one of rank 1 (PyTorch's rule). */
export function normalizeDim(dim: number, rank: number, name: string): number {
  if (!Number.isInteger(dim)) throw new ArgumentError(`${name}: dim ${dim} is not an integer`);
  const n = Math.max(rank, 1);
  if (dim < -n || dim >= n)
    throw new ShapeError(`${name}: dim ${dim} is out of range for a tensor of rank ${rank} (expected ${-n} to ${n - 1})`);
  return dim < 0 ? dim + n : dim;
}
/** Axes in increasing order, each once. */
export function normalizeDims(dims: Dims, rank: number, name: string): number[] {
  if (dims === null || dims === undefined) return Array.from({ length: rank }, (_, i) => i);
  const list = (typeof dims === "number" ? [dims] : dims).map((d) => normalizeDim(d, rank, name)).sort((a, b) => a - b);
  if (list.some((d, i) => d === list[i - 1])) throw new ShapeError(`${name}: dims [${dims}] name one axis twice`);
  return rank === 0 ? [] : list;
}
