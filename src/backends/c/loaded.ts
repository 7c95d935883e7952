/** A program on the CPU device: the table of its launches, products that were not measured yet, and how long it may run. */
import { type Kept, LoadedProgram, type Owner } from "../../runtime/loaded.js";
import type { Table } from "./table.js";

export class CLoaded extends LoadedProgram<Owner> {
  readonly table: Table;
  #measure: (() => void) | undefined;
  /** Expected run time in nanoseconds at the dims of the last call. */
  expected: number = Number.POSITIVE_INFINITY;
  dims: readonly number[] | undefined;
  constructor(kept: Kept<Owner>, table: Table, measure: (() => void) | undefined) {
    super(kept);
    this.table = table;
    this.#measure = measure;
  }
  /** Whether it has products of which nobody knows what computes them faster. */
  get unmeasured(): boolean {
    return this.#measure !== undefined;
  }
  measure(): void {
    this.#measure?.();
    this.#measure = undefined;
  }
}
