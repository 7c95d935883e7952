/// <reference types="@webgpu/types" />
/** Whether a GPU is still there, for whoever waits for it. */
import { DeviceError } from "../../core/errors.js";

export class Presence {
  readonly #gpu: GPUDevice;
  readonly #waiting = new Set<(error: DeviceError) => void>();
  /** Why it is gone. */
  lost: DeviceError | undefined;

  /** `why` says what the loss means. */
  constructor(gpu: GPUDevice, why: (message: string) => string) {
    this.#gpu = gpu;
    gpu.lost.then(({ message }) => {
      this.lost = new DeviceError(why(message));
      for (const reject of this.#waiting) reject(this.lost);
    });
  }

  /** Throws where it is gone. */
  check(): void {
    if (this.lost) throw this.lost;
  }
  /** Resolves when the GPU is done with everything submitted so far. */
  async settled(): Promise<void> {
    await this.unlessLost(this.#gpu.queue.onSubmittedWorkDone());
    this.check();
  }
  /** The promise, or the loss of the GPU where that comes first. */
  unlessLost<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#waiting.add(reject);
      work.then(resolve, reject).finally(() => this.#waiting.delete(reject));
    });
  }
}
