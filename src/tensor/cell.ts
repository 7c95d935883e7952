/** A cell is what a variable is in other languages: its value changes, the nodes that it held before do not. */
import type { TensorType } from "../core/type.js";
import type { Node } from "../ir/node.js";
import { mode, type Recorder } from "./mode.js";
import { noteMissed } from "./pending.js";
import { type Storage, storageOf } from "./storage.js";
import { changed } from "./watch.js";

/** Counts submissions of what is pending, so that cells know what was recorded before the last one. */
export const clock: { now: number } = { now: 0 };

export class Cell {
  readonly type: TensorType;
  version = 0;
  readonly device: string;
  /** The trace that made this cell; it has no value outside of it. */
  readonly trace: Recorder | undefined;
  /** How many handles share this cell, views included. */
  handles = 1;
  /** Its last handle was disposed. */
  disposed = false;
  /** Somebody is told when it gets another value, or is disposed. */
  watched = false;
  /** When the cell was made, and when it got its value. */
  readonly born: number = clock.now;
  since: number = clock.now;
  /** When the value was last changed in place. */
  changed = -1;
  /** Its value was left out of an earlier submission, and was read again since. */
  missed = false;
  /** A parameter, a buffer, state of an optimizer: made real in a program of its own when it is first needed. */
  keep = false;
  private node: Node;
  /** The storage of the value, once it was found. */
  private storage: Storage | undefined;

  constructor(value: Node, device: string) {
    this.type = value.type;
    this.node = value;
    this.device = device;
    this.trace = mode.trace;
    mode.trace?.own(this);
  }
  /** Outside of traces: a realised leaf, or a recorded node. */
  get value(): Node {
    return this.node;
  }
  set value(n: Node) {
    this.node = n;
    this.storage = undefined;
    if (this.watched) changed();
  }
  /** The realised value, if there is one. */
  get realised(): Storage | undefined {
    this.storage ??= storageOf(this.node);
    return this.storage;
  }
  dispose(): void {
    this.disposed = true;
    if (this.watched) changed();
  }
}

/** The cell's value for a node that is about to be recorded. */
export function readCell(cell: Cell): Node {
  if (mode.trace) return mode.trace.read(cell);
  if (mode.pins) {
    const storage = storageOf(cell.value);
    if (storage) storage.pinned = true;
    else if (cell.since < clock.now) noteMissed(cell);
  }
  return cell.value;
}
/** Gives the cell a new value; every handle and view of it sees it. */
export function writeCell(cell: Cell, value: Node): void {
  cell.version++;
  cell.since = clock.now;
  if (mode.trace) mode.trace.write(cell, value);
  else cell.value = value;
}
