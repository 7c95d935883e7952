/** Operands of `dot2` and `dot4`: neighbours along k as one word. */
import { add, type Dim, divides, mul } from "../../../core/expr.js";
import { apply, at, type Buffer, below, constant, load, loops, type Stmt, store, type Value } from "../../kernel.js";
import type { Contract } from "./contract.js";
import type { Operand } from "./operands.js";

/** What is added to each i8 of the left operand, since `dot4` takes that one without a sign: `a` counts from -128. */
const signs = 0x80808080;
/** Whether the left operand's words are offset, which what `shiftOf` sums up takes back. */
export const isShifted = (x: Contract): boolean => x.pack === 4 && !x.unit;
/** The sums of b times the offset of a. */
export const shiftOf = (b: Value, sum: Value): Value => apply("dot4", "i32", constant(signs, "u32"), b, sum);

/** One step of the arithmetic: c plus the product of two elements, or of all in two words. */
export const multiply = (x: Contract, a: Value, b: Value, c: Value): Value =>
  apply(x.pack === 1 ? "fma" : x.pack === 2 ? "dot2" : "dot4", x.dtype, a, b, c);

/**
 * Elements (i, k), (i, k + 1) ... of an operand as one word: read at once where they lie side by side, otherwise put together, rounded
 * to what the operand holds, zero beyond the last k, unless the word is known to be whole.
 */
export function operandWord(x: Contract, o: Operand, i: Dim, k: Dim, into: Stmt[], whole: boolean = divides(x.pack, x.total.k)): Value {
  const word = bare(x, o, i, k, into, whole);
  return isShifted(x) && o.role === "a" ? apply("xor", "u32", word, constant(signs, "u32")) : word;
}
function bare(x: Contract, o: Operand, i: Dim, k: Dim, into: Stmt[], whole: boolean): Value {
  const { total, pack } = x;
  if (x.words[o.role]) return { kind: "word", dtype: "u32", ...x.address(o, i, k) };
  const part = (at: Dim): Value => {
    const v = x.operand(o, i, at, into);
    const bits: Value =
      pack === 4
        ? apply("and", "u32", apply("cast", "u32", v), constant(0xff, "u32"))
        : v.kind === "load"
          ? apply("shr", "u32", apply("bitcast", "u32", v), constant(16, "u32"))
          : apply("cast", "u32", apply("bitcast", "u16", apply("cast", o.node.type.dtype, v)));
    if (at === k || whole) return bits;
    return { kind: "select", dtype: "u32", tests: [below(at, total.k)], then: bits, else: constant(0, "u32") };
  };
  let word = part(k);
  for (let n = 1; n < pack; n++) word = apply("or", "u32", word, apply("shl", "u32", part(add(k, n)), constant((32 / pack) * n, "u32")));
  return word;
}

/** Where the shift of an operand's columns at `j` of the register block (times lanes, along k) is summed up. */
export function shifts(x: Contract, o: Operand, j: Dim): { readonly buffer: Buffer; readonly index: Dim } {
  const size = x.t.micro.along === "k" ? x.nr * x.vector : x.nr;
  return { buffer: x.register("shift", "i32", size * x.operands.b.length), index: add(j, o.index * size) };
}
/** Steps of offset products, and then the offset's part taken from the accumulators. */
export function unshifted(x: Contract, steps: readonly Stmt[]): readonly Stmt[] {
  const { I, J, L } = x;
  const j = add(mul(at(J), x.vector), at(L));
  const start = x.operands.b.map((o) => shifts(x, o, j)).map((s) => store(s.buffer, s.index, constant(0, "i32")));
  const end = x.products.map((p) => {
    const { buffer, index } = shifts(x, p.b, j);
    return store(x.acc, x.cell(p), apply("sub", "i32", load(x.acc, x.cell(p)), load(buffer, index)));
  });
  return [...loops([J, L], start), ...steps, ...loops([I, J, L], end)];
}
