/** Rows that lie further apart than they are long: matrix units, copies of tiles and libraries want rows that begin where a wide access may. */
import { bytesOf } from "../core/dtype.js";
import { hi } from "../core/expr.js";
import { roundUp } from "../core/numbers.js";
import { numel } from "../core/type.js";
import type { Node } from "../ir/node.js";
import type { Group } from "../kernel/group.js";
import type { Plan } from "./plan.js";

/** Rows, and bytes of a row, from which on a matrix is worth it. */
const [leastRows, leastBytes] = [64, 1 << 10];

/** How far apart rows of a temporary lie, in elements, whose maker and readers these are; undefined: as far as they are long. */
export function pitchFor(n: Node, users: readonly Group[], rowBytes: number): number | undefined {
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

/** The pitches of what a group reads and writes. */
export function pitchesOf(p: Plan, group: Group): Group["pitches"] {
  const found = new Map<Node, number>();
  for (const n of [...group.inputs, ...group.outputs]) {
    const pitch = p.slotOf.get(n)?.pitch;
    if (pitch !== undefined) found.set(n, pitch);
  }
  return found.size ? found : undefined;
}
