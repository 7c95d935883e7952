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
import { at, axis, type Buffer, below, type Kernel, load, loops, type Stmt, store } from "../../kernel.js";
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
  const [ct, rows, shares] = root.inputs.slice(-3) as [Node, Node, Node];
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
  const B = axis(x.name("b"), ceilDiv(limit, t.keys), "loop");
  const named: Stmt[] = [];
  const k0 = mul(position(x, "block", at(B), ceilDiv(x.keys, t.keys), named), t.keys);
  // Every block of rows that reads a tile finds rows that were written.
  const [forK, forV] = [blockFor(t, dp), blockFor(t, ep)];
  const step = Math.max(forK.rows, forV.rows) > t.rows ? 24 : t.rows;
  const count = min(t.keys, sub(limit, k0));
  const full = mul(ceilDiv(count, step), step);

  const [qT, gT, dqT] = [x.scratch("qT", x.depth * W), x.scratch("gT", x.width * W), x.scratch("dqT", x.depth * W)];
  const [qN, gN] = [x.scratch("qN", W * dp), x.scratch("gN", W * ep)];
  const [pT, dsT] = [x.scratch("pT", t.keys * W), x.scratch("dsT", t.keys * W)];
  const [base, share] = [x.scratch("base", W), x.scratch("share", W)];
  const keys = mul(ceilDiv(x.keys, t.keys), t.keys);
  const [dk, dv] = [x.scratch("dkS", mul(keys, dp)), x.scratch("dvS", mul(keys, ep))];

  start.push(...fill(x, dk, "zk", dp, keys), ...fill(x, dv, "zv", ep, keys));
  if (dp > x.depth) start.push(...fill(x, qN, "zq", dp, W));
  if (ep > x.width) start.push(...fill(x, gN, "zg", ep, W));

  const inside = (place: Dim, body: readonly Stmt[], otherwise: readonly Stmt[] = []): readonly Stmt[] =>
    divides(W, x.queries) ? body : [{ kind: "if", test: below(place, x.queries), body, else: otherwise }];
  const D = axis(x.name("qz"), x.depth, "loop");
  const qi = axis(x.name("ri"), W, "loop");
  const row = [...index, add(q0, at(qi))];
  const rowStmts: Stmt[] = [];
  const rowValue = x.read(rows, row, rowStmts);
  const shareValue = x.read(shares, row, rowStmts);
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

  const cell = (r: Dim, l: Dim): Dim => add(mul(r, W), l);
  const E = axis(x.name("g_e"), x.width, "loop");
  const K = axis(x.name("q_e"), count, "loop");
  const key = root.inputs[1]!;
  const QI = { k: axis(x.name("k_q"), W, "loop"), v: axis(x.name("v_q"), W, "loop") };
  const sums = (stem: "k" | "v", into: Buffer, weights: Buffer, rowsOfTile: Buffer, width: number, block: typeof forK): readonly Stmt[] => {
    const across = block.abreast * t.vector;
    const U = axis(x.name(`${stem}_u`), width / across, "loop");
    const inner = QI[stem];
    const place = (r: Dim, l: Dim): Dim => add(mul(add(k0, r), width), mul(at(U), across), l);
    const body = product(x, {
      stem: `d${stem}`,
      count: mul(ceilDiv(count, block.rows), block.rows),
      rows: block.rows,
      J: axis(x.name(`${stem}_j`), block.abreast, "unroll"),
      L: axis(x.name(`${stem}_l`), t.vector, "vector"),
      vector: t.vector,
      inner,
      scalar: (r) => load(weights, cell(r, at(inner))),
      row: (l) => load(rowsOfTile, add(mul(at(inner), width), mul(at(U), across), l)),
      start: (r, l) => load(into, place(r, l)),
      finish: (_, each) => each((r, l, value) => [store(into, place(r, l), value)]),
    });
    return loops([U], body);
  };
  const inner: readonly Stmt[] = [
    ...given(0, x.keys, [
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
        finish: (_, each) =>
          each((r, l, value) => [store(dsT, cell(r, l), x.op("mul", load(pT, cell(r, l)), x.op("sub", value, load(share, l))))]),
      }),
    ]),
    ...sums("v", dv, pT, gN, ep, forV),
    ...sums("k", dk, dsT, qN, dp, forK),
    ...given(
      typeof x.keys === "number" ? 0 : add(k0, count, -1),
      x.keys,
      product(x, {
        stem: "q",
        count: x.depth,
        rows: rowsOf(t, x.depth),
        J: x.J,
        L: x.L,
        vector: t.vector,
        inner: K,
        scalar: (r, into) => x.read(key, [...from, add(k0, at(K)), r], into),
        row: (l) => load(dsT, cell(at(K), l)),
        start: (r, l) => load(dqT, cell(r, l)),
        finish: (_, each) => each((r, l, value) => [store(dqT, cell(r, l), value)]),
      }),
    ),
  ];
  tile.push(...loops([B], [...named, ...inner]));

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
    const [k, d] = [axis(x.name(`${stem}k`), x.keys, "loop"), axis(x.name(`${stem}d`), size, "loop")];
    const to = flatten([...from, at(k), at(d)], out.type.shape);
    return loops([k, d], [store(x.buffers.get(out)!, to, load(sum, add(mul(at(k), width), at(d))))]);
  };
  const body = [...start, ...loops([H, Q], tile), ...leave(dkOut, dk, dp, x.depth, "w"), ...leave(dvOut, dv, ep, x.width, "x")];
  return finishKernel(group.name, [...x.buffers.values(), ...x.made()], grid, 1, body);
}

/** Whether a thread's scratch holds the sums. */
export const fitsScratch = (t: AttentionTiling, target: Target, keys: Dim, depth: number, width: number, bytes: number): boolean =>
  hi(sumsOf(t, keys, depth, width)) * bytes <= target.sharedBytes / 2;

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
