/** Sizes and operands of a product, read off its node before there is a tiling. */
import { computeDType, type DType } from "../../../core/dtype.js";
import { type Dim, stride } from "../../../core/expr.js";
import { numel, type Shape } from "../../../core/type.js";
import type { Node } from "../../../ir/node.js";
import { makeEvaluator } from "../../evaluate.js";
import { type Group, groupBuffers } from "../../group.js";
import { at, axis, type Buffer, type Stmt, type Value } from "../../kernel.js";
import type { Name, PerAxis, Role } from "./tiling.js";

/** Sizes of a `dot` node. */
export interface DotShape {
  readonly batch: Shape;
  readonly total: PerAxis<Dim>;
  /** What accumulators hold. */
  readonly dtype: DType;
}
export function dotShape(root: Node): DotShape {
  const [a, b] = root.inputs as readonly [Node, Node];
  const r = a.type.shape.length;
  const total = { m: a.type.shape[r - 2]!, n: b.type.shape[r - 1]!, k: a.type.shape[r - 1]! };
  return { batch: a.type.shape.slice(0, -2), total, dtype: computeDType(root.type.dtype) };
}
/** Sizes as a tiling names them. */
export const orient = <T extends { readonly total: PerAxis<Dim> }>(s: T, turned?: boolean): T =>
  turned ? { ...s, total: { m: s.total.n, n: s.total.m, k: s.total.k } } : s;

/** The address of an operand that is only a view of a buffer: no arithmetic, no masks, nothing read for its index. */
export function plainView(
  group: Group,
  buffers: ReadonlyMap<Node, Buffer>,
  node: Node,
  index: readonly Dim[],
): (Value & { kind: "load" }) | undefined {
  const into: Stmt[] = [];
  const v = makeEvaluator(group, buffers).value(node, index, into);
  return into.length === 0 && v.kind === "load" ? v : undefined;
}

/** Rows of k elements in a buffer, from its beginning. */
export interface Rows {
  readonly from: string;
  /** Elements from one row to the next. */
  readonly columns: number;
}
/** A plain operand without batches as rows of k, or undefined where it is not that. */
export function wholeRows(group: Group, role: Role): Rows | undefined {
  const { batch } = dotShape(group.root!);
  const by = stridesOf(group, role);
  if (numel(batch) !== 1 || by?.[1] !== 1) return undefined;
  const v = plainView(group, groupBuffers(group), group.root!.inputs[role === "a" ? 0 : 1]!, [...batch.map(() => 0), 0, 0]);
  return v?.index === 0 ? { from: v.buffer, columns: by[0] } : undefined;
}
/** Strides across (m or n) and along k of an operand that is a plain affine view of a buffer. */
export function stridesOf(group: Group, role: Role, turned?: boolean): readonly [across: number, k: number] | undefined {
  const { batch, total } = dotShape(group.root!);
  const left = (role === "a") !== (turned ?? false);
  const node = group.root!.inputs[left ? 0 : 1]!;
  const names: readonly Name[] = left ? ["m", "k"] : ["k", "n"];
  const index = [...batch.map((d, i) => at(axis(`b${i}`, d, "loop"))), ...names.map((x) => at(axis(x, total[x], "loop")))];
  const v = plainView(group, groupBuffers(group), node, index);
  if (!v) return undefined;
  const by = (x: Name): number | undefined => stride(v.index, x);
  const [s, k] = [by(left ? "m" : "n"), by("k")];
  return s === undefined || k === undefined ? undefined : [s, k];
}
