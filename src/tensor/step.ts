/** What an optimizer's step does besides arithmetic: it submits, and reuses the memory of what it replaces. */
import { groupBy } from "../core/group-by.js";
import { takeFinished } from "./autograd.js";
import { engineOf } from "./device.js";
import { type Replacement, submit } from "./evaluate.js";
import { mode, scoped } from "./mode.js";
import { clearPending, pendingSinks, settleCell } from "./pending.js";
import { storageOf } from "./storage.js";
import type { Cell } from "./cell.js";
import type { Node } from "../ir/node.js";
import type { Tensor } from "./tensor.js";

const realised = new WeakMap<Cell, Node>();

/** Reads inside `fn` do not keep the values that they read from being overwritten: nobody else sees what it records. */
export const withoutPins = <T>(fn: () => T): T => scoped("withoutPins", { pins: false }, fn);

/** Makes a tensor that outlives the trace which is running: state that a compiled function finds there at its next call. */
export const outsideTrace = <T>(make: () => T): T => scoped("outsideTrace", { trace: undefined }, make);

/**
 * Submits the new values of tensors, together with losses and other results that nothing else reads. Old values that no recorded
 * operation of the user's reads are overwritten.
 */
export function submitStep(changed: readonly Tensor[]): void {
  if (mode.trace) return;
  const finished = takeFinished();
  const byEngine = groupBy([...new Set([...changed.map((t) => t.cell), ...finished, ...pendingSinks()])], (c) => engineOf(c.device));
  clearPending();
  for (const [engine, cells] of byEngine) {
    const nodes: Node[] = [];
    const replace: Replacement[] = [];
    for (const c of cells) {
      if (storageOf(c.value) || c.disposed) continue;
      const before = realised.get(c);
      if (before && storageOf(before)) replace.push({ before, value: c.value });
      else nodes.push(c.value);
    }
    submit(engine, nodes, replace);
    for (const c of cells) settleCell(c, finished.includes(c));
  }
  for (const t of changed) realised.set(t.cell, t.cell.value);
}
