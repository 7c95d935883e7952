/** A graph on its way to being run, and the sizes of a call. */
import { bytesOf } from "../core/dtype.js";
import { DeviceError } from "../core/errors.js";
import { type Dim, evaluate } from "../core/expr.js";
import type { TensorType } from "../core/type.js";
import type { Graph } from "../ir/graph.js";
import type { Loaded } from "../runtime/device.js";
import type { Program } from "../runtime/program.js";
import { type Job, placeOf } from "./job.js";
import type { Storage } from "./storage.js";

/** A graph on its way to being run: compiled and loaded once for each structure. */
export interface Prepared {
  readonly graph: Graph;
  program: Program | undefined;
  loaded: Loaded | undefined;
  loading: Promise<void> | undefined;
  /** Bytes of each output, where no size is symbolic. */
  outputBytes: readonly number[] | undefined;
  /** Memory for small inputs that come from the host with each call, by input. */
  readonly lent: (Storage | undefined)[];
}

/** Unloads a program that nobody can run any more. */
const forgotten = new FinalizationRegistry<Loaded>((loaded) => {
  try {
    loaded.unload();
  } catch {
    // The device was closed in the meantime, and took its programs with it.
  }
});
/** Keeps a loaded program for as long as anyone can run it. */
export function keepLoaded(p: Prepared, loaded: Loaded): void {
  p.loaded = loaded;
  forgotten.register(p, loaded);
}

/** Bytes of an output in a call of these dims; remembered where no size is symbolic. */
export function outputBytes(prepared: Prepared, program: Program, output: number, dims: readonly number[]): number {
  const known = prepared.outputBytes?.[output];
  if (known !== undefined) return known;
  const of = (buffer: number): number => {
    const plan = program.buffers[buffer]!;
    return evaluate(plan.size, Object.fromEntries(program.dims.map((d, k) => [d.name, dims[k]!]))) * bytesOf(plan.dtype);
  };
  if (program.dims.length === 0) prepared.outputBytes = program.outputs.map((o) => of(o.buffer));
  return of(program.outputs[output]!.buffer);
}

/** Values of the program's symbolic dims, read off the shapes that are bound. */
export function bindDims(program: Program, job: Job): number[] {
  if (program.dims.length === 0) return [];
  const values = new Map<string, number>();
  const bind = (d: Dim, size: number): void => {
    if (typeof d === "number") return;
    const t = d.terms[0];
    if (d.terms.length === 1 && d.offset === 0 && t!.by === 1 && t!.atom.kind === "var") values.set(t!.atom.name, size);
  };
  const bindAll = (type: TensorType, s: Storage): void => {
    for (const [k, d] of type.shape.entries()) bind(d, s.type.shape[k] as number);
  };
  for (const [i, s] of job.inputs.entries()) bindAll(program.inputs[placeOf(i, job.standing)]!.type, s);
  for (const [i, p] of program.state.entries()) bindAll(p.type, job.states[i]!);
  return program.dims.map((d) => {
    const v = values.get(d.name);
    if (v === undefined) throw new DeviceError(`${program.name}: nothing that is passed has the size ${d.name}`);
    return v;
  });
}
