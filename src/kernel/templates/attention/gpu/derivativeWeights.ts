/** Scores of a tile become probabilities again, and the cotangents of probabilities those of scores, in the registers where they are. */
import { add, type Dim, divides, min, mul, sub } from "../../../../core/expr.js";
import { apply, at, below, indexValue, load, loops, type Stmt, store } from "../../../kernel.js";
import { given } from "../setup.js";
import type { Derivation } from "./derivation.js";
import { weighing } from "./softmax.js";

/** What a tile's scores become. */
export interface Weights {
  /** Scores become probabilities. */
  readonly probabilities: readonly Stmt[];
  /** Cotangents of probabilities become cotangents of scores. */
  readonly cotangents: readonly Stmt[];
}

/** Of the head at `index`, own rows from `r0` on and the other side's from `c0` on. */
export function weightsOf(v: Derivation, index: readonly Dim[], r0: Dim, c0: Dim): Weights {
  const { x, side, otherSize, warp, p, d, base, share, I, J, h, c, cell, element, scalar } = v;
  const { unit, tall, block: BC } = v.t;
  const pick = (row: Dim, column: Dim): { readonly query: Dim; readonly key: Dim } =>
    side === "keys" ? { query: column, key: row } : { query: row, key: column };
  const last = (d: Dim, size: Dim): Dim => min(d, sub(size, 1));
  const { mask, factor } = weighing(x);
  const none = x.number(Number.NEGATIVE_INFINITY);
  const place = (column: Dim): { readonly query: Dim; readonly key: Dim } => {
    const [r, col] = cell(column);
    return pick(add(r0, r), col);
  };
  const scaled: Stmt[] = [];
  if (mask || x.scale <= 0) {
    const { query, key } = place(add(c0, mul(at(J), unit.n)));
    const body: Stmt[] = [];
    const by = x.op("mul", load(p, element), x.number(x.scale * Math.LOG2E));
    const m = mask?.(index, last(query, x.queries), last(key, x.keys), body);
    const value = !m ? by : m.dtype === "bool" ? x.op("where", m, by, none) : x.op("fma", m, x.number(Math.LOG2E), by);
    scaled.push(...given(0, x.keys, given(0, x.queries, loops([I, J, h, c], [...body, store(p, element, value)]))));
  }
  // What must not be seen, and queries or keys beyond the last, in the tiles that have such.
  const hide = (see: (o: { readonly query: Dim; readonly key: Dim }) => readonly [Dim, Dim]): readonly Stmt[] => {
    const [a, b] = see(place(add(c0, mul(at(J), unit.n))));
    const visible = apply("le", "bool", indexValue(a, "i32"), indexValue(b, "i32"));
    return loops([I, J, h, c], [store(p, element, x.op("where", visible, load(p, element), none))]);
  };
  const hidden: Stmt[] = [];
  const ofWarp = add(r0, mul(warp, tall * unit.m));
  if (x.causal)
    hidden.push({
      kind: "if",
      test: side === "keys" ? below(c0, add(ofWarp, tall * unit.m - 1)) : below(ofWarp, add(c0, BC - 1)),
      body: hide(({ query, key }) => [key, query]),
    });
  if (!divides(BC, otherSize))
    hidden.push({
      kind: "if",
      test: below(otherSize, add(c0, BC)),
      body: hide((o) => [side === "keys" ? o.query : o.key, sub(otherSize, 1)]),
    });
  const probabilities = loops(
    [I, J, h, c],
    [store(p, element, apply("exp2near", "f32", x.op("fma", load(p, element), x.number(factor), load(base, scalar))))],
  );
  const cotangents = loops(
    [I, J, h, c],
    [store(d, element, x.op("mul", load(p, element), x.op("sub", load(d, element), load(share, scalar))))],
  );
  return { probabilities: [...scaled, ...hidden, ...probabilities], cotangents };
}
