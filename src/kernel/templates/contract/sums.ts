/** Products whose lanes lie along k for both operands: nothing is packed, and each sum is taken across lanes at the end. */
import { add, type Dim, div, mod, mul } from "../../../core/expr.js";
import { apply, at, axis, below, constant, load, loops, ref, type Stmt, store, type Value } from "../../kernel.js";
import { across, type Contract, inside, nothing, type Product, type State } from "./contract.js";
import { waiting } from "./leave.js";
import type { Operand } from "./operands.js";
import { isShifted, multiply, operandWord, shiftOf, shifts } from "./words.js";

/** acc[i, j, lane] += a[i, lane] * b[j, lane]: rows of both operands are read once per block, a vector at a time. */
export function lanesAlongK(x: Contract, st: State): readonly Stmt[] {
  const { I, J, L, cell, dtype, pack, vector, operands } = x;
  const step = vector * pack;
  const whole = axis("k", div(st.size.k, step), "loop");
  const held = pack > 1 ? "u32" : dtype;
  const br = x.register("br", held, x.nr * vector * operands.b.length);
  const ar = x.register("ar", held, vector * operands.a.length);
  const [a, b] = [
    (o: Operand): Dim => add(at(L), o.index * vector),
    (o: Operand): Dim => add(mul(at(J), vector), at(L), o.index * x.nr * vector),
  ];
  const block = (k: Dim, rest?: Dim): readonly Stmt[] => {
    const read = (o: Operand, i: Dim, into: Stmt[]): Value => {
      const row = inside(x, o.role, add(st.off[across(o.role)], i));
      const first = add(st.off.k, k, mul(at(L), pack));
      const value = pack > 1 ? operandWord(x, o, row, first, into) : x.operand(o, row, first, into);
      if (rest === undefined) return value;
      return { kind: "select", dtype: held, tests: [below(mul(at(L), pack), rest)], then: value, else: constant(0, held) };
    };
    const [loadA, loadB]: [Stmt[], Stmt[]] = [[], []];
    for (const o of operands.b) loadB.push(store(br, b(o), read(o, at(J), loadB)));
    for (const o of operands.a) loadA.push(store(ar, a(o), read(o, at(I), loadA)));
    const update = x.products.map((p) => store(x.acc, cell(p), multiply(x, load(ar, a(p.a)), load(br, b(p.b)), load(x.acc, cell(p)))));
    if (isShifted(x))
      for (const o of operands.b) {
        const { buffer, index } = shifts(x, o, add(mul(at(J), vector), at(L)));
        loadB.push(store(buffer, index, shiftOf(load(br, b(o)), load(buffer, index))));
      }
    return [...loops([J, L], loadB), ...loops([I], [...loops([L], loadA), ...loops([J, L], update)])];
  };
  const rest = mod(st.size.k, step);
  const tail: readonly Stmt[] =
    rest === 0 ? [] : [{ kind: "if", test: below(0, rest), body: block(mul(div(st.size.k, step), step), rest) }];
  return [...loops([whole], block(mul(at(whole), step))), ...tail];
}

/** The life of such accumulators: zero, then the products, then sums across lanes, added to what earlier blocks of k left in scratch. */
export function acrossLanes(x: Contract, st: State, inner: readonly Stmt[]): readonly Stmt[] {
  const { I, J, L, cell, acc, dtype, nr, partial } = x;
  const sums = x.register("sums", dtype, x.mr * nr * x.products.length);
  const four = axis("four", Math.min(4, nr), "vector");
  const group = axis("group", nr / Math.min(4, nr), "unroll");
  const j = add(mul(at(group), Math.min(4, nr)), at(four));
  const lanes = (p: Product): Dim => add(mul(at(I), nr * x.vector), mul(j, x.vector), at(L), p.index * x.cells);
  const sum = (p: Product): Dim => add(mul(at(I), nr), j, p.index * x.mr * nr);
  const place = (p: Product): Dim => waiting(x, p, st, at(I), j);
  const keep = (p: Product): readonly Stmt[] => loops([four], [store(partial, place(p), load(sums, sum(p)))]);
  const extend = (p: Product): readonly Stmt[] =>
    loops([four], [store(partial, place(p), apply("add", dtype, load(partial, place(p)), load(sums, sum(p))))]);
  const outer = x.t.levels.slice(0, x.t.accumulate).find((l) => l.axis === "k" && l.on === "loop")!;
  const single = typeof x.total.k === "number" && x.total.k <= outer.tile;
  return [
    ...x.products.flatMap((p) => loops([I, J, L], [store(acc, cell(p), nothing(dtype))])),
    ...inner,
    ...x.products.flatMap((p) =>
      loops(
        [I, group],
        [
          ...loops([four], [{ kind: "combine", op: "add", axes: [L], threads: 1, value: load(acc, lanes(p)), into: ref(sums, sum(p)) }]),
          ...(single ? keep(p) : [{ kind: "if", test: below(st.off.k, 1), body: keep(p), else: extend(p) } as const]),
        ],
      ),
    ),
  ];
}
