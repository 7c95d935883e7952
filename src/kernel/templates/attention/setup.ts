/** What attention's kernels share: sizes, operands, scratch, and the one loop nest that all their products are. */
import { computeDType, type DType } from "../../../core/dtype.js";
import { add, ceilDiv, type Dim, div, divides, hi, indexOn, lo, max, min, mul, sub, variable } from "../../../core/expr.js";
import type { Shape } from "../../../core/type.js";
import type { Node } from "../../../ir/node.js";
import { flatten } from "../../../ops/movement.js";
import type { Target } from "../../codegen.js";
import { type Evaluator, makeEvaluator, namesFor } from "../../evaluate.js";
import { type Group, groupBuffers } from "../../group.js";
import {
  type Axis,
  apply,
  at,
  axis,
  type Buffer,
  below,
  constant,
  indexValue,
  load,
  loops,
  type Stmt,
  store,
  type Value,
} from "../../kernel.js";
import { type AttentionTiling, tileAttention } from "./tiling.js";

export interface Attention {
  readonly group: Group;
  readonly t: AttentionTiling;
  readonly dtype: DType;
  readonly causal: boolean;
  readonly scale: number;
  /** [..., heads] of queries. */
  readonly batch: Shape;
  /** Query heads that share a key head. */
  readonly shared: number;
  readonly queries: Dim;
  readonly keys: Dim;
  /** Sizes of a query and of a value. */
  readonly depth: number;
  readonly width: number;
  readonly buffers: ReadonlyMap<Node, Buffer>;
  /** Axes of a tile's queries: vectors, lanes, and the position in the tile. */
  readonly J: Axis;
  readonly L: Axis;
  readonly lane: Dim;
  name(stem: string): string;
  scratch(stem: string, size: Dim, type?: DType): Buffer;
  register(stem: string, size: number, type?: DType): Buffer;
  /** Registers of a dtype. */
  fragment(stem: string, dtype: DType, size: number): Buffer;
  /** All scratch, registers included. */
  made(): readonly Buffer[];
  /** An element of an operand, widened. */
  read(node: Node, index: readonly Dim[], into: Stmt[]): Value;
  /** An element of an operand as it is. */
  plain(node: Node, index: readonly Dim[], into: Stmt[]): Value;
  /** Where an element [..., head, query, d] of the result lies. */
  placeOf(index: readonly Dim[]): Dim;
  op(op: Parameters<typeof apply>[0], ...args: readonly Value[]): Value;
  number(value: number): Value;
}

export const sizesOf = (node: Node): { batch: Shape; queries: Dim; keys: Dim; depth: Dim; width: Dim; keyHeads: Dim; heads: Dim } => {
  const [q, k, v] = node.inputs.slice(0, 3).map((x) => x.type.shape) as [Shape, Shape, Shape];
  return {
    batch: q.slice(0, -2),
    queries: q.at(-2)!,
    keys: k.at(-2)!,
    depth: q.at(-1)!,
    width: v.at(-1)!,
    heads: q.length > 2 ? q.at(-3)! : 1,
    keyHeads: k.length > 2 ? k.at(-3)! : 1,
  };
};

export function setUp(group: Group, target: Target): Attention {
  const root = group.root!;
  const { batch, queries, keys, depth, width, heads, keyHeads } = sizesOf(root);
  const dtype = computeDType(root.inputs[0]!.type.dtype);
  const t = tileAttention(dtype, target);
  const name = namesFor(group);
  const buffers = groupBuffers(group);
  const evaluator: Evaluator = makeEvaluator(group, buffers);
  const own: Buffer[] = [];
  const keep = (b: Buffer): Buffer => {
    own.push(b);
    return b;
  };
  const J = axis(name("j"), t.abreast, "unroll");
  const L = axis(name("l"), t.vector, "vector");
  return {
    group,
    t,
    dtype,
    causal: root.attrs.causal as boolean,
    scale: root.attrs.scale as number,
    batch,
    shared: heads === keyHeads ? 1 : (heads as number) / (keyHeads as number),
    queries,
    keys,
    depth: depth as number,
    width: width as number,
    buffers,
    J,
    L,
    lane: add(mul(at(J), t.vector), at(L)),
    name,
    scratch: (stem, size, type = dtype) => keep({ name: stem, dtype: type, space: "shared", size }),
    register: (stem, size, type = dtype) => own.find((b) => b.name === stem) ?? keep({ name: stem, dtype: type, space: "reg", size }),
    fragment: (stem, type, size) => keep({ name: stem, dtype: type, space: "reg", size }),
    made: () => [...own, ...evaluator.locals],
    read: (node, index, into) => {
      const v = evaluator.scope().value(node, index, into);
      return v.dtype === dtype || v.dtype === "bool" ? v : apply("cast", dtype, v);
    },
    plain: (node, index, into) => evaluator.scope().value(node, index, into),
    placeOf(index) {
      const shape = [...batch, queries, width];
      const turn = <T>(x: readonly T[]): T[] => [...x.slice(0, -3), x.at(-2)!, x.at(-3)!, x.at(-1)!];
      return root.attrs.rows ? flatten(turn(index), turn(shape)) : flatten(index, shape);
    },
    op: (op, ...args) => apply(op, dtype, ...args),
    number: (value) => constant(value, dtype),
  };
}

