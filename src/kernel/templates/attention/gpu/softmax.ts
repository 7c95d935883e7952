/** The running softmax of scores that lie in the registers of fragments: 16 rows of a warp's times 8 columns each, a lane with two rows of each. */
import { add, type Dim, divides, lo, min, mod, mul, sub } from "../../../../core/expr.js";
import type { Node } from "../../../../ir/node.js";
import { flatten } from "../../../../ops/movement.js";
import {
  type Axis,
  apply,
  at,
  axis,
  type Buffer,
  below,
  indexValue,
  load,
  loops,
  ref,
  type Stmt,
  store,
  type Value,
} from "../../../kernel.js";
import { fragmentAt } from "../../../units.js";
import { type Attention, given } from "../setup.js";
import type { MatrixTiling } from "./tiling.js";

const log2e = Math.LOG2E;

/** Where a warp's scores and sums lie. */
export interface Fragments {
  readonly lane: Dim;
  readonly warp: Dim;
  /** The head, the grid point's first query, and where the first query of all stands. */
  readonly index: readonly Dim[];
  readonly q0: Dim;
  readonly start: Dim;
  readonly scores: Buffer;
  readonly sums: Buffer;
}
/** What becomes of scores. */
export interface Softmax {
  /** Before the first tile. */
  readonly begin: readonly Stmt[];
  /** The greatest of a tile's scores, of keys from `k0` on but for those before `from`, and what sums so far are to be multiplied by. */
  top(k0: Dim, from?: Dim): readonly Stmt[];
  /** Scores of every first eight rows, or of every second eight, become weights, and are added up. */
  weigh(half: 0 | 1): readonly Stmt[];
  /** Sums of values follow the greatest exponent. */
  readonly follow: readonly Stmt[];
  /** Results leave. */
  readonly leave: readonly Stmt[];
}

