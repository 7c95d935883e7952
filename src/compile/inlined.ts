/** Single rows that every reader computes for itself: a norm before products of one row costs less again than as a step of its own. */
import { bytesOf } from "../core/dtype.js";
import { hi } from "../core/expr.js";
import { numel } from "../core/type.js";
import type { Node } from "../ir/node.js";
import type { Target } from "../kernel/codegen.js";
import type { Group } from "../kernel/group.js";
import type { Fusion } from "./fuse.js";
import { takesRows, withRow } from "./lower/inlined.js";

/** Elements of a row, what columns of a few others are summed up to, and readers, that are not too many. */
const longest = 1 << 13;
const mostSummed = 1 << 14;
const mostReaders = 4;
/** Rows whose columns are summed. */
const mostRows = 8;

/** Moves single rows into the kernels that read them, where threads of a grid point share memory. */
export function inlineRows(fusion: Fusion, target: Target): Fusion {
  if (target.threads === 1 || !target.warp) return fusion;
  const readers = new Map<Node, Group[]>();
  for (const g of fusion.groups) for (const x of g.inputs) readers.set(x, [...(readers.get(x) ?? []), g]);
  const now = new Map<Group, Group>();
  const gone = new Set<Group>();
  const inputsOf = new Set(fusion.groups.flatMap((g) => g.inputs));
  for (const row of fusion.groups) {
    if (!isRow(row) || row.outputs.some((o) => fusion.atoms.roots.has(o) || !inputsOf.has(o))) continue;
    const users = [...new Set(row.outputs.flatMap((o) => readers.get(o) ?? []))];
    if (users.length > mostReaders || !users.every((u) => takesRows(now.get(u) ?? u, row, target))) continue;
    gone.add(row);
    for (const u of users) {
      const old = now.get(u) ?? u;
      const why = `${row.name} is computed again by each grid point`;
      now.set(u, { ...withRow(old, row), why: [...old.why, why] });
    }
  }
  if (!gone.size) return fusion;
  const groups = fusion.groups.filter((g) => !gone.has(g)).map((g) => now.get(g) ?? g);
  const atomsOf = new Map(fusion.groups.map((g) => [now.get(g) ?? g, fusion.atomsOf.get(g)!]));
  return { ...fusion, groups, atomsOf };
}

/** One row of few elements, with one sum that others wait for, and nothing of another size that is not read piece by piece; or sums of a few rows. */
function isRow(g: Group): boolean {
  if (g.kind !== "kernel" || !g.space?.axes.length || g.rows?.length) return false;
  const { shape, axes } = g.space;
  const size = numel(shape);
  if (typeof size !== "number") return false;
  const kept = numel(shape.filter((_, i) => !axes.includes(i)));
  const few = kept === 1 ? size <= longest : size <= mostSummed && size <= mostRows * (kept as number);
  const length = kept === 1 ? size : kept;
  return few && g.outputs.every((o) => numel(o.type.shape) === length && hi(length) * bytesOf(o.type.dtype) <= 1 << 15);
}
