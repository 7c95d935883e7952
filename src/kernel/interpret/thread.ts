/** A thread that runs, and what it waits for. */
import type { HostData } from "../../core/ndarray.js";
import type { Scalar } from "./scalar.js";

/** One thread of a grid point. Arrays are by the numbers that `Code` gives to names. */
export interface Thread {
  /** Indices; NaN where a name has no value yet. */
  readonly scope: Float64Array;
  readonly values: (Scalar | undefined)[];
  readonly store: readonly (HostData | undefined)[];
  readonly signals: readonly (readonly Signal[] | undefined)[];
  /** Fragments that only a matrix unit sees, by buffer and index. */
  readonly tiles: Map<string, Float64Array>;
  readonly tid: number;
}

/** A barrier in shared memory: how many arrivals end a phase, how many and how many bytes this one still waits for, and its number. */
export interface Signal {
  arrivals: number;
  left: number;
  bytes: number;
  phase: number;
}

/** What a thread waits for: everybody in its group of `size` threads, and that something is ready. */
export interface Meeting {
  readonly what: string;
  readonly size: number;
  /** What this thread brings; everybody gets what all have brought, by thread. */
  readonly brings?: readonly Scalar[];
  readonly ready?: () => boolean;
}
export type Step = Generator<Meeting, void, Brought>;
export type Brought = readonly (readonly Scalar[])[];

/** What a statement does: alone, or with others, whom it meets on its way. */
export type Action =
  | { readonly meets: false; readonly run: (t: Thread) => void }
  | { readonly meets: true; readonly run: (t: Thread) => Step };
export const alone = (run: (t: Thread) => void): Action => ({ meets: false, run });
export const together = (run: (t: Thread) => Step): Action => ({ meets: true, run });
