/**
 * Derivatives of attention: a grid point is one head of keys with all query heads that it serves, so that nothing is added up across
 * grid points. For each tile of queries and keys the probabilities are computed again, from the rows' logarithms of sums.
 */
import { add, ceilDiv, type Dim, div, divides, hi, indexOn, min, mul, sub } from "../../../core/expr.js";
import { numel } from "../../../core/type.js";
import type { Node } from "../../../ir/node.js";
import { flatten, unflatten } from "../../../ops/movement.js";
import type { Target } from "../../codegen.js";
import { type Group, hasElements } from "../../group.js";
import { at, axis, type Buffer, below, type Kernel, load, loops, type Stmt, store, type Value } from "../../kernel.js";
import { emptyKernel, finishKernel } from "../../walk.js";
import { type Attention, clamped, given, lanes, position, product, scores, setUp, transposed } from "./setup.js";
import { type AttentionTiling, blockFor, rowsOf } from "./tiling.js";

const padded = (t: AttentionTiling, size: number): number => Math.ceil(size / t.vector) * t.vector;

/** Elements of a thread's sums for one head of keys. */
export const sumsOf = (t: AttentionTiling, keys: Dim, depth: number, width: number): Dim =>
  mul(mul(ceilDiv(keys, t.keys), t.keys), padded(t, depth) + padded(t, width));

