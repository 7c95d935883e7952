/// <reference types="@webgpu/types" />
/** GPU times of dispatches, for whoever asks: each runs in a pass of its own between two timestamps. */
import { mapRead, usage } from "./flags.js";

/** Timestamps that one set may hold. */
const most = 4096;

export class Stamps {
  readonly #set: GPUQuerySet;
  readonly #resolved: GPUBuffer;
  readonly #read: GPUBuffer;
  readonly #count: number;
  /** For so many dispatches, the first ones that fit. */
  constructor(device: GPUDevice, dispatches: number) {
    this.#count = Math.min(most, 2 * dispatches);
    this.#set = device.createQuerySet({ type: "timestamp", count: this.#count });
    const size = 8 * this.#count;
    this.#resolved = device.createBuffer({ size, usage: usage.queryResolve | usage.copySource });
    this.#read = device.createBuffer({ size, usage: usage.mapRead | usage.copyTarget });
  }

  /** What the pass of a dispatch writes. */
  pass(i: number): GPUComputePassDescriptor {
    if (2 * i + 1 >= this.#count) return {};
    return { timestampWrites: { querySet: this.#set, beginningOfPassWriteIndex: 2 * i, endOfPassWriteIndex: 2 * i + 1 } };
  }
  /** The last thing in the command buffer. */
  finish(encoder: GPUCommandEncoder): void {
    encoder.resolveQuerySet(this.#set, 0, this.#count, this.#resolved, 0);
    encoder.copyBufferToBuffer(this.#resolved, 0, this.#read, 0, 8 * this.#count);
  }
  /** Nanoseconds of each dispatch, once it has run. */
  async times(): Promise<readonly number[]> {
    await this.#read.mapAsync(mapRead);
    const all = new BigUint64Array(this.#read.getMappedRange().slice(0));
    this.#read.unmap();
    for (const x of [this.#set, this.#resolved, this.#read]) x.destroy();
    return Array.from({ length: this.#count / 2 }, (_, i) => Number(all[2 * i + 1]! - all[2 * i]!));
  }
}
