/** What a training run is and how far it got: the part of a checkpoint that is no tensor. */
import { ArgumentError, FormatError } from "../core/errors.js";
import type { GPTConfig } from "../models/gpt/index.js";

/** Dtypes of products in training. */
export const demoDTypes = ["f32", "bf16"] as const;
export type DemoDType = (typeof demoDTypes)[number];

/** What a run was asked to do. A run that goes on must be asked the same. */
export interface DemoPlan {
  readonly config: GPTConfig;
  readonly batch: number;
  readonly lr: number;
  /** What products are computed in; weights and their updates are f32. */
  readonly dtype: DemoDType;
  readonly seed: number;
  readonly corpus: string;
  /** Steps that the learning-rate schedule is made for. */
  readonly steps: number;
}
/** Where a training run stands; saved with its checkpoint. */
export interface DemoProgress extends DemoPlan {
  done: number;
  /** Seconds of training so far. */
  seconds: number;
  /** (step, training loss) every few steps. */
  readonly curve: [number, number][];
}

/** Checks what a checkpoint says about its run. */
export function readProgress(json: unknown, file: string): DemoProgress {
  const p = (typeof json === "object" && json !== null ? json : {}) as Partial<DemoProgress>;
  const config = (typeof p.config === "object" && p.config !== null ? p.config : {}) as Partial<GPTConfig>;
  const wrong = (what: string): never => {
    throw new FormatError(`${file}: its training progress has no sound ${what}`);
  };
  for (const key of ["vocabulary", "width", "heads", "layers", "context"] as const)
    if (!isCount(config[key], 1, 2 ** 24)) wrong(`config.${key}`);
  for (const key of ["batch", "steps"] as const) if (!isCount(p[key], key === "batch" ? 1 : 0, 2 ** 40)) wrong(key);
  for (const key of ["seed", "done"] as const) if (!isCount(p[key], 0, Number.MAX_SAFE_INTEGER)) wrong(key);
  for (const key of ["lr", "seconds"] as const) if (typeof p[key] !== "number") wrong(key);
  if (typeof p.corpus !== "string") wrong("corpus");
  // Runs saved before there was a choice were in f32.
  const dtype = p.dtype ?? "f32";
  if (!demoDTypes.includes(dtype)) wrong("dtype");
  // JSON writes a loss that is not finite as null.
  const curve = Array.isArray(p.curve) ? p.curve : wrong("curve");
  return { ...(p as DemoProgress), dtype, curve: curve.map(([step, loss]) => [Number(step), loss === null ? Number.NaN : Number(loss)]) };
}
const isCount = (x: unknown, least: number, most: number): boolean =>
  Number.isSafeInteger(x) && (x as number) >= least && (x as number) <= most;

/** The model's sizes fit each other. */
export function checkConfig({ width, heads, layers, context, vocabulary }: GPTConfig): void {
  for (const [name, n] of Object.entries({ width, heads, layers, context, vocabulary }))
    if (!isCount(n, 1, 2 ** 24)) throw new ArgumentError(`a model with ${name} ${n} cannot be made; it is a whole number of at least 1`);
  if (width % heads || (width / heads) % 2)
    throw new ArgumentError(`a width of ${width} and ${heads} heads do not fit: each head needs an even, whole number of columns`);
}
/** What differs between two plans, for people. */
export function differences(saved: DemoPlan, wanted: DemoPlan): string[] {
  const differ: string[] = [];
  const add = (name: string, was: string | number, is: string | number): void => {
    if (was !== is) differ.push(`${name} was ${was} and is ${is}`);
  };
  for (const key of ["vocabulary", "width", "heads", "layers", "context"] as const) add(key, saved.config[key], wanted.config[key]);
  for (const key of ["batch", "lr", "dtype", "seed", "corpus", "steps"] as const) add(key, saved[key], wanted[key]);
  return differ;
}