/** A name for a position below `size`, where sizes are symbolic: bounds of what follows stay simple. */
export function position(x: Attention, stem: string, value: Dim, size: Dim, into: Stmt[]): Dim {
  if (typeof value === "number" || typeof size === "number") return value;
  const label = x.name(stem);
  into.push({ kind: "letIndex", name: label, value: indexValue(value, "i64"), min: 0, max: sub(size, 1) });
  return indexOn(label, size);
}
/** A name for an integer of 0 to `most`. */
export function named(x: Attention, stem: string, value: Dim, most: Dim, into: Stmt[]): Dim {
  if (typeof value === "number") return value;
  const label = x.name(stem);
  into.push({ kind: "letIndex", name: label, value: indexValue(value, "i64"), min: 0, max: most });
  return indexOn(label, add(most, 1));
}
/** Where the first query stands among the keys: 0, or what the device says, if it is not so far away that nothing or everything is seen. */
export function standing(x: Attention, index: readonly Dim[], into: Stmt[]): Dim {
  const root = x.group.root!;
  if (!root.attrs.offset) return 0;
  const offset = root.inputs.at(-1)!;
  const place = offset.type.shape.map((d, i) => (d === 1 ? 0 : index[i]!));
  const label = x.name("offset");
  const least = -Math.min(hi(x.queries), 2 ** 30);
  into.push({ kind: "letIndex", name: label, value: x.plain(offset, place, into), min: least, max: x.keys });
  return variable(label, least, hi(x.keys));
}
/** Keys that the queries before `end` see. */
export const seen = (x: Attention, start: Dim, end: Dim): Dim => (x.causal ? max(0, min(x.keys, add(start, end))) : x.keys);

/** Statements that run where `a < b`, which is known, so that indices inside can be shown to be in bounds. */
export const given = (a: Dim, b: Dim, body: readonly Stmt[]): readonly Stmt[] =>
  lo(sub(b, a)) > 0 ? body : [{ kind: "if", test: below(a, b), body }];
/** The head of keys that serves a query's head. */
export const keyBatch = (x: Attention, index: readonly Dim[]): Dim[] =>
  x.shared === 1 ? [...index] : [...index.slice(0, -1), div(index.at(-1)!, x.shared)];
/** A position that is never beyond the last one: lanes and rows past the edge repeat it. */
export const clamped = (position: Dim, tile: number, size: Dim): Dim =>
  tile > 0 && divides(tile, size) ? position : min(position, sub(size, 1));
/** Statements for every query of a tile. */
export const lanes = (x: Attention, body: readonly Stmt[]): readonly Stmt[] => loops([x.J, x.L], body);

/** A product of one column of scalars and one row of vectors at a time, added up in registers over `inner`. */
export interface Product {
  readonly stem: string;
  /** Rows of the result, how many at a time, and vectors abreast of each. */
  readonly count: Dim;
  readonly rows: number;
  readonly J: Axis;
  readonly L: Axis;
  readonly vector: number;
  readonly inner: Axis;
  /** Scalars and vectors are words of two neighbours along the inner axis. */
  readonly pairs?: true;
  scalar(row: Dim, into: Stmt[]): Value;
  /** The vector at `lane`. */
  row(lane: Dim, into: Stmt[]): Value;
  start(row: Dim, lane: Dim): Value;
  /** What becomes of the sums of `rows` rows from `first` on. `each` makes statements for every cell. */
  finish(first: Dim, each: (body: (row: Dim, lane: Dim, value: Value) => readonly Stmt[]) => readonly Stmt[]): readonly Stmt[];
}
export function product(x: Attention, p: Product): readonly Stmt[] {
  if (typeof p.count === "number" && p.count % p.rows) {
    const full = Math.floor(p.count / p.rows);
    const rest = p.count % p.rows;
    return [...(full ? blocks(x, p, full, p.rows, 0, p.stem) : []), ...blocks(x, p, 1, rest, full * p.rows, `${p.stem}_rest`)];
  }
  return blocks(x, p, ceilDiv(p.count, p.rows), p.rows, 0, p.stem);
}
function blocks(x: Attention, p: Product, count: Dim, rows: number, from: number, stem: string): readonly Stmt[] {
  const { J, L } = p;
  const size = (J.size as number) * p.vector;
  const T = axis(x.name(`${stem}_t`), count, "loop");
  const I = axis(x.name(`${stem}_i`), rows, "unroll");
  const acc = x.register(`${stem}_acc`, rows * size);
  const held = p.pairs ? "u32" : x.dtype;
  // What several rows share stays in registers.
  const wide = rows > 1 ? x.register(`${stem}_row`, size, held) : undefined;
  const lane = add(mul(at(J), p.vector), at(L));
  const first = add(from, mul(at(T), rows));
  const row = add(first, at(I));
  const cell = add(mul(at(I), size), lane);
  const each = (body: (row: Dim, lane: Dim, value: Value) => readonly Stmt[]): readonly Stmt[] =>
    loops([I, J, L], body(row, lane, load(acc, cell)));
  const column = x.register(`${stem}_column`, rows, held);
  const read: Stmt[] = [];
  const value = p.scalar(row, read);
  const beside: Stmt[] = [];
  const vector = p.row(lane, beside);
  const sum = x.op(p.pairs ? "dot2" : "fma", load(column, at(I)), wide ? load(wide, lane) : vector, load(acc, cell));
  const update = store(acc, cell, sum);
  return loops(
    [T],
    [
      ...loops([I, J, L], [store(acc, cell, p.start(row, lane))]),
      ...loops(
        [p.inner],
        [
          ...(wide ? loops([J, L], [...beside, store(wide, lane, vector)]) : []),
          ...loops([I], [...read, store(column, at(I), value), ...loops([J, L], wide ? [update] : [...beside, update])]),
        ],
      ),
      ...p.finish(first, each),
    ],
  );
}

