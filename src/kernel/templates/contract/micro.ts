/** The innermost tile, once per kind of arithmetic: fused multiply-add on lanes, or a matrix unit. */
import { add, ceilDiv, type Dim, div, divides, mod, mul } from "../../../core/expr.js";
import { at, axis, type Buffer, load, loops, type MatrixUnit, type Ref, ref, type Stmt, store, type Value } from "../../kernel.js";
import { isOpaque } from "../../units.js";
import { nextRows } from "./ahead.js";
import { across, type Contract, inside, type Product, pieces, type State } from "./contract.js";
import type { Operand } from "./operands.js";
import { lanesAlongK } from "./sums.js";
import { tileSteps } from "./tiles.js";
import type { Role } from "./tiling.js";
import { isShifted, multiply, operandWord, shiftOf, shifts } from "./words.js";

export function micro(x: Contract, st: State, slot: Dim): readonly Stmt[] {
  const { unit } = x;
  if (!unit) return x.t.micro.along === "k" ? lanesAlongK(x, st) : lanes(x, st, slot);
  if (isOpaque(unit)) return tileSteps(x, st, unit);
  // What lies beyond k is 0 in a tile.
  const size = x.t.levels.findLast((l) => l.axis === "k")!.tile;
  const kk = axis("kk", ceilDiv(size, unit.k), "unroll");
  const k = mul(at(kk), unit.k);
  // A tile has all of its k at once.
  const where = (role: Role, i: Dim, more: Dim = 0): Dim => x.place(role, add(x.relative(role, st, across(role)), i), add(k, more), slot);
  if (unit.operands === "registers") return loops([kk], fragments(x, unit, where));
  const from = (o: Operand, i: Dim): Ref => ref(x.stages.get(o)!, where(o.role, i));
  const mma = (p: Product): Stmt => {
    const [a, b] = [from(p.a, mul(at(x.I), unit.m)), from(p.b, mul(at(x.J), unit.n))];
    return { kind: "mma", unit, acc: ref(x.acc, x.cell(p)), a, b };
  };
  return [{ kind: "issue", unit, body: loops([kk, x.I, x.J], x.products.map(mma)) }];
}

/** acc[i, j] += a[i] * b[j]: b is held in vectors, a is broadcast. */
function lanes(x: Contract, st: State, slot: Dim): readonly Stmt[] {
  const { I, J, L, cell, dtype, pack } = x;
  const size = pieces(st.size.k, pack);
  // A GPU gets some turns at once, to have loads in flight; a CPU, to count less often.
  const wanted = x.t.threads > 1 ? 4 : (x.t.turns ?? 1);
  const turns = divides(wanted, size) ? wanted : 1;
  const [ko, ki] = [axis("k", turns > 1 ? div(size, turns) : size, "loop"), axis("kk", turns, "unroll")];
  const k = turns > 1 ? add(mul(at(ko), turns), at(ki)) : at(ko);
  const held = pack > 1 ? "u32" : dtype;
  const br = x.register("br", held, x.nr * x.operands.b.length);
  const ar = x.register("ar", held, x.mr * x.operands.a.length);
  const read = (o: Operand, i: Dim, into: Stmt[]): Value => {
    const { role } = o;
    const stage = x.stages.get(o);
    if (stage) {
      const place = x.place(role, add(x.relative(role, st, across(role)), i), add(div(x.relative(role, st, "k"), pack), k), slot);
      return load(stage, place);
    }
    const row = inside(x, role, add(st.off[across(role)], i));
    return pack > 1 ? operandWord(x, o, row, add(st.off.k, mul(k, pack)), into) : x.operand(o, row, add(st.off.k, k), into);
  };
  /** Where a role's operands wait in registers. */
  const fill = (role: Role, register: Buffer, i: Dim): Stmt[] => {
    const into: Stmt[] = [];
    for (const o of x.operands[role]) into.push(store(register, add(i, o.index * (role === "a" ? x.mr : x.nr)), read(o, i, into)));
    return into;
  };
  const j = add(mul(at(J), x.vector), at(L));
  const loadB = fill("b", br, j);
  if (isShifted(x))
    for (const o of x.operands.b) {
      const [to, from] = [shifts(x, o, j), load(br, add(j, o.index * x.nr))];
      loadB.push(store(to.buffer, to.index, shiftOf(from, load(to.buffer, to.index))));
    }
  // Where a lies turned in shared memory, neighbouring rows are one access.
  const wide = x.t.a?.layout.kind === "columns" && x.vector > 1 && x.mr % x.vector === 0;
  const [Ia, La] = [axis("ia", x.mr / x.vector, "unroll"), axis("la", x.vector, "vector")];
  const row = wide ? add(mul(at(Ia), x.vector), at(La)) : at(I);
  const loadA = fill("a", ar, row);
  const update = x.products.map((p) => {
    const [a, b] = [load(ar, add(at(I), p.a.index * x.mr)), load(br, add(j, p.b.index * x.nr))];
    return store(x.acc, cell(p), multiply(x, a, b, load(x.acc, cell(p))));
  });
  const body = wide
    ? [...loops([J, L], loadB), ...loops([Ia, La], loadA), ...loops([I, J, L], update)]
    : [...loops([J, L], loadB), ...loops([I], [...loadA, ...loops([J, L], update)])];
  return [...nextRows(x, st), ...loops(turns > 1 ? [ko, ki] : [ko], body)];
}