export function softmaxOf(x: Attention, t: MatrixTiling, f: Fragments): Softmax {
  const { group } = x;
  const root = group.root!;
  const { unit, tall, keys: BC, queries: BR } = t;
  const { lane, warp, index, q0, start, scores: s, sums: o } = f;
  const [NT, WT] = [BC / unit.n, x.width / unit.n];
  const [top, total, base, alpha, most] = ["top", "total", "base", "alpha", "most"].map((n) => x.fragment(n, "f32", tall * 2)) as [
    Buffer,
    Buffer,
    Buffer,
    Buffer,
    Buffer,
  ];
  const I = axis(x.name("fi"), tall, "unroll");
  const h = axis(x.name("fh"), 2, "unroll");
  const c = axis(x.name("fc"), 2, "vector");
  const C = axis(c.name, 2, "unroll");
  const J = axis(x.name("j"), NT, "unroll");
  const W = axis(x.name("w"), WT, "unroll");
  const row = (half: Dim = at(h)): Dim => add(mul(at(I), 2), half);
  const number = (n: number): Value => x.number(n);
  const none = number(Number.NEGATIVE_INFINITY);
  /** Row and column of register (h, c) of the fragment at `column`. */
  const cell = (column: Dim): readonly [Dim, Dim] => {
    const [r, col] = fragmentAt(unit.layout!, lane, 0);
    return [add(mul(add(mul(warp, tall), at(I)), unit.m), r, mul(at(h), 8)), add(column, col, at(c))];
  };
  const { mask, factor } = weighing(x);
  const element = (b: Buffer, fragments: Axis, half: Dim = at(h)): Dim =>
    add(mul(add(mul(at(I), (b === s ? NT : WT) as number), at(fragments)), 4), mul(half, 2), at(c));
  const score = (half?: Dim): Value => load(s, element(s, J, half));
  const exponential = (v: Value, half?: Dim): Value => apply("exp2near", "f32", x.op("fma", v, number(factor), load(base, row(half))));

  const scaled = (k0: Dim): readonly Stmt[] => {
    if (!mask && x.scale > 0) return [];
    const [r, col] = cell(add(k0, mul(at(J), unit.n)));
    const body: Stmt[] = [];
    const by = x.op("mul", score(), number(x.scale * log2e));
    const m = mask?.(index, min(add(q0, r), sub(x.queries, 1)), min(col, sub(x.keys, 1)), body);
    const value = !m ? by : m.dtype === "bool" ? x.op("where", m, by, none) : x.op("fma", m, number(log2e), by);
    return given(0, x.keys, loops([I, J, h, c], [...body, store(s, element(s, J), value)]));
  };
  // Keys that a query must not see, in the tiles that have such.
  const hidden = (k0: Dim, from?: Dim): readonly Stmt[] => {
    const hide = (ends: (r: Dim, col: Dim) => readonly [Dim, Dim]): readonly Stmt[] => {
      const [r, col] = cell(add(k0, mul(at(J), unit.n)));
      const [a, b] = ends(r, col);
      const visible = apply("le", "bool", indexValue(a, "i32"), indexValue(b, "i32"));
      return loops([I, J, h, c], [store(s, element(s, J), x.op("where", visible, score(), none))]);
    };
    const out: Stmt[] = [];
    if (x.causal)
      out.push({
        kind: "if",
        test: below(add(start, q0, mul(warp, tall * unit.m)), add(k0, BC - 1)),
        body: hide((r, col) => [col, min(add(start, q0, r), sub(x.keys, 1))]),
      });
    if (divides(BC, x.keys)) return out;
    if (from === undefined) out.push({ kind: "if", test: below(x.keys, add(k0, BC)), body: hide((_, col) => [col, sub(x.keys, 1)]) });
    else out.push({ kind: "if", test: below(k0, from), body: hide((_, col) => [from, col]) });
    return out;
  };
  const blind = root.attrs.mask === true || root.attrs.offset === true || lo(x.keys) === 0;
  const greatest = load(most, row());
  const bottom = blind ? x.op("where", apply("eq", "bool", greatest, none), number(0), greatest) : greatest;
  // Some chains of scores side by side: one would wait for each of its steps.
  const chains = Math.min(4, NT);
  const chain = x.fragment("chain", "f32", chains);
  const [A, E] = [axis(x.name("a"), chains, "unroll"), axis(x.name("e"), NT / chains, "unroll")];
  const combined = (op: "max" | "add", half: Dim, threads: number): readonly Stmt[] => {
    const inChain = load(s, add(mul(add(mul(at(I), NT), mul(at(E), chains), at(A)), 4), mul(half, 2), at(C)));
    return [
      ...loops([A], [{ kind: "combine", op, axes: [E, C], threads: 1, value: inChain, into: ref(chain, at(A)) }]),
      { kind: "combine", op, axes: [A], threads, value: load(chain, at(A)), into: ref(most, row(half)) },
    ];
  };
  const tops: readonly Stmt[] = loops(
    [I, h],
    [
      ...combined("max", at(h), 4),
      store(most, row(), x.op("max", greatest, load(top, row()))),
      // A query that has seen nothing yet keeps a base that is a number, or differences of infinities would be none.
      store(base, row(), x.op("mul", bottom, number(-factor))),
      store(alpha, row(), exponential(load(top, row()))),
      store(top, row(), greatest),
    ],
  );
  const weigh = (half: 0 | 1): readonly Stmt[] =>
    loops(
      [I],
      [
        ...loops([J, C], [store(s, element(s, J, half), exponential(score(half), half))]),
        ...combined("add", half, 1),
        store(total, row(half), x.op("fma", load(total, row(half)), load(alpha, row(half)), load(most, row(half)))),
      ],
    );
  return {
    begin: loops([I, h], [store(top, row(), none), store(total, row(), number(0))]),
    top: (k0, from) => [...scaled(k0), ...hidden(k0, from), ...tops],
    weigh,
    follow: loops([I, h, W, C], [store(o, element(o, W), x.op("mul", load(o, element(o, W)), load(alpha, row())))]),
    leave: leave(),
  };

  function leave(): readonly Stmt[] {
    const [out, rows] = [0, 1].map((i) => group.outputs.find((n) => n.attrs.index === i)) as (Node | undefined)[];
    const shape = [...x.batch, x.queries];
    const [r] = cell(0);
    const query = add(q0, r);
    const inside = (body: readonly Stmt[]): readonly Stmt[] =>
      divides(BR, x.queries) ? body : [{ kind: "if", test: below(query, x.queries), body }];
    const sum = load(total, row());
    const whole = blind ? x.op("where", apply("eq", "bool", sum, number(0)), number(1), sum) : sum;
    const finish: Stmt[] = [
      { kind: "combine", op: "add", axes: [], threads: 4, value: load(total, row()), into: ref(total, row()) },
      store(total, row(), whole),
    ];
    if (rows) {
      const foot = x.op(
        "where",
        apply("eq", "bool", load(top, row()), none),
        number(0),
        x.op("mul", load(top, row()), number(factor * Math.LN2)),
      );
      const value = x.op("add", foot, x.op("log", load(total, row())));
      const one: Stmt = {
        kind: "if",
        test: below(mod(lane, 4), 1),
        body: [store(x.buffers.get(rows)!, flatten([...index, query], shape), value)],
      };
      finish.push(...inside([one]));
    }
    if (out) {
      finish.push(store(total, row(), x.op("div", number(1), load(total, row()))));
      const [, col] = cell(mul(at(W), unit.n));
      const value = x.op("mul", load(o, element(o, W)), load(total, row()));
      finish.push(...inside(loops([W, c], [store(x.buffers.get(out)!, x.placeOf([...index, query, col]), value)])));
    }
    return loops([I, h], finish);
  }
}

/** The mask of a score, if there is one, and what scores are multiplied by to be exponents of 2. */
export function weighing(x: Attention): {
  readonly mask: ((index: readonly Dim[], query: Dim, key: Dim, into: Stmt[]) => Value) | undefined;
  readonly factor: number;
} {
  const node = x.group.root!.attrs.mask ? x.group.root!.inputs[3]! : undefined;
  const factor = node || x.scale <= 0 ? 1 : x.scale * log2e;
  if (!node) return { mask: undefined, factor };
  const { shape } = node.type;
  return {
    factor,
    mask: (index, query, key, into) =>
      x.read(
        node,
        [...index, query, key].map((d, i) => (shape[i] === 1 ? 0 : d)),
        into,
      ),
  };
}