export function lowerBackward(group: Group, target: Target): Kernel {
  if (!hasElements(group)) return emptyKernel(group.name);
  const x = setUp(group, target);
  const { t, lane } = x;
  const root = group.root!;
  const [q, , v] = root.inputs as readonly Node[] as [Node, Node, Node];
  const [ct, rows, last] = root.inputs.slice(3 + Number(root.attrs.mask)) as [Node, Node, Node | undefined];
  const shares = root.attrs.shares ? last : undefined;
  const W = t.queries;
  const [dp, ep] = [padded(t, x.depth), padded(t, x.width)];
  const batch = x.batch.length ? [...x.batch.slice(0, -1), div(x.batch.at(-1)!, x.shared)] : [];
  const grid = numel(batch);
  const start: Stmt[] = [];
  const from = unflatten(position(x, "head", grid === 1 ? 0 : indexOn("pid", grid), grid, start), batch);
  const H = axis(x.name("h"), x.shared, "loop");
  const index = x.batch.length ? [...from.slice(0, -1), add(mul(from.at(-1)!, x.shared), at(H))] : [];
  const Q = axis(x.name("tile"), ceilDiv(x.queries, W), "loop");
  const q0 = mul(at(Q), W);
  const limit = x.causal ? min(x.keys, add(q0, W)) : x.keys;
  // Every block of rows that reads a tile finds rows that were written.
  const [forK, forV] = [blockFor(t, dp), blockFor(t, ep)];
  const step = Math.max(forK.rows, forV.rows) > t.rows ? 24 : t.rows;
  const keys = mul(ceilDiv(x.keys, t.keys), t.keys);
  // Without the rows' sums a first sweep makes them, and keeps what the second one needs, for all keys of a tile of queries.
  const held = shares ? t.keys : keys;
  const [qT, gT, dqT] = [x.scratch("qT", x.depth * W), x.scratch("gT", x.width * W), x.scratch("dqT", x.depth * W)];
  const [qN, gN] = [x.scratch("qN", W * dp), x.scratch("gN", W * ep)];
  const [pT, dsT] = [x.scratch("pT", mul(held, W)), x.scratch("dsT", mul(held, W))];
  const [base, share] = [x.scratch("base", W), x.scratch("share", W)];
  const [dk, dv] = [x.scratch("dkS", mul(keys, dp)), x.scratch("dvS", mul(keys, ep))];

  start.push(...fill(x, dk, "zk", dp, keys), ...fill(x, dv, "zv", ep, keys));
  if (dp > x.depth) start.push(...fill(x, qN, "zq", dp, W));
  if (ep > x.width) start.push(...fill(x, gN, "zg", ep, W));

  const inside = (place: Dim, body: readonly Stmt[], otherwise: readonly Stmt[] = []): readonly Stmt[] =>
    divides(W, x.queries) ? body : [{ kind: "if", test: below(place, x.queries), body, else: otherwise }];
  const cell = (r: Dim, l: Dim): Dim => add(mul(r, W), l);
  const D = axis(x.name("qz"), x.depth, "loop");
  const qi = axis(x.name("ri"), W, "loop");
  const row = [...index, add(q0, at(qi))];
  const rowStmts: Stmt[] = [];
  const rowValue = x.read(rows, row, rowStmts);
  const shareValue = shares ? x.read(shares, row, rowStmts) : x.number(0);
  const tile: Stmt[] = [
    ...given(0, x.queries, [
      ...transposed(x, q, index, q0, x.depth, qT, x.scale),
      ...transposed(x, ct, index, q0, x.width, gT, 1),
      ...natural(x, q, index, q0, x.depth, dp, qN, "nq", x.scale),
      ...natural(x, ct, index, q0, x.width, ep, gN, "ng", 1),
    ]),
    ...loops([D], lanes(x, [store(dqT, add(mul(at(D), W), lane), x.number(0))])),
    // A query beyond the end has no probabilities: everything is infinitely below its base.
    ...loops(
      [qi],
      inside(
        add(q0, at(qi)),
        [...rowStmts, store(base, at(qi), rowValue), store(share, at(qi), shareValue)],
        [store(base, at(qi), x.number(Number.POSITIVE_INFINITY)), store(share, at(qi), x.number(0))],
      ),
    ),
  ];

  const key = root.inputs[1]!;
  /** A loop over the tiles of keys that these queries see. */
  const sweep = (stem: string, make: (k: Tile) => readonly Stmt[]): readonly Stmt[] => {
    const B = axis(x.name(`${stem}b`), ceilDiv(limit, t.keys), "loop");
    const before: Stmt[] = [];
    const block = position(x, `${stem}block`, at(B), ceilDiv(x.keys, t.keys), before);
    const k0 = mul(block, t.keys);
    const count = min(t.keys, sub(limit, k0));
    const cell = (r: Dim, l: Dim): Dim => add(mul(add(shares ? 0 : k0, r), W), l);
    return loops([B], [...before, ...make({ k0, count, full: mul(ceilDiv(count, step), step), cell })]);
  };
  /** Probabilities, and what the cotangent makes of them. */
  const probabilities = ({ k0, full, cell }: Tile): readonly Stmt[] => {
    const E = axis(x.name("g_e"), x.width, "loop");
    const leave = (r: Dim, l: Dim, value: Value): readonly Stmt[] => {
      const p = load(pT, cell(r, l));
      if (shares) return [store(dsT, cell(r, l), x.op("mul", p, x.op("sub", value, load(share, l))))];
      return [store(dsT, cell(r, l), value)];
    };
    return given(0, x.keys, [
      ...scores(x, {
        q: qT,
        index,
        q0,
        start: 0,
        k0,
        count: full,
        step,
        leave: (r, l, s) => [store(pT, cell(r, l), x.op("exp", x.op("sub", s, load(base, l))))],
      }),
      ...product(x, {
        stem: "g",
        count: full,
        rows: t.rows,
        J: x.J,
        L: x.L,
        vector: t.vector,
        inner: E,
        scalar: (r, into) => x.read(v, [...from, clamped(add(k0, r), step, x.keys), at(E)], into),
        row: (l) => load(gT, add(mul(at(E), W), l)),
        start: () => x.number(0),
        finish: (_, each) => each(leave),
      }),
    ]);
  };
  const sums = (tile: Tile, stem: "k" | "v", into: Buffer, weights: Buffer, rowsOfTile: Buffer, width: number): readonly Stmt[] => {
    const block = stem === "k" ? forK : forV;
    const across = block.abreast * t.vector;
    const U = axis(x.name(`${stem}_u`), width / across, "loop");
    const inner = axis(x.name(`${stem}_q`), W, "loop");
    const place = (r: Dim, l: Dim): Dim => add(mul(add(tile.k0, r), width), mul(at(U), across), l);
    const body = product(x, {
      stem: `d${stem}`,
      count: mul(ceilDiv(tile.count, block.rows), block.rows),
      rows: block.rows,
      J: axis(x.name(`${stem}_j`), block.abreast, "unroll"),
      L: axis(x.name(`${stem}_l`), t.vector, "vector"),
      vector: t.vector,
      inner,
      scalar: (r) => load(weights, tile.cell(r, at(inner))),
      row: (l) => load(rowsOfTile, add(mul(at(inner), width), mul(at(U), across), l)),
      start: (r, l) => load(into, place(r, l)),
      finish: (_, each) => each((r, l, value) => [store(into, place(r, l), value)]),
    });
    return loops([U], body);
  };
  const derive = (tile: Tile): readonly Stmt[] => {
    const K = axis(x.name("q_e"), tile.count, "loop");
    return [
      ...sums(tile, "v", dv, pT, gN, ep),
      ...sums(tile, "k", dk, dsT, qN, dp),
      ...given(
        typeof x.keys === "number" ? 0 : add(tile.k0, tile.count, -1),
        x.keys,
        product(x, {
          stem: "q",
          count: x.depth,
          rows: rowsOf(t, x.depth),
          J: x.J,
          L: x.L,
          vector: t.vector,
          inner: K,
          scalar: (r, into) => x.read(key, [...from, add(tile.k0, at(K)), r], into),
          row: (l) => load(dsT, tile.cell(at(K), l)),
          start: (r, l) => load(dqT, cell(r, l)),
          finish: (_, each) => each((r, l, value) => [store(dqT, cell(r, l), value)]),
        }),
      ),
    ];
  };
  if (shares) tile.push(...sweep("", (k) => [...probabilities(k), ...derive(k)]));
  else {
    /** Each probability and its cotangent. */
    const pairs = (stem: string, k: Tile, size: Dim, body: (p: Value, g: Value, to: Dim) => Stmt): readonly Stmt[] => {
      const R = axis(x.name(stem), size, "loop");
      const to = k.cell(at(R), lane);
      return loops([R], lanes(x, [body(load(pT, to), load(dsT, to), to)]));
    };
    const total = (k: Tile): readonly Stmt[] =>
      pairs("p_r", k, k.count, (p, g) => store(share, lane, x.op("fma", p, g, load(share, lane))));
    // Rows beyond the tile's keys are added to sums, too: masked ones are zero, those beyond the last key leave with no one.
    const less = (k: Tile): readonly Stmt[] =>
      pairs("g_r", k, k.full, (p, g, to) => store(dsT, to, x.op("mul", p, x.op("sub", g, load(share, lane)))));
    tile.push(...sweep("p", (k) => [...probabilities(k), ...total(k)]), ...sweep("", (k) => [...less(k), ...derive(k)]));
  }

  const result = (i: number): Node | undefined => group.outputs.find((o) => o.attrs.index === i);
  const [dq, dkOut, dvOut] = [result(0), result(1), result(2)];
  if (dq) {
    const [wi, wd] = [axis(x.name("wi"), W, "loop"), axis(x.name("wd"), x.depth, "loop")];
    const to = flatten([...index, add(q0, at(wi)), at(wd)], q.type.shape);
    const value = x.op("mul", load(dqT, cell(at(wd), at(wi))), x.number(x.scale));
    tile.push(...loops([wi], inside(add(q0, at(wi)), loops([wd], [store(x.buffers.get(dq)!, to, value)]))));
  }
  const leave = (out: Node | undefined, sum: Buffer, width: number, size: number, stem: string): readonly Stmt[] => {
    if (!out) return [];
    const abreast = width === size ? t.vector : 1;
    const [k, d] = [axis(x.name(`${stem}k`), x.keys, "loop"), axis(x.name(`${stem}d`), size / abreast, "loop")];
    const l = axis(x.name(`${stem}l`), abreast, "vector");
    const column = add(mul(at(d), abreast), at(l));
    const to = flatten([...from, at(k), column], out.type.shape);
    return loops([k, d, l], [store(x.buffers.get(out)!, to, load(sum, add(mul(at(k), width), column)))]);
  };
  const body = [...start, ...loops([H, Q], tile), ...leave(dkOut, dk, dp, x.depth, "w"), ...leave(dvOut, dv, ep, x.width, "x")];
  return finishKernel(group.name, [...x.buffers.values(), ...x.made()], grid, 1, body);
}

