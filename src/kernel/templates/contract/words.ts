/** Operands of `dot2`: neighbours along k as one word. */
import { add, type Dim, divides } from "../../../core/expr.js";
import { apply, below, constant, type Stmt, type Value } from "../../kernel.js";
import type { Contract } from "./contract.js";
import type { Operand } from "./operands.js";

/**
 * Elements (i, k) and (i, k + 1) of an operand as one word: read at once where they lie side by side, otherwise put together, rounded
 * to what the operand holds, zero beyond the last k.
 */
export function operandWord(x: Contract, o: Operand, i: Dim, k: Dim, into: Stmt[]): Value {
  const { total } = x;
  if (x.strides[o.role]?.[1] === 1 && divides(x.pack, total.k)) return { kind: "word", dtype: "u32", ...x.address(o, i, k) };
  const half = (at: Dim): Value => {
    const v = x.operand(o, i, at, into);
    const bits: Value =
      v.kind === "load"
        ? apply("shr", "u32", apply("bitcast", "u32", v), constant(16, "u32"))
        : apply("cast", "u32", apply("bitcast", "u16", apply("cast", o.node.type.dtype, v)));
    if (at === k || divides(x.pack, total.k)) return bits;
    return { kind: "select", dtype: "u32", tests: [below(at, total.k)], then: bits, else: constant(0, "u32") };
  };
  return apply("or", "u32", half(k), apply("shl", "u32", half(add(k, 1)), constant(16, "u32")));
}
