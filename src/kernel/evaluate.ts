import type { Dim } from "../core/expr.js";
import type { Node } from "../ir/node.js";
import type { Group } from "./group.js";
import type { Buffer, Stmt, Value } from "./kernel.js";

/** Turns the nodes of a group into scalar Values at an index: views become index arithmetic, producers are computed where they are read. */
export interface Evaluator {
  /** The value of `node` at `index`. Statements that must come before it (`let`, `letIndex`) are appended to `into`. */
  value(node: Node, index: readonly Dim[], into: Stmt[]): Value;
  /** A scope for one loop body: equal (node, index) pairs are computed once in it. */
  scope(): Evaluator;
}
/** What a lowering gives in place of a node: a reduction's register, an accumulator. */
export type Given = ReadonlyMap<Node, (index: readonly Dim[]) => Value>;

/** `buffers` holds the storage of every node that is read from memory. */
export type MakeEvaluator = (group: Group, buffers: ReadonlyMap<Node, Buffer>, given?: Given) => Evaluator;
