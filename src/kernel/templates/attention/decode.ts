/**
 * Attention of few queries, as in decoding: a grid point is one head of keys, or a share of its keys, with all queries that it serves, so
 * that a key and a value are read once. Keys beyond what the queries see are never touched: loops end where the device says.
 */
import { bytesOf } from "../../../core/dtype.js";
import { add, ceilDiv, type Dim, div, indexOn, lo, max, min, mod, mul, sub } from "../../../core/expr.js";
import { numel } from "../../../core/type.js";
import type { Node } from "../../../ir/node.js";
import { flatten, unflatten } from "../../../ops/movement.js";
import type { Target } from "../../codegen.js";
import { type Group, hasElements } from "../../group.js";
import { type Axis, apply, at, axis, type Buffer, indexValue, type Kernel, load, loops, type Stmt, store } from "../../kernel.js";
import { emptyKernel, finishKernel } from "../../walk.js";
import { type Attention, given, named, product, seen, setUp, sizesOf, standing } from "./setup.js";
import { type DecodeTiling, tileDecode } from "./tiling.js";

/** Most rows of queries that share a head of keys here; tiles of queries are faster from there on. */
export const mostRows = 32;

/** Whether so few queries meet each head of keys that they are rows of one grid point. */
export function isDecoding(node: Node): boolean {
  const { queries, heads, keyHeads } = sizesOf(node);
  if (typeof queries !== "number") return false;
  const shared = heads === keyHeads ? 1 : typeof heads === "number" && typeof keyHeads === "number" ? heads / keyHeads : mostRows + 1;
  return queries * shared <= mostRows;
}

/** What the parts of the lowering share. */
interface Decode {
  readonly x: Attention;
  readonly t: DecodeTiling;
  /** Query heads of a head of keys, and their queries: rows are numbered through both. */
  readonly H: Axis;
  readonly I: Axis;
  readonly row: Dim;
  /** The head of keys, the first query's place among the keys, and what all queries together see. */
  readonly from: readonly Dim[];
  readonly start: Dim;
  readonly query: readonly Dim[];
  readonly scores: Buffer;
  readonly q: Buffer;
  readonly o: Buffer;
  readonly top: Buffer;
  readonly total: Buffer;
  /** Whether memory is asked for ahead. */
  readonly asks: boolean;
}

/** Bytes of a line of the cache. */
const line = 64;

