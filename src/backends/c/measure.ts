/** Times a step of fixed sizes by itself, by its kernel and by a library. */
import { bytesOf } from "../../core/dtype.js";
import { OutOfMemoryError } from "../../core/errors.js";
import { clamp } from "../../core/numbers.js";
import type { Chosen, Measure } from "../../runtime/choices.js";
import { type ProductCall, sizedProduct } from "../../runtime/product.js";
import type { Program } from "../../runtime/program.js";
import type { Cut, Record } from "./multiply.js";
import type { Native } from "./native.js";
import { type Places, Table } from "./table.js";

/** What is at hand: the native half, and what runs a table's records on this thread and says how many seconds they took. */
export interface Bench {
  readonly native: Native;
  readonly places: Places;
  run(table: Table): number;
  record(chosen: Chosen<ProductCall, Cut>): Record | undefined;
}

/** Operations of a run, of which a short product takes as many turns as that needs. */
const [operations, mostTurns] = [2e8, 64];
/** A byte of which every dtype makes a number that is neither tiny nor huge. */
const filling = 0x3c;

/** A step on memory of its own, of which no counter knows. */
export function measureStep(
  bench: Bench,
  program: Program,
  number: number,
  functions: readonly bigint[],
): { readonly by: Measure<ProductCall, Cut>; close(): void } {
  const { native, places } = bench;
  const step = program.steps[number] as Extract<Program["steps"][number], { kind: "launch" }>;
  const { beside: _, ...alone } = step;
  const used = [...new Set(step.buffers)];
  const { batch, m, n, k } = sizedProduct(step.product!, {});
  const turns = clamp(Math.round(operations / (2 * batch * m * n * k)), 1, mostTurns);
  const single: Program = {
    ...program,
    inputs: [],
    outputs: [],
    state: [],
    dims: [],
    arena: 0,
    buffers: used.map((b) => ({ role: "state", dtype: program.buffers[b]!.dtype, size: program.buffers[b]!.size })),
    steps: Array.from({ length: turns }, () => ({ ...alone, buffers: step.buffers.map((b) => used.indexOf(b)) })),
  };
  const taken: bigint[] = [];
  const take = (bytes: number): bigint => {
    const address = native.alloc(Math.max(64, bytes));
    if (!address) throw new OutOfMemoryError(`no memory to time a product of ${program.name}`);
    taken.push(address);
    return address;
  };
  const close = (): void => {
    for (const address of taken) native.free(address);
  };
  try {
    const buffers = single.buffers.map((b) => {
      const bytes = (b.size as number) * bytesOf(b.dtype);
      const place = take(bytes);
      native.fill(place, filling, bytes);
      return { bytes, freed: false, place };
    });
    const here: Places = { ...places, of: (a) => (a as (typeof buffers)[number]).place };
    const tables = new Map<Cut | undefined, Table>();
    const tableFor = (chosen: Chosen<ProductCall, Cut> | undefined): Table => {
      const record = chosen && bench.record(chosen);
      const table = new Table(single, functions, [], false, () => record);
      table.prepare({ buffers, dims: [] }, here);
      tables.set(chosen?.way, table);
      return table;
    };
    const by: Measure<ProductCall, Cut> = (chosen) => {
      const table = tables.get(chosen?.way) ?? tableFor(chosen);
      return bench.run(table) / turns;
    };
    return { by, close };
  } catch (error) {
    close();
    throw error;
  }
}
