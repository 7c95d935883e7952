/**
 * What was recorded and has not run. Whenever something runs, so does all that would otherwise be recorded ever further: results
 * that nothing else reads, variables that were changed, and values that an earlier program computed without keeping them.
 */

import { groupBy } from "../core/group-by.js";
import type { Node } from "../ir/node.js";
import { input, inputOp } from "../ops/source.js";
import { type Cell, clock } from "./cell.js";
import { engineOf } from "./device.js";
import type { Engine } from "./engine.js";
import { type Replacement, submit } from "./evaluate.js";
import { fillOf } from "./fill.js";
import { noteLasting } from "./longlived.js";
import { mode } from "./mode.js";
import { setStorage, storageOf } from "./storage.js";
import { carries, isReleased, markReleased } from "./track.js";

/** A pending graph is submitted when it has more nodes than this. */
export const pendingLimit = 5000;
/** A loop that changes variables in place is submitted at the end of a turn when operations wait for each other this deep. */
const turnDepth = 64;

let cells: Cell[] = [];
/** Cells that were read again after a submission that did not keep their values. */
let missed: Cell[] = [];
/** The variable whose change ends the turns of such a loop: always the same one, so that all turns are one program. */
let anchor: Cell | undefined;
const depths = new WeakMap<Node, number>();

/** Losses whose gradients were recorded, and when: how they were computed may be let go. */
let finished: { readonly cell: Cell; readonly at: number }[] = [];
/** Notes that `backward` ran from a cell's value. */
export function noteFinished(cell: Cell): void {
  finished.push({ cell, at: clock.now });
  if (finished.length > 64) finished.shift();
}

/** Notes a cell whose value was just recorded; `changed` where it had another before. */
export function notePending(cell: Cell, changed = false): void {
  if (mode.trace || !mode.pins || storageOf(cell.value) || cell.value.inputs.length === 0) return;
  cells.push(cell);
  if (cell.keep) noteLasting(cell);
  const depth = depthOf(cell.value);
  const again = changed && cell.changed === clock.now;
  if (changed && !fillOf(cell.value)) cell.changed = clock.now; // what a variable begins with is no turn of a loop
  if (cells.length > pendingLimit || depth > pendingLimit) flush();
  else if (again && depth > turnDepth && (!anchor || anchor === cell)) {
    flush();
    anchor = cell;
    cell.changed = clock.now;
  }
}
/** Notes that a cell's value will be computed a second time unless the next submission keeps it. */
export function noteMissed(cell: Cell): void {
  if (cell.missed || isFree(cell.value)) return;
  cell.missed = true;
  missed.push(cell);
}
/** A few operations on nothing but constants, such as `ones`: computing them anew costs less than reading them. */
function isFree(n: Node, budget: { left: number } = { left: 16 }): boolean {
  return --budget.left >= 0 && (n.op as unknown) !== inputOp && n.inputs.every((x) => isFree(x, budget));
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
/** Cells whose values are to be kept by the next submission. */
function pendingSinks(): Cell[] {
  const read = new Set<Node>();
  const stack: Node[] = [];
  for (const c of cells) {
    stack.push(...c.value.inputs);
    while (stack.length) {
      const n = stack.pop()!;
      if (read.has(n)) continue;
      read.add(n);
      if (!storageOf(n)) stack.push(...n.inputs);
    }
  }
  // A variable that was there before the last submission will be there after the next one.
  const kept = new Set(cells.filter((c) => !read.has(c.value) || (c.born < clock.now && c.version > 0 && c.since === clock.now)));
  for (const c of missed) kept.add(c);
  return [...kept].filter((c) => !c.disposed && !storageOf(c.value));
}
/** Forgets what was recorded so far. */
function clearPending(): void {
  for (const c of missed) c.missed = false;
  cells = [];
  missed = [];
  anchor = undefined;
  clock.now++;
}
/** Losses of earlier turns; all of them where gradients were used up. */
function takeFinished(all: boolean): Cell[] {
  const taken = finished.filter((f) => all || f.at < clock.now).map((f) => f.cell);
  finished = all ? [] : finished.filter((f) => f.at === clock.now);
  return taken;
}

/** More to run than what is pending: values, and what may be overwritten by them. */
export interface Wanted {
  readonly engine: Engine;
  readonly nodes: readonly Node[];
}
/**
 * Submits what is pending, with whatever else is wanted, as one program for each device. Nothing waits; the promise settles when all
 * has run. If that cannot be compiled, what is wanted runs alone, so that no one gets the error of someone else's operation.
 */
export function flush(wanted: readonly Wanted[] = []): Promise<unknown> {
  const old = takeFinished(false);
  const sinks = pendingSinks();
  clearPending();
  const byEngine = groupBy(sinks, (c) => engineOf(c.device));
  const asked = new Map<Engine, Node[]>();
  for (const { engine, nodes } of wanted) asked.set(engine, [...(asked.get(engine) ?? []), ...nodes]);
  const waits: Promise<void>[] = [];
  for (const engine of new Set([...asked.keys(), ...byEngine.keys()])) {
    const own = asked.get(engine) ?? [];
    const others = (byEngine.get(engine) ?? []).map((c) => c.value);
    try {
      waits.push(submit(engine, [...own, ...others]));
    } catch (error) {
      if (own.length === 0) continue; // whoever reads one of them gets the error
      if (others.length === 0) throw error;
      waits.push(submit(engine, own));
    }
  }
  for (const c of sinks) settleCell(c);
  for (const c of old) settleCell(c, true);
  return Promise.all(waits);
}
/** Submits what is pending after an optimizer's step: values of `changed` may be written over the ones that they replace. */
export function flushStep(changed: readonly Cell[], before: (c: Cell) => Node | undefined): void {
  const done = takeFinished(true);
  const byEngine = groupBy([...new Set([...changed, ...done, ...pendingSinks()])], (c) => engineOf(c.device));
  clearPending();
  for (const [engine, list] of byEngine) {
    const nodes: Node[] = [];
    const replace: Replacement[] = [];
    for (const c of list) {
      if (storageOf(c.value) || c.disposed) continue;
      const old = before(c);
      if (old && storageOf(old)) replace.push({ before: old, value: c.value });
      else nodes.push(c.value);
    }
    submit(engine, nodes, replace);
    for (const c of list) settleCell(c, done.includes(c));
  }
}
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
