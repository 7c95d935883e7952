/** Rows that lie further apart than they are long: matrix units, copies of tiles and libraries want rows that begin where a wide access may. */
import { bytesOf } from "../core/dtype.js";
import { add, hi, mul } from "../core/expr.js";
import { roundUp } from "../core/numbers.js";
import { numel } from "../core/type.js";
import type { Node } from "../ir/node.js";
import { type Group, storedSize } from "../kernel/group.js";
import type { Plan, Slot } from "./plan.js";

/** Rows, and bytes of a row, from which on a matrix is worth it. */
const [leastRows, leastBytes] = [64, 1 << 10];

type Rows = Pick<Slot, "size" | "pitch" | "spare">;

/** How the rows of a temporary lie whose maker and readers these are. */
export function rowsFor(n: Node, users: readonly [Group, ...Group[]], rowBytes: number): Rows {
  const pitch = pitchFor(n, users, rowBytes);
  const spare = spareFor(n, users[0], rowBytes);
  const size = add(storedSize(n, pitch), mul(spare ?? 0, pitch ?? n.type.shape.at(-1) ?? 1));
  return { size, ...(pitch !== undefined && { pitch }), ...(spare !== undefined && { spare }) };
}

/** How far apart rows lie, in elements; undefined: as far as they are long. */
function pitchFor(n: Node, users: readonly Group[], rowBytes: number): number | undefined {
  const columns = n.type.shape.at(-1);
  const size = bytesOf(n.type.dtype);
  if (typeof columns !== "number" || (columns * size) % rowBytes === 0 || columns * size < leastBytes) return undefined;
  if (hi(numel(n.type.shape.slice(0, -1))) < leastRows) return undefined;
  if (!users.some((g) => g.template?.pitched) || !users.every((g) => takes(g, n))) return undefined;
  return roundUp(columns, rowBytes / size);
}
/** Whether a group finds the rows of a value wherever they begin; a product writes rows of its own. */
function takes(g: Group, n: Node): boolean {
  if (g.rows?.some((r) => r.inputs.includes(n))) return false;
  if (g.kind === "kernel") return true;
  return g.template?.pitched === true && (!g.outputs.includes(n) || g.root!.type.shape.at(-1) === n.type.shape.at(-1));
}

/** Rows that make the number of a product's rows a multiple of a wide access: a library may compute them with the others. */
function spareFor(n: Node, maker: Group, rowBytes: number): number | undefined {
  const [rows, columns, ...more] = n.type.shape;
  if (!maker.template?.product || n.type.shape !== maker.root?.type.shape || more.length) return undefined;
  if (typeof rows !== "number" || typeof columns !== "number" || rows * bytesOf(n.type.dtype) < leastBytes) return undefined;
  const spare = roundUp(rows, rowBytes / bytesOf(n.type.dtype)) - rows;
  return spare || undefined;
}

/** How the rows of what a group reads and writes lie. */
export function rowsOf(p: Plan, group: Group): Pick<Group, "pitches" | "spare"> | undefined {
  const [pitches, spare] = [new Map<Node, number>(), new Map<Node, number>()];
  for (const n of [...group.inputs, ...group.outputs]) {
    const s = p.slotOf.get(n);
    if (s?.pitch !== undefined) pitches.set(n, s.pitch);
    if (s?.spare !== undefined && group.outputs.includes(n)) spare.set(n, s.spare);
  }
  return pitches.size || spare.size ? { ...(pitches.size && { pitches }), ...(spare.size && { spare }) } : undefined;
}
