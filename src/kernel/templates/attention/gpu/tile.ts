/** Tiles of operands in shared memory, as matrix units read them. */
import { bytesOf, type DType } from "../../../../core/dtype.js";
import { add, type Dim, div, divides, indexOn, min, mod, mul, stride, sub, substitute } from "../../../../core/expr.js";
import type { Node } from "../../../../ir/node.js";
import { at, axis, type Buffer, below, load, loops, ref, type Stmt, store, type Value } from "../../../kernel.js";
import { rounded } from "../../contract/feed.js";
import type { Attention } from "../setup.js";

/** Rows of an operand that threads put into shared memory together; rows beyond the last repeat it. */
export interface Tile {
  readonly stem: string;
  readonly node: Node;
  /** The head. */
  readonly head: readonly Dim[];
  /** The first row, how many, and how many there are. */
  readonly first: Dim;
  readonly rows: number;
  readonly of: Dim;
  readonly columns: number;
  readonly into: Buffer;
  readonly from: Dim;
}

/** Elements from one row of a tile to the next: rows start in different banks. */
export const pitch = (columns: number, dtype: DType): number => columns + 16 / bytesOf(dtype);

/** A buffer for tiles. */
export const tileBuffer = (name: string, node: Node, rows: number, columns: number, slots = 1): Buffer => ({
  name,
  dtype: node.type.dtype,
  space: "shared",
  size: slots * rows * pitch(columns, node.type.dtype),
});

/** Fills a tile: in the background where elements lie side by side in memory. */
export function fillTile(x: Attention, threads: number, tid: Dim, t: Tile): readonly Stmt[] {
  const piece = 16 / bytesOf(t.into.dtype);
  const across = t.columns / piece;
  const total = t.rows * across;
  const P = axis(x.name(`${t.stem}_p`), Math.ceil(total / threads), "unroll");
  const V = axis(x.name(`${t.stem}_v`), piece, "vector");
  const number = add(mul(at(P), threads), tid);
  const [r, c] = [div(number, across), mul(mod(number, across), piece)];
  const row = divides(t.rows, t.of) ? add(t.first, r) : min(add(t.first, r), sub(t.of, 1));
  const to = add(t.from, mul(r, pitch(t.columns, t.into.dtype)), c);
  const before: Stmt[] = [];
  const value = x.plain(t.node, [...t.head, row, add(c, at(V))], before);
  const first = value.kind === "load" && !before.length ? substitute(value.index, new Map([[V.name, 0]])) : undefined;
  const plain =
    value.kind === "load" &&
    first !== undefined &&
    stride(value.index, V.name) === 1 &&
    divides(piece, first) &&
    [...x.buffers.values()].find((b) => b.name === value.buffer)?.dtype === t.into.dtype;
  const body: readonly Stmt[] = plain
    ? [{ kind: "copy", to: ref(t.into, to), from: { buffer: value.buffer, index: first }, count: piece }]
    : loops([V], [...before, store(t.into, add(to, at(V)), value)]);
  return loops([P], total % threads ? [{ kind: "if", test: below(number, total), body }] : body);
}

/** Rounds what a thread has put into a tile, for units that ignore the last bits. */
export function roundTile(
  x: Attention,
  threads: number,
  tid: Dim,
  t: Pick<Tile, "stem" | "rows" | "columns" | "into" | "from">,
): readonly Stmt[] {
  const piece = 16 / bytesOf(t.into.dtype);
  const across = t.columns / piece;
  const total = t.rows * across;
  const P = axis(x.name(`${t.stem}_p`), Math.ceil(total / threads), "unroll");
  const V = axis(x.name(`${t.stem}_v`), piece, "vector");
  const number = add(mul(at(P), threads), tid);
  const place = add(t.from, mul(div(number, across), pitch(t.columns, t.into.dtype)), mul(mod(number, across), piece), at(V));
  const body = loops([V], [store(t.into, place, rounded(load(t.into, place)))]);
  return loops([P], total % threads ? [{ kind: "if", test: below(number, total), body }] : body);
}

/** Numbers, one for each row, that threads put into shared memory together; rows beyond the last repeat it. */
export function fillRow(
  threads: number,
  tid: Dim,
  t: Pick<Tile, "first" | "rows" | "of" | "into" | "from"> & { readonly name: string; value(row: Dim, into: Stmt[]): Value },
): readonly Stmt[] {
  const P = axis(t.name, Math.ceil(t.rows / threads), "unroll");
  const number = add(mul(at(P), threads), tid);
  const row = divides(t.rows, t.of) ? add(t.first, number) : min(add(t.first, number), sub(t.of, 1));
  const before: Stmt[] = [];
  const value = t.value(row, before);
  const to = add(t.from, number);
  const body: readonly Stmt[] =
    value.kind === "load" && !before.length
      ? [{ kind: "copy", to: ref(t.into, to), from: { buffer: value.buffer, index: value.index }, count: 1 }]
      : [...before, store(t.into, to, value)];
  return loops([P], t.rows % threads ? [{ kind: "if", test: below(number, t.rows), body }] : body);
}

/** An operand as rows of a buffer: where a tile's begin. */
export interface TileRows {
  readonly buffer: string;
  readonly columns: number;
  origin(head: readonly Dim[], row: Dim): readonly [Dim, Dim];
}
/** Rows of `width` elements that lie in whole rows of a buffer, as tiles are copied; undefined where they are computed or lie otherwise. */
export function rowsOf(x: Attention, node: Node, heads: readonly Dim[], of: Dim, width: number): TileRows | undefined {
  const names = heads.map((_, i) => x.name(`tile_h${i}`));
  const [row, column] = [x.name("tile_r"), x.name("tile_c")];
  const before: Stmt[] = [];
  const value = x.plain(node, [...heads.map((d, i) => indexOn(names[i]!, d)), indexOn(row, of), indexOn(column, width)], before);
  if (value.kind !== "load" || before.length || stride(value.index, column) !== 1) return undefined;
  const columns = stride(value.index, row);
  const buffer = [...x.buffers.values()].find((b) => b.name === value.buffer);
  if (columns === undefined || columns < width || columns % 8 || buffer?.dtype !== node.type.dtype || !divides(columns, buffer.size))
    return undefined;
  const first = substitute(
    value.index,
    new Map<string, Dim>([
      [row, 0],
      [column, 0],
    ]),
  );
  const [down, across] = [div(first, columns), mod(first, columns)];
  if (!divides(width, across) && across !== 0) return undefined;
  return {
    buffer: value.buffer,
    columns,
    origin: (head, r) => {
      const here = new Map(names.map((n, i) => [n, head[i]!]));
      return [add(substitute(down, here), r), substitute(across, here)];
    },
  };
}
