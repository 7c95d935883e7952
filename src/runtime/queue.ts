/** The order in which a device works: one job after another, whether the caller waits or not. */

import { InternalError } from "../core/errors.js";
import { afterTurn } from "../core/host.js";

/** Something a device does in turn. */
export interface Job {
  /**
   * Does the next part. "waiting": it goes on elsewhere and `wake` is called when it has ended. With `blocking` set it must not
   * wait for the event loop.
   */
  step(blocking: boolean, wake: () => void): "done" | "more" | "waiting";
  /** Blocks this thread until the part that is waiting has ended. */
  block?(): void;
  done(): void;
  fail(error: unknown): void;
}

export class Queue {
  readonly #jobs: Job[] = [];
  /** Counts parts, so that the wake-up of a part that was waited for by blocking is ignored. */
  #part = 0;
  #waiting = false;
  #running = false;

  get idle(): boolean {
    return this.#jobs.length === 0;
  }

  push(job: Job): void {
    this.#jobs.push(job);
    this.#pump(false);
  }

  /** Takes a job that has not begun out of the queue. */
  remove(job: Job): boolean {
    const i = this.#jobs.indexOf(job);
    if (i < 0 || (i === 0 && (this.#waiting || this.#running))) return false;
    this.#jobs.splice(i, 1);
    return true;
  }

  /** Runs everything in the queue on this thread. */
  drain(): void {
    if (this.#waiting) {
      this.#part++;
      this.#jobs[0]!.block?.();
      this.#waiting = false;
    }
    this.#pump(true);
  }

  #pump(blocking: boolean): void {
    if (this.#running || this.#waiting) return;
    this.#running = true;
    try {
      while (this.#jobs.length) {
        const job = this.#jobs[0]!;
        const part = ++this.#part;
        let state: "done" | "more" | "waiting";
        try {
          state = job.step(blocking, () => {
            if (part !== this.#part || !this.#waiting) return;
            this.#waiting = false;
            this.#pump(false);
          });
        } catch (error) {
          this.#jobs.shift();
          job.fail(error);
          continue;
        }
        if (state === "done") {
          this.#jobs.shift();
          job.done();
        } else if (state === "waiting") {
          this.#waiting = true;
          return;
        }
      }
    } finally {
      this.#running = false;
    }
  }
}

/** Does something small in turn: at once where the queue is idle. */
export function inTurn<T>(queue: Queue, work: () => T): Promise<T> {
  return new Promise((resolve, reject) => {
    let result: T;
    queue.push({
      step() {
        result = work();
        return "done";
      },
      done: () => resolve(result),
      fail: reject,
    });
  });
}

/** Runs a job on this thread, behind everything pushed before it, and throws its failure. */
export function runBlocking(queue: Queue, make: (done: () => void, fail: (error: unknown) => void) => Job): void {
  let failure: { error: unknown } | undefined;
  const job = make(
    () => {},
    (error) => {
      failure = { error };
    },
  );
  queue.drain();
  queue.push({ step: () => job.step(true, () => {}), done: () => job.done(), fail: (error) => job.fail(error) });
  if (failure) throw failure.error;
}

/** Does something once everything pushed so far has run; a failure then has nobody else to go to than `fail`. */
export function afterwards(queue: Queue, work: () => void, fail: (error: InternalError) => void): void {
  if (queue.idle) {
    work();
    return;
  }
  queue.push({
    step() {
      work();
      return "done";
    },
    done() {},
    fail: (error) => fail(new InternalError(`work after a program failed: ${(error as Error).message}`, { cause: error })),
  });
}

let yielded = 0;
/**
 * Resolves at once, or after a turn of the event loop where the last one was some time ago: a loop of awaited calls that each
 * finish synchronously would otherwise starve timers and signals.
 */
export function breathe(): Promise<void> | undefined {
  const now = performance.now();
  if (now - yielded < 8) return undefined;
  return new Promise((resolve) =>
    afterTurn(() => {
      yielded = performance.now();
      resolve();
    }),
  );
}
