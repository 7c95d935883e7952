/**
 * Copies of variables in narrower dtypes, which compiled steps keep from call to call and write together with the variable. A copy
 * knows the value that it was made of: whoever else gives the variable another one, the next step makes the copy anew.
 */
import type { DType } from "../core/dtype.js";
import { byteLength } from "../core/ndarray.js";
import { cast } from "../ops/cast.js";
import { input } from "../ops/source.js";
import type { Cell } from "./cell.js";
import type { Engine } from "./engine.js";
import { submit } from "./evaluate.js";
import { release, type Storage, setStorage, storageOf } from "./storage.js";

/** A copy of a variable. */
export class DerivedValue {
  readonly cell: Cell;
  readonly dtype: DType;
  private held: Storage | undefined;
  /** The value of the variable that the copy was made of. */
  private stamp = 0;

  constructor(cell: Cell, dtype: DType) {
    this.cell = cell;
    this.dtype = dtype;
  }
  get bytes(): number {
    return byteLength(this.dtype, this.cell.type.shape as readonly number[]);
  }
  /** The copy, where it is one of the value that the variable has now. */
  get current(): Storage | undefined {
    const { held } = this;
    return held?.job?.failed === undefined && this.stamp === this.cell.realised?.stamp ? held : undefined;
  }
  /** Where the copy lies, whatever it is a copy of. */
  get storage(): Storage | undefined {
    return this.held;
  }
  /** A new copy of the value that the variable has now. */
  make(s: Storage): void {
    this.drop();
    this.hold(s);
  }
  /** A step was asked for that changes the variable, and leaves the copy of its new value here. */
  hold(s: Storage): void {
    this.held = s;
    this.stamp = this.cell.realised!.stamp;
  }
  /** Gives the memory back; what a step that waits or runs has use for is left to the collector. */
  drop(): void {
    if (this.held && !this.held.job) release(this.held);
    this.held = undefined;
  }
}

/** Copies live as long as the compiled functions that keep them. */
const known = new WeakMap<Cell, Map<DType, WeakRef<DerivedValue>>>();
/** The copy of a variable in a dtype: one for all compiled functions. */
export function derivedOf(cell: Cell, dtype: DType): DerivedValue {
  let list = known.get(cell);
  if (!list) known.set(cell, (list = new Map()));
  let d = list.get(dtype)?.deref();
  if (!d) list.set(dtype, new WeakRef((d = new DerivedValue(cell, dtype))));
  return d;
}
/** Copies of a variable that exist now. */
export const derivedFrom = (cell: Cell): DerivedValue[] => [...(known.get(cell)?.values() ?? [])].flatMap((ref) => ref.deref() ?? []);

/** Makes the copies anew that are not those of their variables' values, in one program. The variables' values exist. */
export function refresh(engine: Engine, list: readonly DerivedValue[]): void {
  const stale = list.filter((d) => !d.current);
  if (!stale.length) return;
  const copies = stale.map(({ cell, dtype }) => {
    const value = input(cell.type);
    setStorage(value, cell.realised!);
    return cast(value, dtype);
  });
  submit(engine, copies).catch(() => {}); // the step that reads them tells of it
  for (const [i, d] of stale.entries()) d.make(storageOf(copies[i]!)!);
}
