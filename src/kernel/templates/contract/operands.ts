/** Sizes and operands of a product, read off its node before there is a tiling. */
import { computeDType, type DType } from "../../../core/dtype.js";
import { add, type Dim, div, divides, hi, lo, mul, stride, sub } from "../../../core/expr.js";
import type { Shape } from "../../../core/type.js";
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
/** The products that a group computes in one kernel. */
export const productsOf = (group: Group): readonly Node[] => [group.root!, ...(group.beside ?? [])];

/** One operand of a group's products. */
export interface Operand {
  readonly role: Role;
  readonly node: Node;
  /** Its number among the role's operands. */
  readonly index: number;
}
/** The operands by role, as a tiling names them: one, where all products share it. */
export function operandsOf(group: Group, turned?: boolean): Readonly<Record<Role, readonly Operand[]>> {
  const of = (role: Role): readonly Operand[] =>
    [...new Set(productsOf(group).map((r) => r.inputs[side(role, turned)]!))].map((node, index) => ({ role, node, index }));
  return { a: of("a"), b: of("b") };
}
/** Which input of a product plays a role. */
export const side = (role: Role, turned?: boolean): 0 | 1 => ((role === "a") === (turned ?? false) ? 1 : 0);

/** Sizes as a tiling names them. */
export const orient = <T extends { readonly total: PerAxis<Dim> }>(s: T, turned?: boolean): T =>
  turned ? { ...s, total: { m: s.total.n, n: s.total.m, k: s.total.k } } : s;

/**
 * What stands before and behind the products, for evaluators: an operand that several products read is not named for that, since
 * each product reads it in the same place.
 */
export function aroundProducts(group: Group): Group {
  const products = new Set(productsOf(group));
  return { ...group, nodes: group.nodes.filter((n) => !products.has(n)) };
}

/** The address of an operand that is only a view of a buffer: no arithmetic, no masks, nothing read for its index. */
export function plainView(
  group: Group,
  buffers: ReadonlyMap<Node, Buffer>,
  node: Node,
  index: readonly Dim[],
): (Value & { kind: "load" }) | undefined {
  const into: Stmt[] = [];
  const v = makeEvaluator(aroundProducts(group), buffers).value(node, index, into);
  return into.length === 0 && v.kind === "load" ? v : undefined;
}

/** The same where the buffer holds the operand's own dtype, so that bytes can be moved as they stand: half floats that are read as f32 are no such. */
export function storedView(
  group: Group,
  buffers: ReadonlyMap<Node, Buffer>,
  node: Node,
  index: readonly Dim[],
): (Value & { kind: "load" }) | undefined {
  const v = plainView(group, buffers, node, index);
  return v && [...buffers.values()].find((b) => b.name === v.buffer)?.dtype === node.type.dtype ? v : undefined;
}
/** Whether all operands of a role are that. */
export const isStored = (group: Group, role: Role, turned?: boolean): boolean =>
  operandsOf(group, turned)[role].every(
    (o) => storedView(group, groupBuffers(group), o.node, anyIndex(group, side(role, turned) === 0)) !== undefined,
  );

/** An operand as rows of a buffer: all its elements along k are in one row, or all those across. */
export interface Rows {
  readonly from: string;
  /** Elements from one of the buffer's rows to the next. */
  readonly columns: number;
  /** Where the operand begins. */
  readonly first: readonly [row: Dim, column: Dim];
}
/** Plain operands as rows of buffers, or undefined where one is not that; those of a batch begin in one column, or in one row. */
export function wholeRows(group: Group, role: Role, batches?: readonly Dim[]): readonly Rows[] | undefined {
  const { batch, total } = dotShape(group.root!);
  const by = stridesOf(group, role);
  const inner = by?.indexOf(1) ?? -1;
  if (!by || inner < 0) return undefined;
  const columns = by[1 - inner]!;
  const width = inner === 1 ? total.k : total[role === "a" ? "m" : "n"];
  const buffers = groupBuffers(group);
  const index = batches ?? batch.map((d, i) => at(axis(`b${i}`, d, "loop")));
  const rowsOf = (o: Operand): Rows | undefined => {
    const v = storedView(group, buffers, o.node, [...index, 0, 0]);
    if (!v || lo(v.index) < 0) return undefined;
    const { buffer: from, index: start } = v;
    if (inner === 1 && hi(start) + hi(width) <= Math.max(columns, hi(width))) return { from, columns, first: [0, start] };
    return divides(columns, start) ? { from, columns, first: [div(start, columns), 0] } : undefined;
  };
  const all = operandsOf(group)[role].map(rowsOf);
  return all.every((r) => r !== undefined) ? all : undefined;
}
/** The index of any element of a product's left or right input, by the names of its axes. */
function anyIndex(group: Group, left: boolean): readonly Dim[] {
  const { batch, total } = dotShape(group.root!);
  const names: readonly Name[] = left ? ["m", "k"] : ["k", "n"];
  return [...batch.map((d, i) => at(axis(`b${i}`, d, "loop"))), ...names.map((x) => at(axis(x, total[x], "loop")))];
}
type Strides = readonly [across: number, k: number];
/** Strides across (m or n) and along k of a role's operands, where they are plain affine views of buffers that lie alike. */
export function stridesOf(group: Group, role: Role, turned?: boolean): Strides | undefined {
  const [first, ...more] = operandsOf(group, turned)[role].map((o) => stridesOfOne(group, o.node, side(role, turned) === 0));
  return more.every((s) => s && first && s[0] === first[0] && s[1] === first[1]) ? first : undefined;
}
function stridesOfOne(group: Group, node: Node, left: boolean): Strides | undefined {
  const v = plainView(group, groupBuffers(group), node, anyIndex(group, left));
  if (!v) return undefined;
  const by = (x: Name): number | undefined => stride(v.index, x);
  const [s, k] = [by(left ? "m" : "n"), by("k")];
  return s === undefined || k === undefined ? undefined : [s, k];
}
/** Whether so many neighbours along k lie side by side from each multiple on in all of a role's operands, whatever rows look like: words. */
export const wordsOf = (group: Group, role: Role, pack: number, turned?: boolean): boolean =>
  divides(pack, dotShape(group.root!).total.k) && runsOf(group, role, pack, turned);
/** The same for those that are whole, where k may end within one. */
export function runsOf(group: Group, role: Role, pack: number, turned?: boolean): boolean {
  const { batch, total } = orient(dotShape(group.root!), turned);
  if (pack === 1 || hi(total.k) < pack) return false;
  const buffers = groupBuffers(group);
  const [i, k] = [at(axis("i", role === "a" ? total.m : total.n, "loop")), mul(at(axis("k", div(total.k, pack), "loop")), pack)];
  const batches = batch.map((d, n) => at(axis(`b${n}`, d, "loop")));
  const place = (o: Operand, more: number): Dim | undefined => {
    const inner = add(k, more);
    return plainView(group, buffers, o.node, [...batches, ...(side(role, turned) === 0 ? [i, inner] : [inner, i])])?.index;
  };
  return operandsOf(group, turned)[role].every((o) => {
    const first = place(o, 0);
    return (
      first !== undefined &&
      Array.from({ length: pack - 1 }, (_, n) => place(o, n + 1)).every((d, n) => d !== undefined && sub(d, first) === n + 1)
    );
  });
}
