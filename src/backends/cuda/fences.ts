/** Points in a stream, and who waits for them: a few polls first, then another thread that sleeps until the GPU is there. */
import { DeviceError } from "../../core/errors.js";
import { type Driver, notReady } from "./driver.js";

/** Called once everything before the point has run; with an error where it failed. */
export type Reached = (error?: Error) => void;

/** Waits longer than this are handed to another thread, which says 0.15 ms late that they are over: a prompt is shorter. */
const pollMs = 2;
/** Events that need no clock, and that sleep rather than spin while they are waited for. */
const eventFlags = 3;
/** A driver call on a thread that has no context. */
const noContext = 201;

export class Fences {
  readonly #driver: Driver;
  readonly #stream: bigint;
  readonly #enter: () => void;
  readonly #free: bigint[] = [];
  /** Whoever waits for an event, in the stream's order. */
  readonly #waiting: { readonly event: bigint; readonly reached: readonly Reached[] }[] = [];
  /** Those that came since the last event was recorded: one serves all that come in a turn of the event loop. */
  #unmarked: Reached[] = [];
  #polling = false;
  #since = 0;
  /** Whether other threads may wait for events. */
  #threads = true;

  /** `enter` makes the stream's GPU the one that this thread's calls go to. */
  constructor(driver: Driver, stream: bigint, enter: () => void) {
    this.#driver = driver;
    this.#stream = stream;
    this.#enter = enter;
  }

  /** Calls back once what was enqueued so far has run. */
  after(reached: Reached): void {
    this.#unmarked.push(reached);
    if (this.#polling) return;
    this.#polling = true;
    this.#since = performance.now();
    setImmediate(this.#poll);
  }
  #mark(): void {
    if (!this.#unmarked.length) return;
    const reached = this.#unmarked;
    this.#unmarked = [];
    try {
      this.#enter();
      const event = this.#free.pop() ?? this.#driver.made("cuEventCreate", eventFlags);
      this.#driver.call("cuEventRecord", event, this.#stream);
      this.#waiting.push({ event, reached });
    } catch (error) {
      for (const f of reached) f(error as Error);
    }
  }

  /** Blocks until everything marked so far has been reached. */
  drain(): void {
    for (this.#mark(); this.#waiting.length; this.#mark()) {
      const { event } = this.#waiting[0]!;
      this.#reach(this.#driver.code("cuEventSynchronize", event));
    }
  }

  close(): void {
    this.drain();
    for (const event of this.#free.splice(0)) this.#driver.call("cuEventDestroy_v2", event);
  }

  #reach(code: number): void {
    const { event, reached } = this.#waiting.shift()!;
    this.#free.push(event);
    const error = code === 0 ? undefined : failure(this.#driver, code);
    for (const f of reached) f(error);
  }
  readonly #poll = (): void => {
    this.#mark();
    let progress = false;
    while (this.#waiting.length) {
      const code = this.#driver.code("cuEventQuery", this.#waiting[0]!.event);
      if (code === notReady) break;
      progress = true;
      this.#reach(code);
    }
    if (!this.#waiting.length && !this.#unmarked.length) {
      this.#polling = false;
      return;
    }
    const now = performance.now();
    if (progress) this.#since = now;
    if (now - this.#since < pollMs || !this.#waiting.length) setImmediate(this.#poll);
    else if (!this.#threads) setTimeout(this.#poll, 1);
    else
      this.#driver.raw("cuEventSynchronize").later([this.#waiting[0]!.event], (error, code) => {
        if (error || code === noContext) this.#threads = false;
        this.#since = performance.now();
        this.#poll();
      });
  };
}

/** What a failed point of a stream means. */
export function failure(driver: Driver, code: number): Error {
  try {
    driver.check(code, "cuEventSynchronize");
    return new DeviceError("the GPU failed");
  } catch (cause) {
    return new DeviceError(
      `a kernel failed on the GPU, and the device is lost for this process: ${(cause as Error).message}; values on it are gone`,
      { cause },
    );
  }
}
