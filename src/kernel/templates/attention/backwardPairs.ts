/**
 * Derivatives of attention of bf16 on processors that multiply pairs: a grid point is one head of keys with all query heads that it serves.
 * For each tile of queries the probabilities of all keys are computed again, then what the cotangent makes of them.
 */
import { add, type Dim, div, indexOn, min, mul } from "../../../core/expr.js";
import { numel } from "../../../core/type.js";
import type { Node } from "../../../ir/node.js";
import { flatten, unflatten } from "../../../ops/movement.js";
import type { Target } from "../../codegen.js";
import { type Group, hasElements } from "../../group.js";
import { at, axis, type Buffer, type Kernel, load, loops, type Stmt, store, type Value } from "../../kernel.js";
import { finishKernel } from "../../walk.js";
import { alongRows, blockRows, joined, pairedRows, pairedWords, roundedBits, turnedWords, wordIn, wordOf } from "./pairs.js";
import { lanes, product, scores, setUp } from "./setup.js";

/** Keys up to which what a tile of queries makes of all of them stays close. */
const mostKeys = 512;

/** The kernel, where the operands of a group suit it. */
export function lowerBackwardPairs(group: Group, target: Target): Kernel | undefined {
  if (!hasElements(group)) return undefined;
  const x = setUp(group, target);
  const root = group.root!;
  const [q, k, v] = root.inputs as readonly Node[] as [Node, Node, Node];
  const [ct, logs] = root.inputs.slice(3 + Number(root.attrs.mask)) as [Node, Node];
  const rows = pairedRows(x, target, [q, k, v, ct]);
  if (!rows || (x.keys as number) > mostKeys) return undefined;
  const [qRows, kRows, vRows, gRows] = rows as [(typeof rows)[0], (typeof rows)[0], (typeof rows)[0], (typeof rows)[0]];
  const { t, lane, depth, width } = x;
  const [W, keys] = [t.queries, x.keys as number];
  const batch = x.batch.length ? [...x.batch.slice(0, -1), div(x.batch.at(-1)!, x.shared)] : [];
  const grid = numel(batch);
  const from = unflatten(grid === 1 ? 0 : indexOn("pid", grid), batch);
  const H = axis(x.name("h"), x.shared, "loop");
  const index = x.batch.length ? [...from.slice(0, -1), add(mul(from.at(-1)!, x.shared), at(H))] : [];
  const Q = axis(x.name("tile"), (x.queries as number) / W, "loop");
  const q0 = mul(at(Q), W);
  const limit = x.causal ? min(keys, add(q0, W)) : keys;

  const words = (stem: string, size: number): Buffer => x.scratch(stem, size, "u32");
  const [qW, gW, qP, gP] = [
    words("qW", (depth / 2) * W),
    words("gW", (width / 2) * W),
    words("qP", (W / 2) * depth),
    words("gP", (W / 2) * width),
  ];
  const [kP, dsW] = [words("kP", (keys / 2) * depth), words("dsW", (keys / 2) * W)];
  const [pT, dsT] = [x.scratch("pT", keys * W), x.scratch("dsT", keys * W)];
  const [pB, dsB] = [x.scratch("pB", keys * W, "u16"), x.scratch("dsB", keys * W, "u16")];
  const [base, share] = [x.scratch("base", W), x.scratch("share", W)];
  const [dk, dv] = [x.scratch("dkS", keys * depth), x.scratch("dvS", keys * width)];
  const cell = (row: Dim): Dim => add(mul(row, W), lane);

  const E = axis(x.name("g_e"), width / 2, "loop");
  const [R, P] = [axis(x.name("p_r"), limit, "loop"), axis(x.name("p_p"), div(limit, 2), "loop")];
  const probabilities: readonly Stmt[] = [
    ...scores(x, {
      q: qW,
      index,
      q0,
      start: 0,
      k0: 0,
      count: limit,
      step: blockRows,
      rows: blockRows,
      words: (key, word) => wordOf(kRows, [...from, key], word),
      leave: (r, l, s) => [store(pT, add(mul(r, W), l), x.op("exp", x.op("sub", s, load(base, l))))],
    }),
    ...product(x, {
      stem: "g",
      count: limit,
      rows: blockRows,
      J: x.J,
      L: x.L,
      vector: t.vector,
      inner: E,
      pairs: true,
      scalar: (r) => wordOf(vRows, [...from, r], at(E)),
      row: (l) => load(gW, add(mul(at(E), W), l)),
      start: () => x.number(0),
      finish: (_, each) => each((r, l, value) => [store(dsT, add(mul(r, W), l), value)]),
    }),
    ...loops([R], lanes(x, [store(share, lane, x.op("fma", load(pT, cell(at(R))), load(dsT, cell(at(R))), load(share, lane)))])),
  ];
  const bits = (name: string): Value => ({ kind: "ref", dtype: "u16", name });
  /** Both of a pair of keys, as pairs along queries and along keys. */
  const pair = ["low", "up"].flatMap((name, n): readonly Stmt[] => {
    const to = cell(add(mul(at(P), 2), n));
    const derived = x.op("mul", load(pT, to), x.op("sub", load(dsT, to), load(share, lane)));
    return [{ kind: "let", name, value: roundedBits(derived) }, store(pB, to, roundedBits(load(pT, to))), store(dsB, to, bits(name))];
  });
  const derive: readonly Stmt[] = [
    ...loops([P], lanes(x, [...pair, store(dsW, cell(at(P)), joined(bits("low"), bits("up")))])),
    ...sums("v", dv, pB, gP, width),
    ...sums("k", dk, dsB, qP, depth),
  ];
  /** What a tile of queries adds to the derivative of keys or values. */
  function sums(stem: "k" | "v", into: Buffer, weights: Buffer, rowsOfTile: Buffer, size: number): readonly Stmt[] {
    const inner = axis(x.name(`${stem}_q`), W / 2, "loop");
    const place = (r: Dim, l: Dim): Dim => add(mul(r, size), l);
    return alongRows(x, {
      stem: `d${stem}`,
      count: limit,
      width: size,
      inner,
      scalar: (r) => wordIn(weights, r, W, at(inner)),
      row: (l) => load(rowsOfTile, place(at(inner), l)),
      start: (r, l) => load(into, place(r, l)),
      finish: (_, each) => each((r, l, value) => [store(into, place(r, l), value)]),
    });
  }
  const result = (i: number): Node | undefined => group.outputs.find((o) => o.attrs.index === i);
  const [dq, dkOut, dvOut] = [result(0), result(1), result(2)];
  const K = axis(x.name("q_e"), div(limit, 2), "loop");
  const ofQueries: readonly Stmt[] = dq
    ? alongRows(x, {
        stem: "dq",
        count: W,
        width: depth,
        inner: K,
        scalar: (r) => load(dsW, add(mul(at(K), W), r)),
        row: (l) => load(kP, add(mul(at(K), depth), l)),
        start: () => x.number(0),
        finish: (_, each) =>
          each((r, l, value) => [
            store(x.buffers.get(dq)!, flatten([...index, add(q0, r), l], q.type.shape), x.op("mul", value, x.number(x.scale))),
          ]),
      })
    : [];
  const seen: Stmt[] = [];
  const logarithm = x.read(logs, [...index, add(q0, lane)], seen);
  const tile: readonly Stmt[] = [
    ...turnedWords(x, qRows, index, q0, depth, qW, "qt"),
    ...turnedWords(x, gRows, index, q0, width, gW, "gt"),
    ...pairedWords(x, q, index, q0, W, depth, qP, "qp"),
    ...pairedWords(x, ct, index, q0, W, width, gP, "gp"),
    ...lanes(x, [...seen, store(base, lane, logarithm), store(share, lane, x.number(0))]),
    ...probabilities,
    ...derive,
    ...ofQueries,
  ];
  /** All keys of the head, vector by vector. */
  const each = (stem: string, size: number, body: (key: Dim, column: Dim) => Stmt): readonly Stmt[] => {
    const [r, d, l] = [
      axis(x.name(`${stem}r`), keys, "loop"),
      axis(x.name(`${stem}d`), size / t.vector, "loop"),
      axis(x.name(`${stem}l`), t.vector, "vector"),
    ];
    return loops([r, d, l], [body(at(r), add(mul(at(d), t.vector), at(l)))]);
  };
  const leave = (out: Node | undefined, sum: Buffer, size: number, stem: string, by: number): readonly Stmt[] =>
    out
      ? each(stem, size, (key, l) => {
          const value = load(sum, add(mul(key, size), l));
          return store(
            x.buffers.get(out)!,
            flatten([...from, key, l], out.type.shape),
            by === 1 ? value : x.op("mul", value, x.number(by)),
          );
        })
      : [];
  const body = [
    ...each("zk", depth, (key, l) => store(dk, add(mul(key, depth), l), x.number(0))),
    ...each("zv", width, (key, l) => store(dv, add(mul(key, width), l), x.number(0))),
    ...pairedWords(x, k, from, 0, keys, depth, kP, "kp"),
    ...loops([H, Q], tile),
    ...leave(dkOut, dk, depth, "w", x.scale),
    ...leave(dvOut, dv, width, "x", 1),
  ];
  return finishKernel(group.name, [...x.buffers.values(), ...x.made()], grid, 1, body);
}
