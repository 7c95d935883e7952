/**
 * Attention forward: a grid point is a tile of queries of one head. Queries are lanes, so running maxima and sums are vectors and
 * nothing is reduced across lanes; keys and values are read where they lie and broadcast.
 */
import { add, ceilDiv, type Dim, div, divides, indexOn, lo, min, mod, mul, sub } from "../../../core/expr.js";
import { numel } from "../../../core/type.js";
import { flatten, unflatten } from "../../../ops/movement.js";
import type { Target } from "../../codegen.js";
import { type Group, hasElements } from "../../group.js";
import { apply, at, axis, below, type Kernel, load, loops, type Stmt, store, type Value } from "../../kernel.js";
import { emptyKernel, finishKernel } from "../../walk.js";
import { newMaxima } from "./maxima.js";
import { given, keyBatch, lanes, named, position, product, scores, seen, setUp, standing, transposed } from "./setup.js";
import { rowsOf } from "./tiling.js";

export function lowerForward(group: Group, target: Target): Kernel {
  if (!hasElements(group)) return emptyKernel(group.name);
  const x = setUp(group, target);
  const { t, lane } = x;
  const root = group.root!;
  const [q, , v] = root.inputs as [typeof root, typeof root, typeof root];
  const W = t.queries;
  const tiles = ceilDiv(x.queries, W);
  const heads = numel(x.batch);
  const grid = mul(heads, tiles);
  const pid = indexOn("pid", grid);
  const digits: Stmt[] = [];
  const inHead = heads === 1 ? pid : mod(pid, tiles);
  const head = position(x, "head", heads === 1 ? 0 : div(pid, tiles), heads, digits);
  const index = unflatten(head, x.batch);
  // The longest rows of a causal head first: what is left at the end is short.
  const q0 = mul(position(x, "tile", x.causal ? sub(sub(tiles, 1), inHead) : inHead, tiles, digits), W);
  const start = standing(x, index, digits);
  const limit = root.attrs.offset ? named(x, "limit", seen(x, start, add(q0, W)), x.keys, digits) : seen(x, 0, add(q0, W));
  const B = axis(x.name("b"), ceilDiv(limit, t.keys), "loop");
  const before: Stmt[] = [];
  const k0 = position(x, "k0", mul(at(B), t.keys), x.keys, before);
  const count = min(t.keys, sub(limit, k0));

  const [qT, pT, oT] = [x.scratch("qT", x.depth * W), x.scratch("pT", t.keys * W), x.scratch("oT", x.width * W)];
  const [top, total] = [x.scratch("top", W), x.scratch("total", W)];
  const [high, alpha, base, part] = [x.register("high", W), x.register("alpha", W), x.register("base", W), x.register("part", W)];
  const none = x.number(Number.NEGATIVE_INFINITY);

  const D = axis(x.name("od"), x.width, "loop");
  const first: readonly Stmt[] = [
    ...transposed(x, q, index, q0, x.depth, qT, x.scale),
    ...loops([D], lanes(x, [store(oT, add(mul(at(D), W), lane), x.number(0))])),
    ...lanes(x, [store(top, lane, none), store(total, lane, x.number(0))]),
  ];

  const E = axis(x.name("e"), count, "loop");
  const p: Value = { kind: "ref", dtype: x.dtype, name: "p" };
  const weights: readonly Stmt[] = [
    ...newMaxima(x, E, load(pT, add(mul(at(E), W), lane)), { top, high, base, alpha, part }),
    ...loops(
      [E],
      lanes(x, [
        { kind: "let", name: "p", value: x.op("exp", x.op("sub", load(pT, add(mul(at(E), W), lane)), load(base, lane))) },
        store(part, lane, x.op("add", load(part, lane), p)),
        store(pT, add(mul(at(E), W), lane), p),
      ]),
    ),
    ...lanes(x, [store(total, lane, x.op("fma", load(total, lane), load(alpha, lane), load(part, lane)))]),
  ];
  const K = axis(x.name("o_e"), count, "loop");
  const from = keyBatch(x, index);
  const [key, whole] = [add(k0, at(K)), typeof x.keys !== "number" || divides(t.keys, x.keys)];
  const values = product(x, {
    stem: "o",
    count: x.width,
    rows: rowsOf(t, x.width),
    J: x.J,
    L: x.L,
    vector: t.vector,
    inner: K,
    // Where the last tile is not whole, a name tells how far keys go: what splits heads and positions has simple indices then.
    scalar: (row, into) => x.read(v, [...from, whole ? key : named(x, "key", key, sub(x.keys, 1), into), row], into),
    row: (l) => load(pT, add(mul(at(K), W), l)),
    start: (row, l) => x.op("mul", load(oT, add(mul(row, W), l)), load(alpha, l)),
    finish: (_, each) => each((row, l, value) => [store(oT, add(mul(row, W), l), value)]),
  });
  const tile = [
    ...before,
    ...given(
      0,
      x.keys,
      scores(x, { q: qT, index, q0, start, k0, count, step: t.rows, leave: (row, l, s) => [store(pT, add(mul(row, W), l), s)] }),
    ),
    ...weights,
    ...(typeof x.keys === "number" && whole ? values : given(add(k0, count, -1), x.keys, values)),
  ];

  const [out, rows] = group.outputs.length
    ? [group.outputs.find((o) => o.attrs.index === 0), group.outputs.find((o) => o.attrs.index === 1)]
    : [];
  const blind = root.attrs.mask === true || root.attrs.offset === true || lo(x.keys) === 0;
  const sum = blind
    ? x.op("where", apply("eq", "bool", load(total, lane), x.number(0)), x.number(1), load(total, lane))
    : load(total, lane);
  const foot = x.op("where", apply("eq", "bool", load(top, lane), none), x.number(0), load(top, lane));
  const qi = axis(x.name("wi"), W, "loop");
  const wd = axis(x.name("wd"), x.width, "loop");
  const query = add(q0, at(qi));
  const inside = (place: Dim, body: readonly Stmt[]): readonly Stmt[] =>
    divides(W, x.queries) ? body : [{ kind: "if", test: below(place, x.queries), body }];
  const shape = [...x.batch, x.queries];
  const finish: Stmt[] = [...lanes(x, [store(total, lane, sum)])];
  if (rows) {
    const value = x.op("add", foot, x.op("log", load(total, lane)));
    finish.push(...lanes(x, inside(add(q0, lane), [store(x.buffers.get(rows)!, flatten([...index, add(q0, lane)], shape), value)])));
  }
  finish.push(...lanes(x, [store(total, lane, x.op("div", x.number(1), load(total, lane)))]));
  if (out) {
    const value = x.op("mul", load(oT, add(mul(at(wd), W), at(qi))), load(total, at(qi)));
    const to = flatten([...index, query, at(wd)], [...shape, x.width]);
    finish.push(...loops([qi], inside(query, loops([wd], [store(x.buffers.get(out)!, to, value)]))));
  }
  const body = [...digits, ...given(0, x.queries, first), ...loops([B], tile), ...finish];
  return finishKernel(group.name, [...x.buffers.values(), ...x.made()], grid, 1, body);
}
