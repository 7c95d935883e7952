/** A program on the CPU device: tables of its launches, products that were not measured yet, and how long it may run. */
import type { Call } from "../../runtime/device.js";
import { type Kept, LoadedProgram, type Owner } from "../../runtime/loaded.js";
import type { Table } from "./table.js";

export class CLoaded extends LoadedProgram<Owner> {
  readonly #tables: Table[];
  readonly #table: () => Table;
  #measure: (() => void) | undefined;
  /** Expected run time in nanoseconds at the dims of the last call. */
  expected: number = Number.POSITIVE_INFINITY;
  dims: readonly number[] | undefined;
  /** `tables` takes those that are made. */
  constructor(kept: Kept<Owner>, tables: Table[], table: () => Table, measure: (() => void) | undefined) {
    super(kept);
    this.#tables = tables;
    this.#table = table;
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
  /** A table that is not the one in use: a call may begin while the last one runs. */
  table(inUse?: Table): Table {
    const free = this.#tables.find((t) => t !== inUse);
    if (free) return free;
    const made = this.#table();
    this.#tables.push(made);
    return made;
  }
  /** True if a call writes one of these buffers. */
  writes(call: Call, some: readonly unknown[]): boolean {
    const { buffers } = this.program;
    return some.length > 0 && buffers.some(({ role }, i) => (role === "output" || role === "state") && some.includes(call.buffers[i]));
  }
}
