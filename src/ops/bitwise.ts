import { bytesOf, dtypes } from "../core/dtype.js";
import type { Node } from "../ir/node.js";
import { cast } from "./cast.js";
import { logicalAnd, lt, where } from "./comparison.js";
import { type Binary, binary, type Unary, unary } from "./define.js";
import { type Operand, resultType, toNode } from "./promotion.js";

/** a & b; logical on bool (torch.bitwise_and). */
export const bitwiseAnd: Binary = binary("bitwiseAnd", {
  domain: "bits",
  scalar: "and",
  range: [-100, 100],
  reference: (a, b) => a & b,
  integer: (a, b) => a & b,
});
/** a | b; logical on bool (torch.bitwise_or). */
export const bitwiseOr: Binary = binary("bitwiseOr", {
  domain: "bits",
  scalar: "or",
  range: [-100, 100],
  reference: (a, b) => a | b,
  integer: (a, b) => a | b,
});
/** a ^ b; logical on bool (torch.bitwise_xor). */
export const bitwiseXor: Binary = binary("bitwiseXor", {
  domain: "bits",
  scalar: "xor",
  range: [-100, 100],
  reference: (a, b) => a ^ b,
  integer: (a, b) => a ^ b,
});
const flip = unary("bitwiseNot", {
  domain: "bits",
  scalar: "not",
  range: [-100, 100],
  reference: (x) => ~x,
  integer: (x) => ~x,
  test: ["u8", "u16", "u32", "u64", "i8", "i16", "i32", "i64"],
});
const negate = unary("logicalNot", { domain: "bits", scalar: "not", reference: (x) => 1 - x, test: ["bool"] });
/** Every bit turned; logical on bool (torch.bitwise_not). */
export const bitwiseNot: Unary = Object.assign((x: Node): Node => (x.type.dtype === "bool" ? negate(x) : flip(x)), { op: flip.op });
/** True where x is 0 (torch.logical_not). */
export const logicalNot: Unary = Object.assign((x: Node): Node => negate(cast(x, "bool")), { op: negate.op });

/** a << b for 0 <= b < bits; outside that range the result is not defined. */
export const shl: Binary = binary("shl", {
  domain: "bits",
  test: ["u8", "u16", "u32", "u64", "i8", "i16", "i32", "i64"],
  range: [
    [-100, 100],
    [0, 7],
  ],
  reference: (a, b) => a * 2 ** b,
  integer: (a, b) => a << b,
});
/** a >> b for 0 <= b < bits, keeping the sign of signed integers; outside that range the result is not defined. */
export const shr: Binary = binary("shr", {
  domain: "bits",
  test: ["u8", "u16", "u32", "u64", "i8", "i16", "i32", "i64"],
  range: [
    [-100, 100],
    [0, 7],
  ],
  reference: (a, b) => a / 2 ** b,
  integer: (a, b) => a >> b,
});

function shift(f: Binary, x: Operand, by: Operand, past: (a: Node) => Operand): Node {
  const dtype = resultType(x, by);
  const [a, b] = [cast(toNode(x, dtype), dtype), cast(toNode(by, dtype), dtype)];
  const bits = bytesOf(dtype) * 8;
  const fits = dtypes[dtype].kind === "uint" ? lt(b, bits) : logicalAnd(lt(b, bits), lt(-1, b));
  return where(fits, f(a, where(fits, b, 0)), past(a));
}
/** a << b; 0 where b is negative or at least the number of bits (torch.bitwise_left_shift). */
export const bitwiseLeftShift = (a: Operand, b: Operand): Node => shift(shl, a, b, () => 0);
/** a >> b; all sign bits where b is negative or at least the number of bits (torch.bitwise_right_shift). */
export const bitwiseRightShift = (a: Operand, b: Operand): Node =>
  shift(shr, a, b, (x) => (dtypes[x.type.dtype].kind === "uint" ? 0 : shr(x, bytesOf(x.type.dtype) * 8 - 1)));
