import { ArgumentError, ShapeError } from "../core/errors.js";
import { type Dim, max, min, mul, sub } from "../core/expr.js";
import { showShape } from "../core/type.js";
import type { Node } from "../ir/node.js";
import { normalizeDim } from "./dims.js";
import { le, add as plus, where } from "./elementwise.js";
import { expand, permute, reshape, slice, unslice } from "./movement.js";
import { sum } from "./reduce.js";
import { iota } from "./source.js";

/** x with two axes moved to the end. */
function last(x: Node, dim1: number, dim2: number, name: string): Node {
  const rank = x.type.shape.length;
  const [a, b] = [normalizeDim(dim1, rank, name), normalizeDim(dim2, rank, name)];
  if (rank < 2 || a === b)
    throw new ShapeError(`${name}: dims ${dim1} and ${dim2} of ${showShape(x.type.shape)} must be two different axes`);
  const rest = x.type.shape.map((_, i) => i).filter((i) => i !== a && i !== b);
  return permute(x, [...rest, a, b]);
}
const columns = (shape: readonly Dim[], name: string): number => {
  const n = shape.at(-1)!;
  if (typeof n !== "number") throw new ArgumentError(`${name}: the last axis must have a known size`);
  return n;
};

/** The diagonal of two axes, which become one at the end (torch.diagonal). */
export function diagonal(x: Node, offset = 0, dim1 = 0, dim2 = 1): Node {
  const y = last(x, dim1, dim2, "diagonal");
  const batch = y.type.shape.slice(0, -2);
  const m = y.type.shape.at(-2)!;
  const n = columns(y.type.shape, "diagonal");
  const down = Math.max(0, -offset);
  const right = Math.max(0, offset);
  const size = max(0, min(sub(m, down), n - right));
  const flat = reshape(y, [...batch, mul(m, n)]);
  const zeros = batch.map(() => 0);
  if (size === 0) return slice(flat, [...zeros, 0], [...batch, 0]);
  return slice(flat, [...zeros, down * n + right], [...batch, size], [...batch.map(() => 1), n + 1]);
}
/** A matrix with the last axis of x on its diagonal, 0 elsewhere (torch.diag_embed). */
export function diagEmbed(x: Node, offset = 0, dim1 = -2, dim2 = -1): Node {
  const { shape } = x.type;
  const k = columns(shape, "diagEmbed");
  const n = k + Math.abs(offset);
  const batch = shape.slice(0, -1);
  const zeros = batch.map(() => 0);
  const start = Math.max(0, -offset) * n + Math.max(0, offset);
  const flat = unslice(x, [...batch, n * n], [...zeros, start], [...batch.map(() => 1), n + 1]);
  const y = reshape(flat, [...batch, n, n]);
  const rank = shape.length + 1;
  const [a, b] = [normalizeDim(dim1, rank, "diagEmbed"), normalizeDim(dim2, rank, "diagEmbed")];
  const axes: number[] = [];
  for (let i = 0, from = 0; i < rank; i++) axes.push(i === a ? rank - 2 : i === b ? rank - 1 : from++);
  return permute(y, axes);
}
/** A matrix's diagonal, or the matrix that has a vector as its diagonal (torch.diag). */
export function diag(x: Node, offset = 0): Node {
  const rank = x.type.shape.length;
  if (rank !== 1 && rank !== 2) throw new ShapeError(`diag: ${showShape(x.type.shape)} is neither a vector nor a matrix`);
  return rank === 1 ? diagEmbed(x, offset) : diagonal(x, offset);
}
/** Sum of the diagonal of a matrix (torch.trace). */
export const trace = (x: Node): Node => sum(diagonal(x), -1);

/** True where column - row is at most `offset`: the lower triangle. */
function below(x: Node, offset: number, name: string): Node {
  const { shape } = x.type;
  if (shape.length < 2) throw new ShapeError(`${name}: ${showShape(shape)} has no matrices`);
  const [m, n] = shape.slice(-2) as [Dim, Dim];
  const row = reshape(iota(m, "i32"), [m, 1]);
  return expand(le(iota(n, "i32"), offset ? plus(row, offset) : row), shape);
}
/** The lower triangle of the last two axes, 0 above (torch.tril). */
export const tril = (x: Node, offset = 0): Node => where(below(x, offset, "tril"), x, 0);
/** The upper triangle of the last two axes, 0 below (torch.triu). */
export const triu = (x: Node, offset = 0): Node => where(below(x, offset - 1, "triu"), 0, x);