/** One kernel; two where the keys of a head are shared out and what the shares found is put together. */
export function lowerDecode(group: Group, target: Target): readonly Kernel[] {
  if (!hasElements(group)) return [emptyKernel(group.name)];
  const x = setUp(group, target);
  const queries = x.queries as number;
  const rows = x.shared * queries;
  const t = tileDecode(x.dtype, target, { rows, keys: x.keys, depth: x.depth, width: x.width, heads: numel(keyHeadsOf(x)) });
  const head: Stmt[] = [];
  const grid = mul(numel(keyHeadsOf(x)), t.splits);
  const pid = grid === 1 ? 0 : indexOn("pid", grid);
  const number = named(x, "head", div(pid, t.splits), sub(numel(keyHeadsOf(x)), 1), head);
  const split = mod(pid, t.splits);
  const from = unflatten(number, keyHeadsOf(x));
  const [H, I] = [axis(x.name("h"), x.shared, "loop"), axis(x.name("i"), queries, "loop")];
  const start = standing(x, from, head);
  const d: Decode = {
    x,
    t,
    H,
    I,
    row: add(mul(at(H), queries), at(I)),
    from,
    start,
    query: x.batch.length ? [...from.slice(0, -1), add(mul(from.at(-1)!, x.shared), at(H))] : [],
    scores: x.scratch("scores", rows * t.keys),
    q: x.scratch("queries", rows * x.depth),
    o: x.scratch("sums", rows * x.width),
    top: x.scratch("top", rows),
    total: x.scratch("total", rows),
    asks: target.prefetch > 0,
  };
  const most = ceilDiv(x.keys, t.keys);
  const limit = named(x, "limit", seen(x, start, queries), x.keys, head);
  const blocks = ceilDiv(limit, t.keys);
  const each = ceilDiv(blocks, t.splits);
  const first = mul(split, each);
  const turns = t.splits === 1 ? blocks : named(x, "turns", max(0, min(each, sub(blocks, first))), most, head);
  const B = axis(x.name("b"), turns, "loop");
  const tile: Stmt[] = [];
  const block = named(x, "block", add(first, at(B)), sub(most, 1), tile);
  const k0 = mul(block, t.keys);
  const count = named(x, "count", min(t.keys, sub(limit, k0)), t.keys, tile);
  tile.push(...given(0, x.keys, [...scoresOf(d, k0, count), ...weights(d, k0, count), ...values(d, k0, count)]));
  const body = [...head, ...begin(d), ...loops([B], tile)];
  const make = (name: string, points: Dim, stmts: readonly Stmt[], between: readonly Buffer[] = []): Kernel =>
    finishKernel(name, [...x.buffers.values(), ...between, ...x.made()], points, 1, stmts);
  if (t.splits === 1) return [make(group.name, grid, [...body, ...leave(d)])];
  const parts = partsOf(d, grid);
  const between = Object.values(parts);
  return [
    make(group.name, grid, [...body, ...putAside(d, parts, pid)], between),
    make(`${group.name}_join`, numel(keyHeadsOf(x)), join(d, parts), between),
  ];
}
const keyHeadsOf = (x: Attention): Dim[] => (x.batch.length ? [...x.batch.slice(0, -1), div(x.batch.at(-1)!, x.shared)] : []);

/** Queries, scaled; nothing seen yet. */
function begin(d: Decode): readonly Stmt[] {
  const { x } = d;
  const D = axis(x.name("qd"), x.depth, "loop");
  const body: Stmt[] = [];
  const v = x.read(x.group.root!.inputs[0]!, [...d.query, at(d.I), at(D)], body);
  const scaled = x.op("mul", v, x.number(x.scale));
  const O = axis(x.name("od"), x.width, "loop");
  return loops(
    [d.H, d.I],
    [
      ...loops([D], [...body, store(d.q, add(mul(d.row, x.depth), at(D)), scaled)]),
      ...loops([O], [store(d.o, add(mul(d.row, x.width), at(O)), x.number(0))]),
      store(d.top, d.row, x.number(Number.NEGATIVE_INFINITY)),
      store(d.total, d.row, x.number(0)),
    ],
  );
}

/** Products of all queries with a tile of keys: lanes along the head, some keys and rows at a time. */
function scoresOf(d: Decode, k0: Dim, count: Dim): readonly Stmt[] {
  const { x, t } = d;
  const rows = x.shared * (x.queries as number);
  const out: Stmt[] = [];
  const T = axis(x.name("s_t"), ceilDiv(count, t.abreast), "loop");
  const L = axis(x.name("s_l"), t.depthLanes, "vector");
  const E = axis(x.name("s_e"), x.depth / t.depthLanes, x.depth / t.depthLanes > 8 ? "loop" : "unroll");
  const lane = add(mul(at(E), t.depthLanes), at(L));
  if (d.asks) out.push(...askForValues(d, k0, T));
  for (let first = 0; first < rows; first += t.rows) {
    const some = Math.min(t.rows, rows - first);
    const [U, R] = [axis(x.name("s_u"), t.abreast, "unroll"), axis(x.name("s_r"), some, "unroll")];
    const key = x.register("key", t.abreast * t.depthLanes);
    const acc = x.register(`s_acc${some}`, some * t.abreast * t.depthLanes);
    const wide = x.register("s_q", t.depthLanes);
    const sum = x.register("s_sum", 1);
    const cell = add(mul(add(mul(at(R), t.abreast), at(U)), t.depthLanes), at(L));
    const slot = add(mul(at(U), t.depthLanes), at(L));
    const j = add(mul(at(T), t.abreast), at(U));
    const read: Stmt[] = [];
    const k = x.read(x.group.root!.inputs[1]!, [...d.from, min(add(k0, j), sub(x.keys, 1)), lane], read);
    out.push(
      ...loops([R, U, L], [store(acc, cell, x.number(0))]),
      ...loops(
        [E],
        [
          ...loops([U, L], [...read, store(key, slot, k)]),
          ...loops(
            [R],
            [
              ...loops([L], [store(wide, at(L), load(d.q, add(mul(add(first, at(R)), x.depth), lane)))]),
              ...loops([U, L], [store(acc, cell, x.op("fma", load(wide, at(L)), load(key, slot), load(acc, cell)))]),
            ],
          ),
        ],
      ),
      ...loops(
        [R, U],
        [
          { kind: "combine", op: "add", axes: [L], threads: 1, value: load(acc, cell), into: { buffer: sum.name, index: 0 } },
          store(d.scores, add(mul(add(first, at(R)), t.keys), j), load(sum, 0)),
        ],
      ),
    );
  }
  return loops([T], out);
}

