/** The innermost tile, once per kind of arithmetic: fused multiply-add on lanes, or a matrix unit. */
import { add, ceilDiv, type Dim, div, divides, min, mod, mul, sub } from "../../../core/expr.js";
import { apply, at, axis, load, loops, type MatrixUnit, type Ref, ref, type Stmt, store, type Value } from "../../kernel.js";
import { across, type Contract, type State } from "./contract.js";
import type { Role } from "./tiling.js";

export function micro(x: Contract, st: State, slot: Dim): readonly Stmt[] {
  const { unit } = x;
  if (!unit) return lanes(x, st, slot);
  const kk = axis("kk", ceilDiv(st.size.k, unit.k), "unroll");
  const k = mul(at(kk), unit.k);
  const where = (role: Role, i: Dim, more: Dim = 0): Dim =>
    x.place(role, add(x.relative(role, st, across(role)), i), add(x.relative(role, st, "k"), k, more), slot);
  if (unit.operands === "registers") return loops([kk], fragments(x, unit, where));
  const from = (role: Role, i: Dim): Ref => ref(x.stages.get(role)!.buffer, where(role, i));
  const mma: Stmt = { kind: "mma", unit, acc: ref(x.acc, x.cell), a: from("a", mul(at(x.I), unit.m)), b: from("b", mul(at(x.J), unit.n)) };
  return [{ kind: "issue", unit, body: loops([kk, x.I, x.J], [mma]) }];
}

/** acc[i, j] += a[i] * b[j]: b is held in vectors, a is broadcast. */
function lanes(x: Contract, st: State, slot: Dim): readonly Stmt[] {
  const { I, J, L, cell, dtype } = x;
  const k = axis("k", st.size.k, "loop");
  const br = x.register("br", dtype, x.nr);
  const ar = x.register("ar", dtype, x.mr);
  /** Rows beyond the edge repeat the last one: their results are never stored. */
  const inside = (role: Role, i: Dim): Dim => {
    const [size, tile] = [x.total[across(role)], role === "a" ? x.mr : x.nr];
    return divides(tile, size) ? i : min(i, sub(size, 1));
  };
  const read = (role: Role, i: Dim, into: Stmt[]): Value =>
    x.t[role]
      ? load(
          x.stages.get(role)!.buffer,
          x.place(role, add(x.relative(role, st, across(role)), i), add(x.relative(role, st, "k"), at(k)), slot),
        )
      : x.operand(role, inside(role, add(st.off[across(role)], i)), add(st.off.k, at(k)), into);
  const j = add(mul(at(J), x.vector), at(L));
  const loadB: Stmt[] = [];
  loadB.push(store(br, j, read("b", j, loadB)));
  const loadA: Stmt[] = [];
  loadA.push(store(ar, at(I), read("a", at(I), loadA)));
  const update = store(x.acc, cell, apply("fma", dtype, load(ar, at(I)), load(br, j), load(x.acc, cell)));
  return loops([k], [...loops([J, L], loadB), ...loops([I], [...loadA, ...loops([J, L], [update])])]);
}

type Where = (role: Role, i: Dim, more?: Dim) => Dim;
/** mma.sync: ldmatrix moves a 16 x 16 block; each lane names one 8-element row of it. */
function fragments(x: Contract, unit: MatrixUnit, where: Where): readonly Stmt[] {
  const { I, J, lane } = x;
  const a = x.register("af", "u32", (x.mr / unit.m) * 4);
  const b = x.register("bf", "u32", (x.nr / unit.n) * 2);
  const J2 = axis("j", x.nr / unit.n / 2, "unroll");
  const column = mul(at(J2), 16);
  const upper = mul(div(lane, 16), 8);
  const in16 = mod(lane, 16);
  const transposed = !x.kInner("b");
  const fetch = (into: Ref, role: Role, index: Dim, transpose: boolean): Stmt => ({
    kind: "fetch",
    unit,
    into,
    from: ref(x.stages.get(role)!.buffer, index),
    stride: 0,
    count: 4,
    transposed: transpose,
  });
  const whereB = transposed
    ? where("b", add(column, upper), in16)
    : where("b", add(column, upper, mod(lane, 8)), mul(mod(div(lane, 8), 2), 8));
  return [
    ...loops([I], [fetch(ref(a, mul(at(I), 4)), "a", where("a", add(mul(at(I), 16), in16), upper), false)]),
    ...loops([J2], [fetch(ref(b, mul(at(J2), 4)), "b", whereB, transposed)]),
    ...loops([I, J], [{ kind: "mma", unit, acc: ref(x.acc, x.cell), a: ref(a, mul(at(I), 4)), b: ref(b, mul(at(J), 2)) }]),
  ];
}
