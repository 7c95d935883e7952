/**
 * PyTorch's type promotion. Operands fall into three ranks: tensors with axes, rank-0 tensors, JavaScript literals. A lower rank
 * changes the result only if its category (bool < integer < float) is higher than that of every rank above it.
 */
import { type DType, dtypes, isFloat } from "../core/dtype.js";
import { DTypeError, ShapeError } from "../core/errors.js";
import type { Dim } from "../core/expr.js";
import { type Shape, sameShape, showShape } from "../core/type.js";
import type { Node } from "../ir/node.js";
import { expand } from "./movement.js";
import { scalar } from "./source.js";

export { normalizeDim } from "./dims.js";

/** A literal in an op's place for a tensor. */
export type Literal = number | bigint | boolean;
/** What an elementwise function takes. */
export type Operand = Node | Literal;

let defaultFloat: DType = "f32";
/** The float dtype that integers and fractions turn into (torch.get_default_dtype). */
export const defaultDType = (): DType => defaultFloat;
/** Sets what `defaultDType` gives (torch.set_default_dtype). */
export function setDefaultDType(dtype: DType): void {
  if (!isFloat(dtype)) throw new DTypeError(`setDefaultDType: ${dtype} is not a float dtype`);
  defaultFloat = dtype;
}

const kinds = { bool: 0, uint: 1, int: 1, float: 2, complex: 3 } as const;
const category = (d: DType): number => kinds[dtypes[d].kind];

/** The smallest dtype that both convert to (torch.promote_types). */
export function promoteTypes(a: DType, b: DType): DType {
  if (a === b) return a;
  const [x, y] = category(a) <= category(b) ? [a, b] : [b, a];
  if (category(x) < category(y)) return y;
  if (category(x) === 3) return x;
  if (category(x) === 2) {
    if (dtypes[x].bytes !== dtypes[y].bytes) return dtypes[x].bytes > dtypes[y].bytes ? x : y;
    return "f32"; // f16 with bf16
  }
  const [p, q] = [dtypes[x], dtypes[y]];
  if (p.kind === q.kind) return p.bytes > q.bytes ? x : y;
  const [int, uint] = p.kind === "int" ? [x, y] : [y, x];
  if (dtypes[int].bytes > dtypes[uint].bytes) return int;
  const signed = { 1: "i16", 2: "i32", 4: "i64" } as const;
  const wider = signed[dtypes[uint].bytes as 1 | 2 | 4];
  if (!wider) throw new DTypeError(`no dtype holds both ${int} and u64; cast one of them first`);
  return wider;
}

/** Category of a literal: whole numbers are integers, so that `x.add(1)` keeps an integer tensor's dtype. */
const literalKind = (x: Literal): 0 | 1 | 2 => (typeof x === "boolean" ? 0 : typeof x === "bigint" || Number.isInteger(x) ? 1 : 2);
/** The dtype that a literal takes beside a tensor of dtype `other`. */
export function literalDType(x: Literal, other: DType): DType {
  const kind = literalKind(x);
  if (kind <= category(other)) return other;
  return kind === 2 ? defaultFloat : "i64";
}

/** Common dtype of operands (torch.result_type). */
export function resultType(...operands: readonly Operand[]): DType {
  let axes: DType | undefined;
  let rank0: DType | undefined;
  let literal: 0 | 1 | 2 | -1 = -1;
  for (const x of operands) {
    if (typeof x !== "object") literal = Math.max(literal, literalKind(x)) as 0 | 1 | 2;
    else if (x.type.shape.length) axes = axes === undefined ? x.type.dtype : promoteTypes(axes, x.type.dtype);
    else rank0 = rank0 === undefined ? x.type.dtype : promoteTypes(rank0, x.type.dtype);
  }
  let out = axes;
  if (rank0 !== undefined && (out === undefined || category(rank0) > category(out))) out = rank0;
  if (literal >= 0 && (out === undefined || literal > category(out))) out = (["bool", "i64", defaultFloat] as const)[literal as 0 | 1 | 2];
  if (out === undefined) throw new DTypeError("resultType: no operands");
  return out;
}

/** The shape that shapes broadcast to: equal dims, or 1, counted from the last axis (torch.broadcast_shapes). */
export function broadcastShapes(name: string, ...shapes: readonly Shape[]): Shape {
  let out = shapes[0] ?? [];
  for (let k = 1; k < shapes.length; k++) {
    const b = shapes[k]!;
    if (sameShape(out, b)) continue;
    const [long, short] = out.length >= b.length ? [out, b] : [b, out];
    const skip = long.length - short.length;
    out = long.map((d, i): Dim => {
      if (i < skip) return d;
      const e = short[i - skip]!;
      if (d === e || e === 1) return d;
      if (d === 1) return e;
      throw new ShapeError(`${name}: shapes ${shapes.map(showShape).join(" and ")} do not broadcast`);
    });
  }
  return out;
}

/** What a literal becomes instead of a constant while a user's call is recorded: the tensor layer makes run-time inputs of them. */
let literalNode: ((x: Literal, dtype: DType) => Node | undefined) | undefined;
/** Runs `record` with `make` asked first about every literal. */
export function withLiterals<T>(make: (x: Literal, dtype: DType) => Node | undefined, record: () => T): T {
  const before = literalNode;
  literalNode = make;
  try {
    return record();
  } finally {
    literalNode = before;
  }
}

/** Operands as nodes of one dtype; literals become constants of it. */
export function toNode(x: Operand, dtype: DType): Node {
  if (typeof x === "object") return x;
  const made = literalNode?.(x, dtype);
  if (made) return made;
  return scalar(typeof x === "boolean" ? Number(x) : dtype === "i64" || dtype === "u64" ? BigInt(x) : Number(x), dtype);
}
/** Operands expanded to their common shape. */
export function broadcast(name: string, ...xs: readonly Node[]): Node[] {
  const first = xs[0]!.type.shape;
  if (xs.every((x) => sameShape(x.type.shape, first))) return [...xs];
  const shape = broadcastShapes(name, ...xs.map((x) => x.type.shape));
  return xs.map((x) => expand(x, shape));
}