/** The values of some keys are wanted soon after them: asked for together, they keep memory at work between the two products. */
function askForValues({ x, t, from }: Decode, k0: Dim, T: Axis): readonly Stmt[] {
  const U = axis(x.name("v_u"), t.abreast, "unroll");
  const before: Stmt[] = [];
  const key = min(add(k0, mul(at(T), t.abreast), at(U)), sub(x.keys, 1));
  const first = x.plain(x.group.root!.inputs[2]!, [...from, key, 0], before);
  if (before.length || first.kind !== "load") return [];
  const each = line / bytesOf(first.dtype);
  const I = axis(x.name("v_i"), Math.ceil(x.width / each), "unroll");
  return loops([U, I], [{ kind: "prefetch", buffer: first.buffer, index: add(first.index, mul(at(I), each)), second: true }]);
}

/** Masks the scores of a tile and makes weights of them; what was summed before is scaled down. */
function weights(d: Decode, k0: Dim, count: Dim): readonly Stmt[] {
  const { x, t } = d;
  const none = x.number(Number.NEGATIVE_INFINITY);
  const E = axis(x.name("e"), ceilDiv(count, x.t.vector), "loop");
  const L = axis(x.name("l"), x.t.vector, "vector");
  const place = add(mul(at(E), x.t.vector), at(L));
  const cell = add(mul(d.row, t.keys), place);
  const [high, part] = [x.register("high", x.t.vector), x.register("part", x.t.vector)];
  const [most, base, alpha, sum] = ["most", "base", "alpha", "sum"].map((s) => x.register(s, 1)) as [Buffer, Buffer, Buffer, Buffer];
  const last = x.causal ? min(add(d.start, at(d.I)), sub(x.keys, 1)) : sub(x.keys, 1);
  const key = add(k0, place);
  const body: Stmt[] = [];
  let s = load(d.scores, cell);
  if (x.group.root!.attrs.mask) {
    const mask = x.group.root!.inputs[3]!;
    const shape = mask.type.shape;
    const index = [...d.query, at(d.I), min(key, sub(x.keys, 1))].map((p, i) => (shape[i] === 1 ? 0 : p));
    const m = x.read(mask, index, body);
    s = mask.type.dtype === "bool" ? x.op("where", m, s, none) : x.op("add", s, m);
  }
  s = x.op("where", apply("le", "bool", indexValue(key, "i32"), indexValue(last, "i32")), s, none);
  const p = { kind: "ref", dtype: x.dtype, name: "p" } as const;
  const one = { kind: "ref", dtype: x.dtype, name: "s" } as const;
  const before = load(d.top, d.row);
  return loops(
    [d.H, d.I],
    [
      ...loops([L], [store(high, at(L), none), store(part, at(L), x.number(0))]),
      ...loops(
        [E, L],
        [
          ...body,
          { kind: "let", name: "s", value: s },
          store(d.scores, cell, one),
          store(high, at(L), x.op("max", load(high, at(L)), one)),
        ],
      ),
      { kind: "combine", op: "max", axes: [L], threads: 1, value: load(high, at(L)), into: { buffer: most.name, index: 0 } },
      store(most, 0, x.op("max", load(most, 0), before)),
      // A query that has seen nothing yet keeps a base that is a number, or differences of infinities would be none.
      store(base, 0, x.op("where", apply("eq", "bool", load(most, 0), none), x.number(0), load(most, 0))),
      store(alpha, 0, x.op("exp", x.op("sub", before, load(base, 0)))),
      store(d.top, d.row, load(most, 0)),
      ...loops(
        [E, L],
        [
          { kind: "let", name: "p", value: x.op("exp", x.op("sub", load(d.scores, cell), load(base, 0))) },
          store(part, at(L), x.op("add", load(part, at(L)), p)),
          store(d.scores, cell, p),
        ],
      ),
      { kind: "combine", op: "add", axes: [L], threads: 1, value: load(part, at(L)), into: { buffer: sum.name, index: 0 } },
      store(d.total, d.row, x.op("fma", load(d.total, d.row), load(alpha, 0), load(sum, 0))),
      ...across(d, (cell) => [store(d.o, cell, x.op("mul", load(d.o, cell), load(alpha, 0)))]),
    ],
  );
}
/** Statements for the sums of the row that runs. */
function across(d: Decode, body: (cell: Dim, lane: Dim) => readonly Stmt[]): readonly Stmt[] {
  const { x, t } = d;
  const [W, L] = [axis(x.name("w"), x.width / t.widthLanes, "loop"), axis(x.name("wl"), t.widthLanes, "vector")];
  const lane = add(mul(at(W), t.widthLanes), at(L));
  return loops([W, L], body(add(mul(d.row, x.width), lane), lane));
}

