/** A cell is what a variable is in other languages: its value changes, the nodes that it held before do not. */
import type { TensorType } from "../core/type.js";
import type { Node } from "../ir/node.js";
import { mode, type Recorder } from "./mode.js";
import { storageOf } from "./storage.js";

export class Cell {
  readonly type: TensorType;
  /** Outside of traces: a realised leaf, or a recorded node. */
  value: Node;
  version = 0;
  readonly device: string;
  /** The trace that made this cell; it has no value outside of it. */
  readonly trace: Recorder | undefined;
  /** How many handles share this cell, views included. */
  handles = 1;
  disposed = false;

  constructor(value: Node, device: string) {
    this.type = value.type;
    this.value = value;
    this.device = device;
    this.trace = mode.trace;
    mode.trace?.own(this);
  }
}

/** The cell's value for a node that is about to be recorded. */
export function readCell(cell: Cell): Node {
  if (mode.trace) return mode.trace.read(cell);
  if (mode.pins) {
    const storage = storageOf(cell.value);
    if (storage) storage.pinned = true;
  }
  return cell.value;
}
/** Gives the cell a new value; every handle and view of it sees it. */
export function writeCell(cell: Cell, value: Node): void {
  cell.version++;
  if (mode.trace) mode.trace.write(cell, value);
  else cell.value = value;
}
