/**
 * The order in which native work runs. Requests are handed over as they come, the pool runs one after another while the event loop does
 * what it likes, and whoever waits waits for a point of that order.
 */
import { OutOfMemoryError } from "../../core/errors.js";
import { afterTurn } from "../../core/host.js";
import type { Native } from "./native.js";
import { slots } from "./pool.js";

/** What a request left. */
export interface Outcome {
  readonly launches: number;
  readonly ns: number;
  readonly result: "done" | "aborted" | "no memory";
}
/** Called when a point is reached, with the outcome of the last request before it. */
export type Reached = (outcome: Outcome) => void;

const results = ["done", "aborted", "no memory"] as const;
const slotWords = 4;

export class Stream {
  readonly threads: number;
  readonly #native: Native;
  readonly #pool: bigint;
  readonly #control: bigint;
  readonly #flags: Int32Array;
  readonly #numbers: Float64Array;
  /** The last request that was made, and the last one that is known to have ended. */
  #last = 0;
  #completed = 0;
  /** Whoever waits, in order of tickets. The first who is urgent is told of at once, the others with them or before. */
  readonly #waiting: { readonly ticket: number; readonly reached: Reached; readonly urgent: boolean }[] = [];
  #watching = false;
  #unwatched: (() => void) | undefined;

  constructor(native: Native, threads: number) {
    this.#native = native;
    const bytes = slots * slotWords * 8;
    this.#control = native.alloc(bytes);
    const view = native.ffi.view(this.#control, bytes);
    this.#flags = new Int32Array(view);
    this.#numbers = new Float64Array(view);
    this.#pool = native.open(threads, this.#control);
    this.threads = native.threads(this.#pool);
  }

  /** Hands over a table of records, which is copied, and gives its ticket. */
  push(records: BigInt64Array, scratch: number, reached: Reached, urgent: boolean): number {
    if (this.#last - this.#completed >= slots && !this.settle()) this.block();
    const ticket = this.#take();
    if (!this.#native.submit(this.#pool, records, scratch, ticket)) {
      this.#last--;
      throw new OutOfMemoryError(`no memory to hand ${records.byteLength} bytes of launches to the pool`);
    }
    this.#wait(ticket, reached, urgent);
    return ticket;
  }
  /** Runs a table on this thread; nothing else may be under way. */
  run(records: BigInt64Array, scratch: number): Outcome {
    const ticket = this.#take();
    this.#native.run(this.#pool, records, scratch, ticket);
    this.#completed = ticket;
    return this.#outcome(ticket);
  }
  /** Ends a request before its time. */
  abort(ticket: number): void {
    if (ticket > this.#completed) this.#flags[(ticket % slots) * slotWords * 2] = 1;
  }

  /** Tells everyone whose point has been reached. True if nothing is under way. */
  settle(): boolean {
    if (this.#last > this.#completed) this.#completed = this.#native.completed(this.#pool);
    while (this.#waiting.length && this.#waiting[0]!.ticket <= this.#completed) {
      const { ticket, reached } = this.#waiting.shift()!;
      reached(this.#outcome(ticket));
    }
    return this.#last === this.#completed;
  }
  /** Calls back once everything so far has ended: at once, where nothing is under way. */
  after(reached: () => void): void {
    if (this.settle()) reached();
    else this.#wait(this.#last, reached, false);
  }
  /** For parts of jobs: true if nothing is under way. Otherwise this thread waits, or `wake` will be called. */
  alone(blocking: boolean, wake: () => void): boolean {
    if (this.settle()) return true;
    if (blocking) this.block();
    else this.#wait(this.#last, wake, true);
    return blocking;
  }
  /** Blocks this thread until nothing is under way. */
  block(): void {
    while (!this.settle()) this.#native.wait(this.#pool, this.#last);
  }
  /** Ends the pool, in which nothing is under way. */
  async close(): Promise<void> {
    if (this.#watching) await new Promise<void>((resolve) => (this.#unwatched = resolve));
    this.#native.close(this.#pool);
    this.#native.free(this.#control);
  }

  #take(): number {
    const ticket = ++this.#last;
    this.#flags[(ticket % slots) * slotWords * 2] = 0;
    return ticket;
  }
  #outcome(ticket: number): Outcome {
    const at = (ticket % slots) * slotWords;
    const [launches, ns, result] = [this.#numbers[at + 1]!, this.#numbers[at + 2]!, this.#numbers[at + 3]!];
    return { launches, ns, result: results[result]! };
  }
  #wait(ticket: number, reached: Reached, urgent: boolean): void {
    this.#waiting.push({ ticket, reached, urgent });
    this.#watch();
  }
  /** Sleeps on another thread until the next point is there. What is pushed in the same turn is known by then. */
  #watch(): void {
    if (this.#watching) return;
    this.#watching = true;
    afterTurn(() => {
      this.settle();
      const next = this.#waiting.find((w) => w.urgent) ?? this.#waiting[0];
      if (next) this.#native.wait.later([this.#pool, next.ticket], () => this.#rewatch());
      else this.#rewatch();
    });
  }
  #rewatch(): void {
    this.#watching = false;
    this.settle();
    if (this.#waiting.length) this.#watch();
    else this.#unwatched?.();
  }
}
