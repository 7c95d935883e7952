/** Points in a stream, and who waits for them: a few polls first, then another thread that sleeps until the GPU is there. */
import { DeviceError } from "../../core/errors.js";
import { type Driver, notReady } from "./driver.js";

/** Called once everything before the point has run; with an error where it failed. */
export type Reached = (error?: Error) => void;

/** Waits longer than this are handed to another thread. */
const pollMs = 0.3;
/** Events that need no clock, and that sleep rather than spin while they are waited for. */
const eventFlags = 3;
/** A driver call on a thread that has no context. */
const noContext = 201;

export class Fences {
  readonly #driver: Driver;
  readonly #stream: bigint;
  readonly #free: bigint[] = [];
  readonly #waiting: { readonly event: bigint; readonly reached: Reached }[] = [];
  #polling = false;
  #since = 0;
  /** Whether other threads may wait for events. */
  #threads = true;

  constructor(driver: Driver, stream: bigint) {
    this.#driver = driver;
    this.#stream = stream;
  }

  /** Whether everything that was marked has been reached. */
  get idle(): boolean {
    return this.#waiting.length === 0;
  }

  /** Marks the end of what was enqueued so far. */
  after(reached: Reached): void {
    const event = this.#free.pop() ?? this.#driver.made("cuEventCreate", eventFlags);
    this.#driver.call("cuEventRecord", event, this.#stream);
    this.#waiting.push({ event, reached });
    if (this.#polling) return;
    this.#polling = true;
    this.#since = performance.now();
    setImmediate(this.#poll);
  }

  /** Blocks until everything marked so far has been reached. */
  drain(): void {
    while (this.#waiting.length) {
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
    reached(code === 0 ? undefined : failure(this.#driver, code));
  }
  readonly #poll = (): void => {
    let progress = false;
    while (this.#waiting.length) {
      const code = this.#driver.code("cuEventQuery", this.#waiting[0]!.event);
      if (code === notReady) break;
      progress = true;
      this.#reach(code);
    }
    if (!this.#waiting.length) {
      this.#polling = false;
      return;
    }
    const now = performance.now();
    if (progress) this.#since = now;
    if (now - this.#since < pollMs) setImmediate(this.#poll);
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