/** Whether a thread's scratch holds the sums, and what is kept between two sweeps. */
export const fitsScratch = (t: AttentionTiling, target: Target, keys: Dim, depth: number, width: number, bytes: number): boolean =>
  (hi(sumsOf(t, keys, depth, width)) + 2 * hi(mul(keys, t.queries))) * bytes <= target.sharedBytes / 2;

/** A tile of keys: its first one, how many it has and how many are computed, and where a key's row lies in what is kept. */
interface Tile {
  readonly k0: Dim;
  readonly count: Dim;
  readonly full: Dim;
  cell(row: Dim, lane: Dim): Dim;
}

function fill(x: Attention, b: Buffer, stem: string, width: number, rows: Dim): readonly Stmt[] {
  const [r, l] = [axis(x.name(stem), mul(rows, width / x.t.vector), "loop"), axis(x.name(`${stem}l`), x.t.vector, "vector")];
  return loops([r, l], [store(b, add(mul(at(r), x.t.vector), at(l)), x.number(0))]);
}
/** Copies a tile of queries (or of what belongs to them) as it lies. */
function natural(
  x: Attention,
  node: Node,
  index: readonly Dim[],
  q0: Dim,
  depth: number,
  width: number,
  into: Buffer,
  stem: string,
  by: number,
): readonly Stmt[] {
  const lanesWide = width === depth ? x.t.vector : 1;
  const r = axis(x.name(stem), x.t.queries, "loop");
  const d = axis(x.name(`${stem}d`), depth / lanesWide, "loop");
  const l = axis(x.name(`${stem}l`), lanesWide, "vector");
  const place = add(mul(at(d), lanesWide), at(l));
  const body: Stmt[] = [];
  const v = x.read(node, [...index, clamped(add(q0, at(r)), x.t.queries, x.queries), place], body);
  return loops([r, d, l], [...body, store(into, add(mul(at(r), width), place), by === 1 ? v : x.op("mul", v, x.number(by)))]);
}
