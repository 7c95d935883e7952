/** A program on the CPU device: its machine code, the table of its launches, products that were not measured yet, and how long it may run. */
import { type Kept, LoadedProgram, type Owner } from "../../runtime/loaded.js";
import type { Code } from "./code.js";
import type { Table } from "./table.js";

export class CLoaded extends LoadedProgram<Owner> {
  readonly code: Code;
  readonly table: Table;
  #measure: (() => void) | undefined;
  /** Expected run time in nanoseconds at the dims of the last call. */
  expected: number = Number.POSITIVE_INFINITY;
  dims: readonly number[] | undefined;
  constructor(kept: Kept<Owner>, code: Code, table: Table, measure: (() => void) | undefined) {
    super(kept);
    this.code = code;
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