type Where = (role: Role, i: Dim, more?: Dim) => Dim;
/** mma.sync: ldmatrix moves a 16 x 16 block; each lane names one 8-element row of it. */
function fragments(x: Contract, unit: MatrixUnit, where: Where): readonly Stmt[] {
  const { I, J, lane } = x;
  const [rows, columns] = [(x.mr / unit.m) * 4, (x.nr / unit.n) * 2];
  const a = x.register("af", "u32", rows * x.operands.a.length);
  const b = x.register("bf", "u32", columns * x.operands.b.length);
  const J2 = axis("j", x.nr / unit.n / 2, "unroll");
  const column = mul(at(J2), 16);
  const half = unit.k / 2;
  const in16 = mod(lane, 16);
  const fetch = (into: Ref, o: Operand, index: Dim, transpose: boolean): Stmt => ({
    kind: "fetch",
    unit,
    into,
    from: ref(x.stages.get(o)!, index),
    stride: 0,
    count: 4,
    transposed: transpose,
  });
  const [low, high] = [mul(mod(div(lane, 8), 2), 8), mul(div(lane, 16), 8)];
  const [lowK, highK] = [mul(mod(div(lane, 8), 2), half), mul(div(lane, 16), half)];
  const row = mul(at(I), 16);
  const whereA = x.kInner("a") ? where("a", add(row, in16), highK) : where("a", add(row, low), add(high, mod(lane, 8)));
  const whereB = x.kInner("b") ? where("b", add(column, high, mod(lane, 8)), lowK) : where("b", add(column, high), in16);
  const mma = (p: Product): Stmt => {
    const [from, by] = [ref(a, add(mul(at(I), 4), p.a.index * rows)), ref(b, add(mul(at(J), 2), p.b.index * columns))];
    return { kind: "mma", unit, acc: ref(x.acc, x.cell(p)), a: from, b: by };
  };
  return [
    ...x.operands.a.flatMap((o) => loops([I], [fetch(ref(a, add(mul(at(I), 4), o.index * rows)), o, whereA, !x.kInner("a"))])),
    ...x.operands.b.flatMap((o) => loops([J2], [fetch(ref(b, add(mul(at(J2), 4), o.index * columns)), o, whereB, !x.kInner("b"))])),
    ...loops([I, J], x.products.map(mma)),
  ];
}
