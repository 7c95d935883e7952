/** Units whose registers are whole tiles (Intel's AMX): words in shared storage, tiles of them, and results that leave through scratch. */
import { add, type Dim, divides, mul } from "../../../core/expr.js";
import { at, axis, below, constant, loops, type MatrixUnit, type Ref, ref, type Stmt, store, type Test } from "../../kernel.js";
import { type Contract, type Product, pieces, type State } from "./contract.js";
import { waiting } from "./leave.js";
import type { Operand } from "./operands.js";
import { operandWord } from "./words.js";

/** Words of a tile's row. */
const rowWords = 16;

/** Rows of an operand as words along k, zero beyond the last row. */
export function rowsOfWords(x: Contract, o: Operand, st: State): readonly Stmt[] {
  const { pack, total } = x;
  const [p, i] = [axis("pa", pieces(st.size.m, x.mr), "loop"), axis("ia", x.mr, "loop")];
  const [k, l] = [axis("ka", x.tileOf("a", "k") / pack / rowWords, "loop"), axis("la", rowWords, "vector")];
  const row = add(mul(at(p), x.mr), at(i));
  const word = add(mul(at(k), rowWords), at(l));
  const into: Stmt[] = [];
  const m = add(x.origin("a", "m"), row);
  const value = operandWord(x, o, m, add(st.off.k, mul(word, pack)), into);
  const to = [x.stages.get(o)!, x.place("a", row, word, 0)] as const;
  const filled = loops([k, l], [...into, store(...to, value)]);
  const test: Test = below(m, total.m);
  const all: readonly Stmt[] = divides(x.mr, total.m)
    ? filled
    : [{ kind: "if", test, body: filled, else: loops([k, l], [store(...to, constant(0, "u32"))]) }];
  return loops([p, i], all);
}

/** acc[i, j] += a[i] * b[j], tile by tile along k. */
export function tileSteps(x: Contract, st: State, unit: MatrixUnit): readonly Stmt[] {
  const { I, J, acc, pack } = x;
  const kTile = x.tileOf("a", "k");
  const k = axis("kk", kTile / unit.k, "loop");
  const [rows, columns] = [x.mr / unit.m, x.nr / unit.n];
  const tileA = (o: Operand): Dim => add(at(I), x.cells * x.products.length + o.index * rows);
  const tileB = (o: Operand): Dim => add(at(J), x.cells * x.products.length + x.operands.a.length * rows + o.index * columns);
  const words = mul(at(k), rowWords);
  const fetch = (into: Dim, o: Operand, start: Dim, stride: number): Stmt => {
    const from: Ref = ref(x.stages.get(o)!, start);
    return { kind: "fetch", unit, into: ref(acc, into), from, stride, count: 1, transposed: false };
  };
  const startA = x.place("a", add(x.relative("a", st, "m"), mul(at(I), unit.m)), words, 0);
  const startB = x.place("b", add(x.relative("b", st, "n"), mul(at(J), unit.n)), words, 0);
  const multiply = (p: Product): Stmt => ({
    kind: "mma",
    unit,
    acc: ref(acc, x.cell(p)),
    a: ref(acc, tileA(p.a)),
    b: ref(acc, tileB(p.b)),
  });
  return loops(
    [k],
    [
      ...x.operands.a.flatMap((o) => loops([I], [fetch(tileA(o), o, startA, kTile / pack)])),
      ...x.operands.b.flatMap((o) => loops([J], [fetch(tileB(o), o, startB, rowWords)])),
      ...loops([I, J], x.products.map(multiply)),
    ],
  );
}

/** The life of such accumulators: zero, the products, and their place in scratch, where a sweep finds them. */
export function tileAccumulators(x: Contract, st: State, unit: MatrixUnit, inner: readonly Stmt[]): readonly Stmt[] {
  const { I, J, acc } = x;
  const each = (s: (p: Product) => Stmt): readonly Stmt[] => loops([I, J], x.products.map(s));
  return [
    ...each((p) => ({ kind: "fill", unit, acc: ref(acc, x.cell(p)) })),
    ...inner,
    ...each((p) => {
      const to = ref(x.partial, waiting(x, p, st, mul(at(I), unit.m), mul(at(J), unit.n)));
      return { kind: "spill", unit, acc: ref(acc, x.cell(p)), to, stride: x.partialWidth };
    }),
  ];
}
