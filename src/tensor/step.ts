/** What an optimizer's step does besides arithmetic: it submits, and reuses the memory of what it replaces. */

import type { Node } from "../ir/node.js";
import type { Cell } from "./cell.js";
import { noteLasting } from "./longlived.js";
import { mode, scoped } from "./mode.js";
import { flushStep } from "./pending.js";
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
  flushStep(
    changed.map((t) => t.cell),
    (c) => realised.get(c),
  );
  for (const t of changed) realised.set(t.cell, t.cell.value);
}

/** Marks a tensor as one that lasts: it is made real in a program of its own when it is first needed. */
export function lasting<T extends Tensor>(t: T): T {
  t.cell.keep = true;
  noteLasting(t.cell);
  return t;
}
