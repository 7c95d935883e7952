/** Products whose lanes lie along k for both operands: nothing is packed, and each sum is taken across lanes at the end. */
import { isFloat } from "../../../core/dtype.js";
import { add, type Dim, div, mod, mul } from "../../../core/expr.js";
import { apply, at, axis, below, constant, load, loops, ref, type Stmt, store, type Value } from "../../kernel.js";
import { across, type Contract, inside, type State } from "./contract.js";
import { waiting } from "./leave.js";
import type { Role } from "./tiling.js";
import { operandWord } from "./words.js";

/** acc[i, j, lane] += a[i, lane] * b[j, lane]: rows of both operands are read once per block, a vector at a time. */
export function lanesAlongK(x: Contract, st: State): readonly Stmt[] {
  const { I, J, L, cell, dtype, pack, vector } = x;
  const step = vector * pack;
  const whole = axis("k", div(st.size.k, step), "loop");
  const held = pack > 1 ? "u32" : dtype;
  const br = x.register("br", held, x.nr * vector);
  const ar = x.register("ar", held, vector);
  const block = (k: Dim, rest?: Dim): readonly Stmt[] => {
    const read = (role: Role, i: Dim, into: Stmt[]): Value => {
      const row = inside(x, role, add(st.off[across(role)], i));
      const first = add(st.off.k, k, mul(at(L), pack));
      const value = pack > 1 ? operandWord(x, role, row, first, into) : x.operand(role, row, first, into);
      if (rest === undefined) return value;
      return { kind: "select", dtype: held, tests: [below(mul(at(L), pack), rest)], then: value, else: constant(0, held) };
    };
    const loadB: Stmt[] = [];
    loadB.push(store(br, add(mul(at(J), vector), at(L)), read("b", at(J), loadB)));
    const loadA: Stmt[] = [];
    loadA.push(store(ar, at(L), read("a", at(I), loadA)));
    const [a, b, c] = [load(ar, at(L)), load(br, add(mul(at(J), vector), at(L))), load(x.acc, cell)];
    const update = store(x.acc, cell, pack > 1 ? apply("dot2", dtype, a, b, c) : apply("fma", dtype, a, b, c));
    return [...loops([J, L], loadB), ...loops([I], [...loops([L], loadA), ...loops([J, L], [update])])];
  };
  const rest = mod(st.size.k, step);
  const tail: readonly Stmt[] =
    rest === 0 ? [] : [{ kind: "if", test: below(0, rest), body: block(mul(div(st.size.k, step), step), rest) }];
  return [...loops([whole], block(mul(at(whole), step))), ...tail];
}

/** The life of such accumulators: zero, then the products, then sums across lanes, added to what earlier blocks of k left in scratch. */
export function acrossLanes(x: Contract, st: State, inner: readonly Stmt[]): readonly Stmt[] {
  const { I, J, L, cell, acc, dtype, nr, partial } = x;
  const sums = x.register("sums", dtype, x.mr * nr);
  const four = axis("four", Math.min(4, nr), "vector");
  const group = axis("group", nr / Math.min(4, nr), "unroll");
  const j = add(mul(at(group), Math.min(4, nr)), at(four));
  const lanes = add(mul(at(I), nr * x.vector), mul(j, x.vector), at(L));
  const sum = load(sums, add(mul(at(I), nr), j));
  const place = waiting(x, st, at(I), j);
  const keep = loops([four], [store(partial, place, sum)]);
  const extend = loops([four], [store(partial, place, apply("add", dtype, load(partial, place), sum))]);
  const outer = x.t.levels.slice(0, x.t.accumulate).find((l) => l.axis === "k" && l.on === "loop")!;
  const single = typeof x.total.k === "number" && x.total.k <= outer.tile;
  return [
    ...loops([I, J, L], [store(acc, cell, constant(isFloat(dtype) ? 0 : 0n, dtype))]),
    ...inner,
    ...loops(
      [I, group],
      [
        ...loops(
          [four],
          [{ kind: "combine", op: "add", axes: [L], threads: 1, value: load(acc, lanes), into: ref(sums, add(mul(at(I), nr), j)) }],
        ),
        ...(single ? keep : [{ kind: "if", test: below(st.off.k, 1), body: keep, else: extend } as const]),
      ],
    ),
  ];
}