/** Adds up a tile of values by their weights. */
function values(d: Decode, k0: Dim, count: Dim): readonly Stmt[] {
  const { x, t } = d;
  const size = t.columns * t.widthLanes;
  const C = axis(x.name("o_c"), x.width / size, "loop");
  const K = axis(x.name("o_k"), count, "loop");
  const body: Stmt[] = [];
  const place = (row: Dim, lane: Dim): Dim => add(mul(row, x.width), mul(at(C), size), lane);
  const made = product(x, {
    stem: "o",
    count: x.shared * (x.queries as number),
    rows: Math.min(t.rows, x.shared * (x.queries as number)),
    J: axis(x.name("o_j"), t.columns, "unroll"),
    L: axis(x.name("o_l"), t.widthLanes, "vector"),
    vector: t.widthLanes,
    inner: K,
    scalar: (row) => load(d.scores, add(mul(row, t.keys), at(K))),
    row: (lane, into) =>
      x.read(x.group.root!.inputs[2]!, [...d.from, min(add(k0, at(K)), sub(x.keys, 1)), add(mul(at(C), size), lane)], into),
    start: (row, lane) => load(d.o, place(row, lane)),
    finish: (_, each) => each((row, lane, value) => [store(d.o, place(row, lane), value)]),
  });
  return loops([C], [...body, ...made]);
}

