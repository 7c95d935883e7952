/**
 * Attention forward of bf16 on processors that multiply pairs. Scores have queries as lanes, as elsewhere; what weights yield has values as
 * lanes, so that results leave as memory has them.
 */
import { add, ceilDiv, type Dim, div, indexOn, min, mod, mul, sub } from "../../../core/expr.js";
import { numel } from "../../../core/type.js";
import { flatten, unflatten } from "../../../ops/movement.js";
import type { Target } from "../../codegen.js";
import { type Group, hasElements } from "../../group.js";
import { apply, at, axis, type Kernel, load, loops, type Stmt, store, type Value } from "../../kernel.js";
import { finishKernel } from "../../walk.js";
import { newMaxima } from "./maxima.js";
import { alongRows, blockRows, joined, pairedRows, pairedWords, roundedBits, turnedWords, wordOf } from "./pairs.js";
import { keyBatch, lanes, scores, setUp } from "./setup.js";

/** Keys of a tile: scores and values of one stay in the nearest cache and the next. */
const tileKeys = 256;

/** The kernel, where the operands of a group suit it. */
export function lowerForwardPairs(group: Group, target: Target): Kernel | undefined {
  if (!hasElements(group)) return undefined;
  const x = setUp(group, target);
  const root = group.root!;
  const [q, k, v] = root.inputs as [typeof root, typeof root, typeof root];
  const rows = pairedRows(x, target, [q, k, v]);
  if (!rows) return undefined;
  const [qRows, kRows] = rows as [(typeof rows)[0], (typeof rows)[0]];
  const { t, lane, width } = x;
  const [W, keys] = [t.queries, x.keys as number];
  const tiles = (x.queries as number) / W;
  const heads = numel(x.batch);
  const pid = indexOn("pid", mul(heads, tiles));
  const index = unflatten(div(pid, tiles), x.batch);
  // The longest rows of a causal head first: what is left at the end is short.
  const q0 = mul(x.causal ? sub(tiles - 1, mod(pid, tiles)) : mod(pid, tiles), W);
  const limit = x.causal ? min(keys, add(q0, W)) : keys;
  const B = axis(x.name("b"), ceilDiv(limit, tileKeys), "loop");
  const k0 = mul(at(B), tileKeys);
  const count = min(tileKeys, sub(limit, k0));
  const most = Math.min(keys, tileKeys);

  const [qW, pW, vW] = [
    x.scratch("qW", (x.depth / 2) * W, "u32"),
    x.scratch("pW", (most / 2) * W, "u32"),
    x.scratch("vW", (most / 2) * width, "u32"),
  ];
  const [pT, sums] = [x.scratch("pT", most * W), x.scratch("sums", W * width)];
  const [top, total, alpha] = [x.scratch("top", W), x.scratch("total", W), x.scratch("alpha", W)];
  const [high, base, part] = [x.register("high", W), x.register("base", W), x.register("part", W)];
  const none = x.number(Number.NEGATIVE_INFINITY);
  const from = keyBatch(x, index);

  const zero = axis(x.name("oz"), (W * width) / t.vector, "loop");
  const zeroLane = axis(x.name("ozl"), t.vector, "vector");
  const first: readonly Stmt[] = [
    ...turnedWords(x, qRows, index, q0, x.depth, qW, "q"),
    ...loops([zero, zeroLane], [store(sums, add(mul(at(zero), t.vector), at(zeroLane)), x.number(0))]),
    ...lanes(x, [store(top, lane, none), store(total, lane, x.number(0))]),
  ];

  const E = axis(x.name("e"), count, "loop");
  const P = axis(x.name("ep"), div(count, 2), "loop");
  const cell = (row: Dim): Dim => add(mul(row, W), lane);
  const [low, up]: readonly Value[] = ["low", "up"].map((name) => ({ kind: "ref", dtype: x.dtype, name }) as const);
  const weight = (row: Dim): Value => x.op("exp", x.op("sub", load(pT, cell(row)), load(base, lane)));
  const weights: readonly Stmt[] = [
    ...newMaxima(x, E, load(pT, cell(at(E))), { top, high, base, alpha, part }),
    ...loops(
      [P],
      lanes(x, [
        { kind: "let", name: "low", value: weight(mul(at(P), 2)) },
        { kind: "let", name: "up", value: weight(add(mul(at(P), 2), 1)) },
        store(part, lane, x.op("add", load(part, lane), x.op("add", low!, up!))),
        store(pW, cell(at(P)), joined(roundedBits(low!), roundedBits(up!))),
      ]),
    ),
    ...lanes(x, [store(total, lane, x.op("fma", load(total, lane), load(alpha, lane), load(part, lane)))]),
  ];
  const K = axis(x.name("o_e"), div(count, 2), "loop");
  const place = (row: Dim, l: Dim): Dim => add(mul(row, width), l);
  const values = alongRows(x, {
    stem: "o",
    count: W,
    width,
    inner: K,
    scalar: (row) => load(pW, add(mul(at(K), W), row)),
    row: (l) => load(vW, place(at(K), l)),
    start: (row, l) => x.op("mul", load(sums, place(row, l)), load(alpha, row)),
    finish: (_, each) => each((row, l, value) => [store(sums, place(row, l), value)]),
  });
  const tile = [
    ...scores(x, {
      q: qW,
      index,
      q0,
      start: 0,
      k0,
      count,
      step: blockRows,
      rows: blockRows,
      words: (key, word) => wordOf(kRows, [...from, key], word),
      leave: (row, l, s) => [store(pT, add(mul(row, W), l), s)],
    }),
    ...weights,
    ...pairedWords(x, v, from, k0, count, width, vW, "v"),
    ...values,
  ];

  const [out, logs] = [0, 1].map((i) => group.outputs.find((o) => o.attrs.index === i));
  const sum = root.attrs.mask
    ? x.op("where", apply("eq", "bool", load(total, lane), x.number(0)), x.number(1), load(total, lane))
    : load(total, lane);
  const foot = x.op("where", apply("eq", "bool", load(top, lane), none), x.number(0), load(top, lane));
  const shape = [...x.batch, x.queries];
  const finish: Stmt[] = [...lanes(x, [store(total, lane, sum)])];
  if (logs) {
    const value = x.op("add", foot, x.op("log", load(total, lane)));
    finish.push(...lanes(x, [store(x.buffers.get(logs)!, flatten([...index, add(q0, lane)], shape), value)]));
  }
  finish.push(...lanes(x, [store(total, lane, x.op("div", x.number(1), load(total, lane)))]));
  if (out) {
    const [r, d, l] = [axis(x.name("wi"), W, "loop"), axis(x.name("wd"), width / t.vector, "loop"), axis(x.name("wl"), t.vector, "vector")];
    const column = add(mul(at(d), t.vector), at(l));
    const to = flatten([...index, add(q0, at(r)), column], [...shape, width]);
    const value = x.op("mul", load(sums, place(at(r), column)), load(total, at(r)));
    finish.push(...loops([r, d, l], [store(x.buffers.get(out)!, to, value)]));
  }
  return finishKernel(group.name, [...x.buffers.values(), ...x.made()], mul(heads, tiles), 1, [...first, ...loops([B], tile), ...finish]);
}
