/** What was recorded and has not run. It is bounded: past a limit, results that nothing else reads are submitted without waiting. */
import { groupBy } from "../core/group-by.js";
import { bytesOf } from "../core/dtype.js";
import type { Node } from "../ir/node.js";
import { input, inputOp } from "../ops/source.js";
import type { Cell } from "./cell.js";
import { engineOf } from "./device.js";
import { submit } from "./evaluate.js";
import { mode } from "./mode.js";
import { setStorage, storageOf } from "./storage.js";
import { carries, isReleased, markReleased } from "./track.js";

/** A pending graph is submitted when it has more nodes than this. */
export const pendingLimit = 5000;

let cells: Cell[] = [];
const depths = new WeakMap<Node, number>();

/** Notes a cell whose value was just recorded. */
export function notePending(cell: Cell): void {
  if (mode.trace || !mode.pins || storageOf(cell.value) || cell.value.inputs.length === 0) return;
  cells.push(cell);
  const depth = depthOf(cell.value);
  if (cells.length > pendingLimit) flush();
  else if (depth > pendingLimit) {
    submit(engineOf(cell.device), [cell.value]);
    settleCell(cell);
  }
}
/** Longest way from a node to a realised value. */
function depthOf(n: Node): number {
  const known = depths.get(n);
  if (known !== undefined) return storageOf(n) ? 0 : known;
  let deepest = 0;
  const stack: Node[] = [n];
  while (stack.length) {
    const top = stack[stack.length - 1]!;
    deepest = 0;
    let ready = true;
    for (const x of top.inputs) {
      if (storageOf(x)) continue;
      const d = depths.get(x);
      if (d === undefined) {
        stack.push(x);
        ready = false;
      } else if (d > deepest) deepest = d;
    }
    if (!ready) continue;
    depths.set(top, deepest + (top.inputs.length ? 1 : 0));
    stack.pop();
  }
  return depths.get(n)!;
}

/** How many recorded cells have not run. */
export const pendingCount = (): number => cells.length;
/** Cells recorded since the last submission whose value no other recorded cell reads. */
export function pendingSinks(): Cell[] {
  const read = new Set<Node>();
  for (const c of cells) {
    const stack: Node[] = [...c.value.inputs];
    while (stack.length) {
      const n = stack.pop()!;
      if (read.has(n)) continue;
      read.add(n);
      stack.push(...n.inputs.filter((x) => !storageOf(x)));
    }
  }
  return cells.filter((c) => !c.disposed && !storageOf(c.value) && !read.has(c.value));
}
/** Forgets what was recorded so far: it ran, or runs when someone asks for it. */
export function clearPending(): void {
  cells = [];
}
/** Submits every recorded result that nothing else reads. */
export function flush(): void {
  const byEngine = groupBy(pendingSinks(), (c) => engineOf(c.device));
  clearPending();
  for (const [engine, list] of byEngine) {
    submit(
      engine,
      list.map((c) => c.value),
    );
    for (const c of list) settleCell(c);
  }
}
/** Bytes that recorded cells would take if all of them were kept. */
export const pendingBytes = (): number =>
  cells.reduce((n, c) => n + c.type.shape.reduce<number>((a, d) => a * (d as number), bytesOf(c.type.dtype)), 0);

/** A realised cell lets go of how it was computed, unless gradients may still want it. */
export function settleCell(cell: Cell, release = false): void {
  const n = cell.value;
  const s = storageOf(n);
  if (!s || (n.op as unknown) === inputOp) return;
  if (carries(n) && !release) return;
  const leaf = input(n.type);
  setStorage(leaf, s);
  if (carries(n) || isReleased(n)) markReleased(leaf);
  cell.value = leaf;
}