/** A row's logarithm of its sum, and the sum that is to be divided by: 1 where nothing was seen. */
function ends(d: Decode, top: Buffer, total: Buffer, at_: Dim): { whole: ReturnType<typeof load>; foot: ReturnType<typeof load> } {
  const { x } = d;
  const sum = load(total, at_);
  const blind = x.group.root!.attrs.mask === true || x.group.root!.attrs.offset === true || lo(x.keys) === 0;
  const whole = blind ? x.op("where", apply("eq", "bool", sum, x.number(0)), x.number(1), sum) : sum;
  const none = x.number(Number.NEGATIVE_INFINITY);
  return { whole, foot: x.op("where", apply("eq", "bool", load(top, at_), none), x.number(0), load(top, at_)) };
}
/** Results leave the scratch. */
function leave(d: Decode): readonly Stmt[] {
  const { x } = d;
  const [out, rows] = [0, 1].map((i) => x.group.outputs.find((o) => o.attrs.index === i));
  const { whole, foot } = ends(d, d.top, d.total, d.row);
  const share = x.register("share", 1);
  const shape = [...x.batch, x.queries];
  const query = [...d.query, at(d.I)];
  return loops(
    [d.H, d.I],
    [
      store(share, 0, whole),
      ...(rows ? [store(x.buffers.get(rows)!, flatten(query, shape), x.op("add", foot, x.op("log", load(share, 0))))] : []),
      store(share, 0, x.op("div", x.number(1), load(share, 0))),
      ...(out
        ? across(d, (cell, lane) => [
            store(x.buffers.get(out)!, flatten([...query, lane], [...shape, x.width]), x.op("mul", load(d.o, cell), load(share, 0))),
          ])
        : []),
    ],
  );
}

/** What each share of the keys found, by grid point: sums, greatest scores, sums of weights. */
interface Parts {
  readonly sums: Buffer;
  readonly tops: Buffer;
  readonly totals: Buffer;
}
function partsOf({ x }: Decode, grid: Dim): Parts {
  const rows = mul(grid, x.shared * (x.queries as number));
  const make = (i: number, size: Dim): Buffer => ({ name: `tmp${i}`, dtype: x.dtype, space: "global", size, writes: true });
  return { sums: make(0, mul(rows, x.width)), tops: make(1, rows), totals: make(2, rows) };
}
function putAside(d: Decode, parts: Parts, point: Dim): readonly Stmt[] {
  const { x } = d;
  const row = add(mul(point, x.shared * (x.queries as number)), d.row);
  return loops(
    [d.H, d.I],
    [
      store(parts.tops, row, load(d.top, d.row)),
      store(parts.totals, row, load(d.total, d.row)),
      ...across(d, (cell, lane) => [store(parts.sums, add(mul(row, x.width), lane), load(d.o, cell))]),
    ],
  );
}
/** Puts together what the shares of a head of keys found. */
function join(d: Decode, parts: Parts): readonly Stmt[] {
  const { x, t } = d;
  const heads = numel(keyHeadsOf(x));
  const head: Stmt[] = [];
  const number = heads === 1 ? 0 : indexOn("pid", heads);
  const own = { ...d, from: unflatten(number, keyHeadsOf(x)) };
  const query = x.batch.length ? [...own.from.slice(0, -1), add(mul(own.from.at(-1)!, x.shared), at(d.H))] : [];
  const S = axis(x.name("share_n"), t.splits, "loop");
  const rows = x.shared * (x.queries as number);
  const row = add(mul(add(mul(number, t.splits), at(S)), rows), d.row);
  const none = x.number(Number.NEGATIVE_INFINITY);
  const factor = x.register("factor", 1);
  const O = axis(x.name("jd"), x.width, "loop");
  const base = x.op("where", apply("eq", "bool", load(d.top, d.row), none), x.number(0), load(d.top, d.row));
  head.push(
    ...loops(
      [d.H, d.I],
      [
        store(d.top, d.row, none),
        store(d.total, d.row, x.number(0)),
        ...loops([O], [store(d.o, add(mul(d.row, x.width), at(O)), x.number(0))]),
        ...loops([S], [store(d.top, d.row, x.op("max", load(d.top, d.row), load(parts.tops, row)))]),
        ...loops(
          [S],
          [
            store(factor, 0, x.op("exp", x.op("sub", load(parts.tops, row), base))),
            store(d.total, d.row, x.op("fma", load(parts.totals, row), load(factor, 0), load(d.total, d.row))),
            ...across(d, (cell, lane) => [
              store(d.o, cell, x.op("fma", load(parts.sums, add(mul(row, x.width), lane)), load(factor, 0), load(d.o, cell))),
            ]),
          ],
        ),
      ],
    ),
    ...leave({ ...own, query }),
  );
  return head;
}
