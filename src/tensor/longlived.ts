/**
 * Recorded values of variables that last: parameters, buffers, state of optimizers. They are made real in a program of their own when
 * they are first needed, so that the first step is the same program as all others.
 */
import type { Node } from "../ir/node.js";
import type { Cell } from "./cell.js";
import { storageOf } from "./storage.js";

const lasting = new WeakMap<Node, Cell>();

/** Notes that a recorded node is the value of a variable that lasts. */
export function noteLasting(cell: Cell): void {
  lasting.set(cell.value, cell);
}
/** Those of the nodes, which are about to run, that are to be made real first. */
export const toKeep = (order: readonly Node[], except: ReadonlySet<Node>): Cell[] =>
  order.flatMap((n) => {
    const cell = lasting.get(n);
    return cell && cell.value === n && !cell.disposed && !except.has(n) && !storageOf(n) && n.inputs.length > 0 ? [cell] : [];
  });
