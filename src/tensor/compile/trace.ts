/** One recording of a function: which cells it reads and writes, which numbers it asks the host for, and what must stay as it was. */
import { TraceError } from "../../core/errors.js";
import { type Expr, evaluate } from "../../core/expr.js";
import type { Node } from "../../ir/node.js";
import { input } from "../../ops/source.js";
import type { Cell } from "../cell.js";
import type { FieldWatcher } from "../fields.js";
import { mode, type Recorder } from "../mode.js";
import type { Tensor } from "../tensor.js";
import { carries } from "../track.js";
import { Guards } from "./guards.js";

/** A cell from outside that the function touched. */
export interface Captured {
  readonly cell: Cell;
  /** Its value when a call begins. */
  readonly leaf: Node;
  /** Its value at this point of the trace. */
  value: Node;
}
/** What the host does at each call, in order. */
export type HostWork =
  | { readonly kind: "effect"; readonly run: () => void }
  | { readonly kind: "value"; readonly read: () => readonly (number | bigint)[] };

export class Trace implements Recorder {
  readonly captured: Map<Cell, Captured> = new Map();
  readonly guards: Guards = new Guards();
  readonly host: HostWork[] = [];
  /** Gradients that the function set. */
  readonly grads: Map<Tensor, Tensor | null> = new Map();
  /** Sizes that were used as numbers, and what they were. */
  readonly equalities: Map<Expr, number> = new Map();
  /** Why no program can stand for the function: gradients flow through it, and are asked for outside of it. */
  lazy = false;
  backwardRan = false;
  private readonly handles: Set<Tensor> = new Set();
  private readonly sizes: Readonly<Record<string, number>> | undefined;
  private readonly fields: Map<object, Set<string>> = new Map();

  /** `sizes`: values of symbolic sizes in the call that is recorded; without them such a size cannot be used as a number. */
  constructor(sizes?: Readonly<Record<string, number>>) {
    this.sizes = sizes;
  }

  /** A symbolic size as a number. The trace then serves only calls where it has this value. */
  numberOf(e: Expr): number {
    if (!this.sizes)
      throw new TraceError(
        `the size ${e.key} may change from call to call, and is used as a number${callerLine()}: pass it on as it is, or use -1 in its place`,
      );
    const value = evaluate(e, this.sizes);
    this.equalities.set(e, value);
    return value;
  }
  handle(t: Tensor): void {
    if (this.handles.has(t)) return;
    this.handles.add(t);
    this.guards.handle(t);
  }
  backward(): void {
    this.backwardRan = true;
  }

  /** The entry of a cell from outside. */
  capture(cell: Cell): Captured {
    let c = this.captured.get(cell);
    if (!c) {
      if (cell.trace)
        throw new TraceError("a tensor that was made inside a compiled function is used in another call of it; return it instead");
      if (mode.grad && carries(cell.value)) this.lazy = true;
      const leaf = input(cell.type, `c${this.captured.size}`);
      this.captured.set(cell, (c = { cell, leaf, value: leaf }));
    }
    return c;
  }
  read(cell: Cell): Node {
    return cell.trace === this ? cell.value : this.capture(cell).value;
  }
  write(cell: Cell, value: Node): void {
    if (cell.trace === this) cell.value = value;
    else this.capture(cell).value = value;
  }
  own(): void {}

  /** The host is asked when a call runs, never while recording: a recording that fails leaves nothing behind. */
  hostValue(
    read: () => readonly (number | bigint)[],
    count: number,
  ): { readonly values: readonly (number | bigint)[]; readonly slot: number } {
    this.host.push({ kind: "value", read });
    return { values: new Array<number>(count).fill(0), slot: this.host.length - 1 };
  }
  hostEffect(run: () => void): void {
    this.host.push({ kind: "effect", run });
  }
  guard(read: () => unknown): void {
    this.guards.asked(read, read());
  }

  readGrad(leaf: Tensor, outside: Tensor | null): Tensor | null {
    const known = this.grads.get(leaf);
    if (known !== undefined) return known;
    this.guards.asked(() => leaf.outsideGrad(), outside);
    return outside;
  }
  writeGrad(leaf: Tensor, grad: Tensor | null): void {
    this.grads.set(leaf, grad);
  }
  refuse(what: string): never {
    throw new TraceError(
      `${what} inside a compiled function asks for a value that does not exist yet${callerLine()}. Return the tensor and read it after the call; for a choice by value use where(condition, a, b)`,
    );
  }

  /** Told about fields of modules: what is read becomes a guard. */
  readonly watcher: FieldWatcher = {
    read: (owner, field, value) => {
      if (this.isNew(owner, field)) this.guards.field(owner, field, value);
    },
    write: (owner, field) => {
      throw new TraceError(
        `a compiled function sets the field ${field} of ${owner.constructor.name}, which later calls would not repeat${callerLine()}; change a tensor in place instead, or set the field outside`,
      );
    },
    list: (owner, fields) => {
      if (this.isNew(owner, "")) this.guards.asked(() => Object.keys(owner), fields);
    },
  };
  private isNew(owner: object, field: string): boolean {
    let seen = this.fields.get(owner);
    if (!seen) this.fields.set(owner, (seen = new Set()));
    if (seen.has(field)) return false;
    seen.add(field);
    return true;
  }
}

/** The first line of the stack that is not the framework's own. */
function callerLine(): string {
  // A module of a folder for each layer, or a bundle of all of them in a folder of its own.
  const own = new URL(/\/tensor\/compile\/trace\.[jt]s$/.test(import.meta.url) ? "../.." : ".", import.meta.url).pathname;
  const line = new Error().stack
    ?.split("\n")
    .slice(1)
    .find((l) => l.includes(":") && (!l.includes(own) || l.includes(".test.")) && !l.includes("node:"));
  return line ? ` (${line.trim()})` : "";
}
