/** What a device is asked to run, and what becomes of it where earlier work failed. */
import { OutOfMemoryError } from "../core/errors.js";
import type { Call } from "../runtime/device.js";
import type { Prepared } from "./prepared.js";
import type { Storage, Ticket } from "./storage.js";

/** Inputs that calls of a program have in common. */
export interface Standing {
  /** For `graph.inputs` from `first` on, in order. */
  readonly inputs: readonly Storage[];
  readonly first: number;
  /** The program's buffers with those of the inputs at their places. Undefined until a call has found all of them at rest, and once one has changed. */
  buffers: Call["buffers"] | undefined;
}
/** One run: where inputs come from, and which storages it fills. */
export interface Job {
  readonly prepared: Prepared;
  /** For `graph.inputs`, in order; those that stand are left out. */
  readonly inputs: readonly Storage[];
  readonly standing?: Standing;
  /** For `graph.state`, in order: what the state was, and what it becomes; the same storage where it is written over. */
  readonly states: readonly Storage[];
  readonly becomes: readonly Storage[];
  readonly outputs: readonly Storage[];
  readonly name: string;
  /** How often it runs, one time behind another; more than once only where it has no outputs and its state is written over. */
  readonly times?: number;
  readonly signal?: AbortSignal | undefined;
}
/** A job in the order of its device. */
export interface Queued {
  readonly job: Job;
  readonly ticket: Ticket;
  /** Earlier work that fills what it reads, and for each of its states, that which changes it. */
  readonly needs: readonly Ticket[];
  readonly follows: readonly (Ticket | undefined)[];
  /** How often there was no memory to start it. */
  starved: number;
}

/** Which of `graph.inputs` an input is. */
export const placeOf = (input: number, standing: Standing | undefined): number =>
  standing && input >= standing.first ? input + standing.inputs.length : input;
/** What a job reads, but for inputs that are known to be at rest. */
export const unsettled = ({ inputs, standing }: Job): readonly Storage[] =>
  standing && !standing.buffers ? [...standing.inputs, ...inputs] : inputs;

const none: readonly Ticket[] = [];
/** Work under way that fills or changes storages. */
export function pendingOf(storages: readonly Storage[]): readonly Ticket[] {
  let found: Ticket[] | undefined;
  for (const { job } of storages) if (job && found?.at(-1) !== job) (found ??= []).push(job);
  return found ?? none;
}
/** For each storage, work under way that changes it. */
export const changing = (storages: readonly Storage[]): readonly (Ticket | undefined)[] => {
  for (const { job } of storages) if (job) return storages.map((s) => s.job);
  return none;
};
const failedIn = (tickets: readonly (Ticket | undefined)[]): Ticket | undefined => tickets.find((t) => t?.failed !== undefined);
/** Failed work that a job stands on. */
export const brokenBy = ({ needs, follows }: Queued): Ticket | undefined => failedIn(needs) ?? failedIn(follows);
/** Whether a state of a job had a value when the job's turn came: work that failed may have left it as it was. */
export function hadValue({ job, follows }: Queued, state: number): boolean {
  const before = follows[state];
  return before?.failed === undefined || before.kept?.includes(job.states[state]!) === true;
}
/** What a failure of submitted work leaves of its state: memory is asked for before anything runs. */
export const stateAfter = (e: unknown): "kept" | "lost" => (e instanceof OutOfMemoryError ? "kept" : "lost");