/** A score with its masks: scaled already. `query` may differ from lane to lane; it sees keys up to `last`. */
function masked(x: Attention, s: Value, index: readonly Dim[], query: Dim, key: Dim, last: Dim | undefined, into: Stmt[]): Value {
  const none = x.number(Number.NEGATIVE_INFINITY);
  let v = s;
  if (last !== undefined) v = x.op("where", apply("le", "bool", indexValue(key, "i32"), indexValue(last, "i32")), v, none);
  if (!x.group.root!.attrs.mask) return v;
  const mask = x.group.root!.inputs[3]!;
  const shape = mask.type.shape;
  const place = [...index, clamped(query, x.t.queries, x.queries), clamped(key, x.t.keys, x.keys)].map((d, i) => (shape[i] === 1 ? 0 : d));
  const m = x.read(mask, place, into);
  return mask.type.dtype === "bool" ? x.op("where", m, v, none) : x.op("add", v, m);
}

/** Scores of a tile of keys, masked: `leave` gets a row's place in the tile. Blocks that the diagonal does not cross skip its test. */
export function scores(
  x: Attention,
  o: {
    readonly q: Buffer;
    readonly index: readonly Dim[];
    readonly q0: Dim;
    /** Where the first query of all stands. */
    readonly start: Dim;
    readonly k0: Dim;
    readonly count: Dim;
    /** `count` is a multiple of it, or ends with the keys. */
    readonly step: number;
    /** Words of a key, where `q` holds words: products are not scaled yet then. */
    readonly words?: (key: Dim, word: Dim) => Value;
    /** Keys at a time, where they are not as many as elsewhere. */
    readonly rows?: number;
    leave(row: Dim, lane: Dim, s: Value): readonly Stmt[];
  },
): readonly Stmt[] {
  const { t } = x;
  const { words, rows = t.rows } = o;
  const inner = axis(x.name("s_d"), words ? x.depth / 2 : x.depth, "loop");
  const key = x.group.root!.inputs[1]!;
  const from = keyBatch(x, o.index);
  // Where the device says how many keys are seen, bounds do not tell that whole blocks of rows end with them.
  const place = (row: Dim): Dim => clamped(add(o.k0, row), x.group.root!.attrs.offset ? 0 : o.step, x.keys);
  return product(x, {
    stem: "s",
    count: o.count,
    rows,
    J: x.J,
    L: x.L,
    vector: t.vector,
    inner,
    ...(words && { pairs: true }),
    scalar: (row, into) => (words ? words(place(row), at(inner)) : x.read(key, [...from, place(row), at(inner)], into)),
    row: (lane) => load(o.q, add(mul(at(inner), t.queries), lane)),
    start: () => x.number(0),
    finish: (first, each) => {
      const make = (diagonal: boolean): readonly Stmt[] =>
        each((row, lane, s) => {
          const into: Stmt[] = [];
          const scaled = words ? x.op("mul", s, x.number(x.scale)) : s;
          const v = masked(x, scaled, o.index, add(o.q0, lane), add(o.k0, row), diagonal ? add(o.start, o.q0, lane) : undefined, into);
          return [...into, ...o.leave(row, lane, v)];
        });
      const body: readonly Stmt[] = x.causal
        ? [{ kind: "if", test: below(add(o.start, o.q0), add(o.k0, first, rows - 1)), body: make(true), else: make(false) }]
        : make(false);
      return body;
    },
  });
}
/** Copies a tile of queries (or of what belongs to them), lanes along queries. */
export function transposed(
  x: Attention,
  node: Node,
  index: readonly Dim[],
  q0: Dim,
  depth: number,
  into: Buffer,
  by: number,
): readonly Stmt[] {
  const qi = axis(x.name("qi"), x.t.queries, "loop");
  const d = axis(x.name("qd"), depth, "loop");
  const body: Stmt[] = [];
  const v = x.read(node, [...index, clamped(add(q0, at(qi)), x.t.queries, x.queries), at(d)], body);
  return loops([qi, d], [...body, store(into, add(mul(at(d), x.t.queries), at(qi)), by === 1 ? v : x.op("mul", v, x.number(by)))]);
}
