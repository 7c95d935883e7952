/** One run of a program in the device's queue: segment after segment, with the host's steps between them. */
import type { Call, Counters, Loaded } from "../../runtime/device.js";
import type { HostStep } from "../../runtime/encode.js";
import type { Job, Queue } from "../../runtime/queue.js";
import type { Fences } from "./fences.js";
import type { Places } from "./launch.js";
import type { Launches } from "./launches.js";

/** What a run needs of its device. */
export interface Ground {
  readonly stream: bigint;
  readonly queue: Queue;
  readonly fences: Fences;
  readonly places: Places;
  readonly counters: Counters;
  /** Makes this GPU the one that calls of this thread go to. */
  enter(): void;
  /** Runs a step on the host, behind everything enqueued so far. */
  host(loaded: Loaded, step: HostStep): void;
}

export class Run implements Job {
  readonly #ground: Ground;
  readonly #loaded: Loaded & { readonly launches: Launches };
  readonly #call: Call;
  readonly #resolve: () => void;
  readonly #reject: (error: unknown) => void;
  readonly #signal: AbortSignal | undefined;
  readonly #stop: (() => void) | undefined;
  #at = 0;
  #begun = false;
  #settled = false;
  #failed: Error | undefined;

  constructor(
    ground: Ground,
    loaded: Loaded & { readonly launches: Launches },
    call: Call,
    resolve: () => void,
    reject: (error: unknown) => void,
    signal?: AbortSignal,
  ) {
    this.#ground = ground;
    this.#loaded = loaded;
    this.#call = call;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#signal = signal;
    if (!signal) return;
    // What the GPU has begun it ends; its results are left behind.
    this.#stop = () => {
      if (!this.#begun) ground.queue.remove(this);
      reject(signal.reason);
    };
    signal.addEventListener("abort", this.#stop, { once: true });
  }

  step(blocking: boolean, wake: () => void): "done" | "more" | "waiting" {
    const { enter, fences, places, counters, stream } = this.#ground;
    const { launches } = this.#loaded;
    enter();
    if (!this.#begun || this.#settled) this.#signal?.throwIfAborted();
    if (this.#failed) throw this.#failed;
    if (!this.#begun) {
      this.#begun = true;
      launches.prepare(this.#call, places);
      counters.submissions++;
    }
    const segment = launches.segments[this.#at];
    if (!segment) return "done";
    if (segment.kind === "native") {
      counters.launches += launches.run(segment, stream, places);
      return this.#next();
    }
    if (!this.#settled) {
      this.#settled = true;
      fences.after((error) => {
        this.#failed = error;
        wake();
      });
      if (!blocking) return "waiting";
      fences.drain();
      return "more";
    }
    this.#settled = false;
    this.#ground.host(this.#loaded, segment.step);
    return this.#next();
  }
  block(): void {
    this.#ground.fences.drain();
  }
  done(): void {
    this.#ground.fences.after((error) => {
      this.#leave();
      if (error) this.#reject(error);
      else this.#resolve();
    });
  }
  fail(error: unknown): void {
    this.#leave();
    this.#reject(error);
  }

  #next(): "done" | "more" {
    return ++this.#at === this.#loaded.launches.segments.length ? "done" : "more";
  }
  #leave(): void {
    if (this.#stop) this.#signal!.removeEventListener("abort", this.#stop);
  }
}
