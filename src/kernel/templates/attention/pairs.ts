/**
 * What attention of bf16 on a CPU shares whose vectors multiply pairs of neighbours: where operands lie, and how their pairs come side by
 * side. Weights and cotangents of scores are rounded to bf16 on their way, sums are f32.
 */
import { add, type Dim, div, hi, mul, stride, variable } from "../../../core/expr.js";
import type { Node } from "../../../ir/node.js";
import type { Target } from "../../codegen.js";
import { apply, at, axis, type Buffer, constant, loops, ref, type Stmt, store, type Value, wordAt } from "../../kernel.js";
import { rowWords } from "../../units.js";
import { type Attention, type Product, product } from "./setup.js";

/** Rows of a register block: any number of keys that pairs allow is in whole blocks of so many. */
export const blockRows = 4;

/** Where the elements of a row of an operand lie side by side in a buffer: (batch..., row, 0), and how far rows are apart. */
export interface Rows {
  readonly buffer: string;
  readonly apart: number;
  at(index: readonly Dim[]): Dim;
}

/** Rows of an operand of bf16 that lie in memory as they are. */
function rowsOf(x: Attention, node: Node): Rows | undefined {
  const at = (index: readonly Dim[]): { readonly buffer: string; readonly index: Dim } | undefined => {
    const into: Stmt[] = [];
    const v = x.plain(node, index, into);
    // What several operands are read from has a name.
    const [first, ...more] = into;
    const read = v.kind === "ref" && first?.kind === "let" && !more.length ? first.value : into.length ? undefined : v;
    return read?.kind === "load" ? { buffer: read.buffer, index: read.index } : undefined;
  };
  const { shape } = node.type;
  const last = shape.length - 1;
  const place = at(shape.map((d, i) => variable(`at${i}`, 0, Math.max(0, hi(d) - 1))));
  const [row, column] = place ? [stride(place.index, `at${last - 1}`), stride(place.index, `at${last}`)] : [];
  if (node.type.dtype !== "bf16" || !place || column !== 1 || row === undefined) return undefined;
  return { buffer: place.buffer, apart: row, at: (index) => at(index)!.index };
}

/** The operands as rows, where pairs are multiplied: whole blocks of queries, of keys and of the words of a head. */
export function pairedRows(x: Attention, target: Target, nodes: readonly Node[]): readonly Rows[] | undefined {
  const whole = (size: Dim, of: number): boolean => typeof size === "number" && size > 0 && size % of === 0;
  const sized = whole(x.queries, x.t.queries) && whole(x.keys, rowWords) && whole(x.depth, 2 * rowWords) && whole(x.width, 2 * rowWords);
  // Where tiles multiply bf16, vectors do so at half the rate of f32's.
  const isFast = target.dots?.has("bf16") && !target.units.some((u) => u.input === "bf16");
  if (!isFast || !target.turns || x.t.vector !== rowWords || x.group.root!.attrs.offset || !sized) return undefined;
  const rows = nodes.map((n) => rowsOf(x, n));
  return rows.every((r) => r !== undefined) ? rows : undefined;
}

/** The bits of a value, rounded to bf16. */
export const roundedBits = (v: Value): Value => apply("bitcast", "u16", apply("cast", "bf16", v));
/** Two such as a word, the first in the lower half. */
export const joined = (low: Value, high: Value): Value => {
  const [a, b] = [low, high].map((v) => apply("cast", "u32", v)) as [Value, Value];
  return apply("or", "u32", a, apply("shl", "u32", b, constant(16, "u32")));
};
/** Two neighbours of a row, `word` counts pairs. */
export const wordOf = (r: Rows, index: readonly Dim[], word: Dim): Value => ({
  kind: "word",
  dtype: "u32",
  buffer: r.buffer,
  index: add(r.at([...index, 0]), mul(word, 2)),
});
export const wordIn = (b: Buffer, row: Dim, width: number, word: Dim): Value => wordAt(b, add(mul(row, width), mul(word, 2)));

/** Words of a tile of queries, lanes along queries: [size / 2][queries]. */
export function turnedWords(
  x: Attention,
  r: Rows,
  index: readonly Dim[],
  q0: Dim,
  size: number,
  to: Buffer,
  stem: string,
): readonly Stmt[] {
  const [q, d] = [axis(x.name(`${stem}q`), x.t.queries / rowWords, "loop"), axis(x.name(`${stem}d`), size / (2 * rowWords), "loop")];
  const [row, word] = [mul(at(q), rowWords), mul(at(d), rowWords)];
  const from = { buffer: r.buffer, index: add(r.at([...index, add(q0, row), 0]), mul(word, 2)) };
  const turn: Stmt = {
    kind: "turn",
    to: ref(to, add(mul(word, x.t.queries), row)),
    toStride: x.t.queries,
    from,
    fromStride: r.apart,
    rows: rowWords,
  };
  return loops([q, d], [turn]);
}
/** Neighbouring rows in pairs, lanes along what they hold: [count / 2][size]. */
export function pairedWords(
  x: Attention,
  node: Node,
  index: readonly Dim[],
  first: Dim,
  count: Dim,
  size: number,
  to: Buffer,
  stem: string,
): readonly Stmt[] {
  const [p, d] = [axis(x.name(`${stem}p`), div(count, 2), "loop"), axis(x.name(`${stem}d`), size / x.t.vector, "loop")];
  const l = axis(x.name(`${stem}l`), x.t.vector, "vector");
  const column = add(mul(at(d), x.t.vector), at(l));
  const body: Stmt[] = [];
  // Elements of bf16 are read as f32, whose upper half they are.
  const bits = [0, 1].map((n) => apply("bitcast", "u32", x.read(node, [...index, add(first, mul(at(p), 2), n), column], body)));
  const word = apply("or", "u32", apply("shr", "u32", bits[0]!, constant(16, "u32")), bits[1]!);
  return loops([p, d, l], [...body, store(to, add(mul(at(p), size), column), word)]);
}
/** A product whose lanes lie along the elements of a row, in as few parts as registers allow. */
export function alongRows(
  x: Attention,
  p: Omit<Product, "J" | "L" | "vector" | "rows" | "pairs"> & { readonly width: number },
): readonly Stmt[] {
  const vectors = p.width / x.t.vector;
  const abreast = [4, 3, 2, 1].find((n) => n <= x.t.abreast && vectors % n === 0)!;
  const across = abreast * x.t.vector;
  const U = axis(x.name(`${p.stem}_u`), vectors / abreast, "loop");
  const column = (l: Dim): Dim => add(mul(at(U), across), l);
  const body = product(x, {
    ...p,
    pairs: true,
    rows: blockRows,
    J: axis(x.name(`${p.stem}_j`), abreast, "unroll"),
    L: axis(x.name(`${p.stem}_l`), x.t.vector, "vector"),
    vector: x.t.vector,
    row: (l, into) => p.row(column(l), into),
    start: (r, l) => p.start(r, column(l)),
    finish: (first, each) => p.finish(first, (cell) => each((r, l, v) => cell(r, column(l), v))),
  });
  return loops([U], body);
}
