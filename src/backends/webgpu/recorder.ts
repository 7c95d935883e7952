/// <reference types="@webgpu/types" />
/** Programs that are asked for one after another go to the GPU together: a submission costs the host as much as dozens of dispatches. */
import type { Counters } from "../../runtime/device.js";
import type { Presence } from "./presence.js";

/** Dispatches after which the GPU begins while the host records more. */
const most = 256;

/** What is recorded together. */
interface Batch {
  readonly encoder: GPUCommandEncoder;
  dispatches: number;
  /** What WebGPU has against it, or null, once it has run. */
  readonly over: Promise<GPUError | null>;
  readonly end: (over: Promise<GPUError | null>) => void;
}

export class Recorder {
  readonly #gpu: GPUDevice;
  readonly #presence: Presence;
  readonly #counters: Counters;
  #batch: Batch | undefined;
  constructor(gpu: GPUDevice, presence: Presence, counters: Counters) {
    this.#gpu = gpu;
    this.#presence = presence;
    this.#counters = counters;
  }

  /** The queue, behind everything that was recorded. */
  get queue(): GPUQueue {
    this.flush();
    return this.#gpu.queue;
  }

  /** Records dispatches, whose number `record` gives. Resolves when they have run, to what WebGPU has against what went with them. */
  add(record: (encoder: GPUCommandEncoder) => number): Promise<GPUError | null> {
    const batch = (this.#batch ??= this.#begin());
    const count = record(batch.encoder);
    batch.dispatches += count;
    this.#counters.launches += count;
    if (batch.dispatches >= most) this.flush();
    return batch.over;
  }
  #begin(): Batch {
    this.#gpu.pushErrorScope("validation");
    // Whoever asks for several programs does so in one turn.
    queueMicrotask(() => this.flush());
    let end!: Batch["end"];
    const over = new Promise<GPUError | null>((resolve) => {
      end = resolve;
    });
    // A program that fails has nobody who waits for what it began.
    over.catch(() => {});
    return { encoder: this.#gpu.createCommandEncoder(), dispatches: 0, over, end };
  }

  /** Submits what was recorded: before anything else goes to the queue, and before memory that it may use is destroyed. */
  flush(): void {
    const batch = this.#batch;
    if (!batch) return;
    this.#batch = undefined;
    this.#gpu.queue.submit([batch.encoder.finish()]);
    this.#counters.submissions++;
    const refused = this.#gpu.popErrorScope();
    batch.end(Promise.all([refused, this.#presence.settled()]).then(([error]) => error));
  }
  /** Resolves when everything recorded so far has run. */
  async settled(): Promise<void> {
    this.flush();
    await this.#presence.settled();
  }
}
