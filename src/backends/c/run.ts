/** One run of a program in the device's queue: native work is handed to the stream, and the host's steps come between. */
import { DeviceError, OutOfMemoryError } from "../../core/errors.js";
import type { Call, Counters } from "../../runtime/device.js";
import { type HostStep, sameNumbers } from "../../runtime/encode.js";
import type { Profile } from "../../runtime/profile.js";
import type { Job, Queue } from "../../runtime/queue.js";
import type { CLoaded } from "./loaded.js";
import type { Outcome, Stream } from "./stream.js";
import type { Places } from "./table.js";

/** What a run needs of its device. */
export interface Ground {
  readonly queue: Queue;
  readonly stream: Stream;
  readonly places: Places;
  readonly counters: Counters;
  readonly profile: Profile | undefined;
  /** Notes how much scratch each thread has from now on. */
  reserve(scratch: number): void;
  /** Runs a step on the host, while nothing is under way. */
  host(loaded: CLoaded, step: HostStep): void;
}

/** Programs shorter than this run on the calling thread, where nothing else runs: handing them to another costs about as much. */
const shortNs = 200_000;

export class Run implements Job {
  readonly #ground: Ground;
  readonly #loaded: CLoaded;
  readonly #call: Call;
  readonly #resolve: () => void;
  readonly #reject: (error: unknown) => void;
  readonly #signal: AbortSignal | undefined;
  readonly #stop: (() => void) | undefined;
  #begun = false;
  /** The segment that comes next, and the request of the one before it. */
  #at = 0;
  #ticket = 0;
  /** How that request ended, where nobody has looked at it yet. */
  #outcome: Outcome | undefined;
  /** The last segment is under way, and the queue goes on. */
  #left = false;
  /** Goes on with what waits for kernels; why they could not be built. */
  #wake: (() => void) | undefined;
  #refused: { readonly error: unknown } | undefined;

  constructor(ground: Ground, loaded: CLoaded, call: Call, resolve: () => void, reject: (error: unknown) => void, signal?: AbortSignal) {
    this.#ground = ground;
    this.#loaded = loaded;
    this.#call = call;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#signal = signal;
    if (!signal) return;
    this.#stop = () => {
      if (this.#ticket) ground.stream.abort(this.#ticket);
      else if (this.#wake) this.#wake();
      else if (ground.queue.remove(this)) this.fail(signal.reason);
    };
    signal.addEventListener("abort", this.#stop, { once: true });
  }

  step(blocking: boolean, wake: () => void): "done" | "more" | "waiting" {
    const { stream, profile } = this.#ground;
    const loaded = this.#loaded;
    if (this.#outcome) this.#account(this.#outcome);
    this.#signal?.throwIfAborted();
    if (!this.#begun && !this.#begin(blocking, wake)) return "waiting";
    const { segments, scratchBytes, sizes } = loaded.table;
    const segment = segments[this.#at];
    if (!segment) return "done";
    if (segment.kind === "host") {
      if (!stream.alone(blocking, wake)) return "waiting";
      const since = performance.now();
      this.#ground.host(loaded, segment.call);
      profile?.add(loaded.program, segment.step, (performance.now() - since) * 1e6, sizes);
      this.#at++;
      return "more";
    }
    if (blocking) stream.block();
    this.#at++;
    if (stream.settle() && (blocking || loaded.expected < shortNs)) {
      this.#outcome = stream.run(segment.records, scratchBytes);
      return "more";
    }
    this.#left = this.#at === segments.length;
    const ended = this.#left ? (outcome: Outcome): void => this.#end(outcome) : wake;
    this.#ticket = stream.push(
      segment.records,
      scratchBytes,
      (outcome) => {
        this.#outcome = outcome;
        ended(outcome);
      },
      !this.#left,
    );
    return this.#left ? "done" : "waiting";
  }
  block(): void {
    if (this.#wake) this.#buildNow();
    else this.#ground.stream.block();
  }
  done(): void {
    if (this.#left) return;
    this.#leave();
    this.#loaded.code.addLater();
    this.#resolve();
  }
  fail(error: unknown): void {
    this.#leave();
    this.#reject(error);
  }

  /** Makes the table fit the call. False where that has to wait. */
  #begin(blocking: boolean, wake: () => void): boolean {
    const { stream, places, counters, reserve } = this.#ground;
    const { table, dims } = this.#loaded;
    if (!sameNumbers(dims ?? [-1], this.#call.dims)) {
      if (!this.#hasKernels(blocking, wake)) return false;
      // For other sizes the arena may have to move, and what is under way has it still.
      if (!stream.alone(blocking, wake)) return false;
      this.#loaded.expected = Number.POSITIVE_INFINITY;
    }
    this.#begun = true;
    table.prepare(this.#call, places);
    this.#loaded.dims = this.#call.dims;
    reserve(table.scratchBytes);
    counters.submissions++;
    return true;
  }
  /** Whether the kernels that these sizes need are there; if not, they are on their way. */
  #hasKernels(blocking: boolean, wake: () => void): boolean {
    const { code } = this.#loaded;
    this.#wake = undefined;
    if (this.#refused) throw this.#refused.error;
    const missing = code.missing(this.#call.dims);
    if (missing.length && blocking) this.#buildNow();
    else if (missing.length) {
      this.#wake = wake;
      code.add(missing).then(wake, (error: unknown) => {
        this.#refused = { error };
        wake();
      });
      return false;
    }
    return true;
  }
  #buildNow(): void {
    const { code } = this.#loaded;
    this.#wake = undefined;
    code.addSync(code.missing(this.#call.dims));
  }
  /** Looks at how a segment ended. */
  #account({ launches, ns, result }: Outcome): void {
    const { counters, profile, stream } = this.#ground;
    const loaded = this.#loaded;
    const { program, table } = loaded;
    this.#outcome = undefined;
    this.#ticket = 0;
    counters.launches += launches;
    loaded.expected = ns < loaded.expected ? ns : 0.8 * loaded.expected + 0.2 * ns;
    profile?.add(program, table.segments[this.#at - 1]!.step, ns, table.sizes);
    if (result === "aborted") throw this.#signal?.reason ?? new DeviceError(`${program.name} was stopped`);
    if (result === "no memory")
      throw new OutOfMemoryError(
        `${program.name} has no memory for the kernels' scratch: ${table.scratchBytes} bytes on each of ${stream.threads} threads`,
      );
  }
  /** The last segment has ended, and the queue has long gone on. */
  #end(outcome: Outcome): void {
    this.#left = false;
    try {
      this.#account(outcome);
      this.done();
    } catch (error) {
      this.fail(error);
    }
  }
  #leave(): void {
    if (this.#stop) this.#signal!.removeEventListener("abort", this.#stop);
  }
}
