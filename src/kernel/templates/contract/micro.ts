/** The innermost tile, once per kind of arithmetic: fused multiply-add on lanes, or a matrix unit. */
import { add, ceilDiv, type Dim, div, divides, mod, mul } from "../../../core/expr.js";
import { apply, at, axis, load, loops, type MatrixUnit, type Ref, ref, type Stmt, store, type Value } from "../../kernel.js";
import { across, type Contract, inside, pieces, type State } from "./contract.js";
import { lanesAlongK } from "./sums.js";
import type { Role } from "./tiling.js";
import { operandWord } from "./words.js";

export function micro(x: Contract, st: State, slot: Dim): readonly Stmt[] {
  const { unit } = x;
  if (!unit) return x.t.micro.along === "k" ? lanesAlongK(x, st) : lanes(x, st, slot);
  // What lies beyond k is 0 in a tile that was copied whole.
  const size = unit.operands === "shared" ? x.t.levels.findLast((l) => l.axis === "k")!.tile : st.size.k;
  const kk = axis("kk", ceilDiv(size, unit.k), "unroll");
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
  const { I, J, L, cell, dtype, pack } = x;
  const size = pieces(st.size.k, pack);
  // A CPU's compiler unrolls by itself; a GPU gets some turns at once, to have loads in flight.
  const turns = x.t.threads > 1 && divides(4, size) ? 4 : 1;
  const [ko, ki] = [axis("k", turns > 1 ? div(size, turns) : size, "loop"), axis("kk", turns, "unroll")];
  const k = turns > 1 ? add(mul(at(ko), turns), at(ki)) : at(ko);
  const held = pack > 1 ? "u32" : dtype;
  const br = x.register("br", held, x.nr);
  const ar = x.register("ar", held, x.mr);
  const read = (role: Role, i: Dim, into: Stmt[]): Value =>
    x.t[role]
      ? load(
          x.stages.get(role)!.buffer,
          x.place(role, add(x.relative(role, st, across(role)), i), add(div(x.relative(role, st, "k"), pack), k), slot),
        )
      : pack > 1
        ? operandWord(x, role, inside(x, role, add(st.off[across(role)], i)), add(st.off.k, mul(k, pack)), into)
        : x.operand(role, inside(x, role, add(st.off[across(role)], i)), add(st.off.k, k), into);
  const j = add(mul(at(J), x.vector), at(L));
  const loadB: Stmt[] = [];
  loadB.push(store(br, j, read("b", j, loadB)));
  const loadA: Stmt[] = [];
  // Where a lies turned in shared memory, neighbouring rows are one access.
  const wide = x.t.a?.layout.kind === "columns" && x.vector > 1 && x.mr % x.vector === 0;
  const [Ia, La] = [axis("ia", x.mr / x.vector, "unroll"), axis("la", x.vector, "vector")];
  const row = wide ? add(mul(at(Ia), x.vector), at(La)) : at(I);
  loadA.push(store(ar, row, read("a", row, loadA)));
  const update = store(x.acc, cell, apply(pack > 1 ? "dot2" : "fma", dtype, load(ar, at(I)), load(br, j), load(x.acc, cell)));
  const body = wide
    ? [...loops([J, L], loadB), ...loops([Ia, La], loadA), ...loops([I, J, L], [update])]
    : [...loops([J, L], loadB), ...loops([I], [...loadA, ...loops([J, L], [update])])];
  return loops(turns > 1 ? [ko, ki] : [ko], body);
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
