/**
 * Recorded values of variables that last: parameters, buffers, state of optimizers. They are made real in a program of their own when
 * they are first needed, so that the first step is the same program as all others.
 */
import type { Node } from "../ir/node.js";
import type { Cell } from "./cell.js";
import { fillOf } from "./fill.js";
import { storageOf } from "./storage.js";

const lasting = new WeakMap<Node, Cell>();

/** Notes that a recorded node is the value of a variable that lasts. */
export function noteLasting(cell: Cell): void {
  lasting.set(cell.value, cell);
}
/** Those of the nodes, which are about to run, that are to be made real first: also what variables began with, if nothing went into it. */
export const toKeep = (order: readonly Node[], except: ReadonlySet<Node>): { readonly node: Node; readonly cell: Cell }[] =>
  order.flatMap((node) => {
    const cell = lasting.get(node);
    if (!cell || except.has(node) || storageOf(node) || node.inputs.length === 0) return [];
    return (cell.value === node && !cell.disposed) || fillOf(node) ? [{ node, cell }] : [];
  });
