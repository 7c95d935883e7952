/// <reference types="@webgpu/types" />
/** Bytes to, from and within a GPU, at any byte: words that are covered in part are patched by kernels of the device itself. */
import { DeviceError } from "../../core/errors.js";
import { roundUp } from "../../core/numbers.js";
import type { Memory } from "../../runtime/memory.js";
import { mapRead } from "./flags.js";
import { type Place, type Range, rangesOf } from "./pieces.js";
import type { Pipeline } from "./pipelines.js";
import type { Presence } from "./presence.js";

/** Bytes that one copy to or from the host takes. */
const pieceBytes = 64 << 20;
/** Where a binding may begin on every device. */
const bindingAlign = 256;

/** What transfers need of their device. */
export interface Ways {
  readonly gpu: GPUDevice;
  readonly presence: Presence;
  /** Buffers that results come back through. */
  readonly staging: Memory<GPUBuffer>;
  readonly patch: Pipeline;
  readonly copying: Pipeline;
  uniform(bytes: number): GPUBuffer;
}

export class Transfers {
  readonly #ways: Ways;
  constructor(ways: Ways) {
    this.#ways = ways;
  }

  /** Writes bytes into memory of `size` bytes. */
  put(to: Place, offset: number, data: Uint8Array, size: number): void {
    let from = 0;
    for (const range of rangesOf(to, offset, data.length)) {
      const part = data.subarray(from, from + range.size);
      from += range.size;
      // What lies behind a buffer up to a whole word is nobody's.
      this.#putInto(range, part, offset + from === size);
    }
  }
  #putInto({ buffer, offset }: Range, data: Uint8Array, isEnd: boolean): void {
    const { queue } = this.#ways.gpu;
    const head = Math.min(data.length, (4 - (offset % 4)) % 4);
    const tail = (data.length - head) % 4;
    const end = data.length - tail;
    if (head) this.#patched(buffer, offset, data.subarray(0, head));
    for (let at = head; at < end; at += pieceBytes)
      queue.writeBuffer(buffer, offset + at, data.buffer as ArrayBuffer, data.byteOffset + at, Math.min(pieceBytes, end - at));
    if (!tail) return;
    if (!isEnd) {
      this.#patched(buffer, offset + end, data.subarray(end));
      return;
    }
    const last = new Uint8Array(4);
    last.set(data.subarray(end));
    queue.writeBuffer(buffer, offset + end, last);
  }
  /** Sets bytes of one word. */
  #patched(to: GPUBuffer, offset: number, data: Uint8Array): void {
    const first = 8 * (offset % 4);
    let [mask, value] = [0, 0];
    data.forEach((b, i) => {
      mask |= 255 << (first + 8 * i);
      value |= b << (first + 8 * i);
    });
    const word = offset - (offset % 4);
    const begin = word - (word % bindingAlign);
    this.#dispatch(
      this.#ways.patch,
      [{ buffer: to, offset: begin, size: Math.min(bindingAlign, to.size - begin) }],
      [(word - begin) / 4, mask, value],
    );
  }

  /** Copies from the begin of one memory to that of another. */
  copy(from: Place, to: Place, bytes: number): void {
    const { gpu, copying } = this.#ways;
    const whole = bytes - (bytes % 4);
    const encoder = gpu.createCommandEncoder();
    let at = 0;
    // Both are cut where the narrower of them is.
    while (at < whole) {
      const target = rangesOf(to, at, whole - at)[0]!;
      const source = rangesOf(from, at, target.size)[0]!;
      encoder.copyBufferToBuffer(source.buffer, source.offset, target.buffer, target.offset, source.size);
      at += source.size;
    }
    gpu.queue.submit([encoder.finish()]);
    if (whole === bytes) return;
    // Part of a word is copied by a kernel, with what stands before it back to where a binding may begin.
    const offset = whole - (whole % bindingAlign);
    const part = (place: Place): GPUBufferBinding => rangesOf(place, offset, roundUp(bytes, 4) - offset)[0]!;
    this.#dispatch(copying, [part(from), part(to)], [bytes - offset]);
  }
  /** Runs one workgroup of a kernel of the device itself. */
  #dispatch({ pipeline, layout }: Pipeline, buffers: readonly GPUBufferBinding[], dims: readonly number[]): void {
    const { gpu } = this.#ways;
    const uniform = this.#ways.uniform(16);
    gpu.queue.writeBuffer(uniform, 0, new Int32Array(dims));
    const resources = [...buffers, { buffer: uniform, size: 4 * dims.length }];
    const entries = resources.map((resource, binding) => ({ binding, resource }));
    const encoder = gpu.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, gpu.createBindGroup({ layout, entries }));
    pass.dispatchWorkgroups(1);
    pass.end();
    gpu.queue.submit([encoder.finish()]);
    uniform.destroy();
  }

  /** Bytes of device memory, after everything that was submitted. */
  async fetch(from: Place, offset: number, bytes: number): Promise<Uint8Array> {
    const out = new Uint8Array(bytes);
    let at = 0;
    for (const range of rangesOf(from, offset, bytes, pieceBytes)) {
      await this.#piece(range, out.subarray(at, at + range.size));
      at += range.size;
    }
    return out;
  }
  async #piece({ buffer, offset }: Range, out: Uint8Array): Promise<void> {
    const { gpu, staging, presence } = this.#ways;
    presence.check();
    const begin = offset - (offset % 4);
    const size = roundUp(offset + out.length, 4) - begin;
    const back = staging.take(size, "a result on its way back");
    try {
      const encoder = gpu.createCommandEncoder();
      encoder.copyBufferToBuffer(buffer, begin, back, 0, size);
      gpu.queue.submit([encoder.finish()]);
      await presence.unlessLost(back.mapAsync(mapRead, 0, size));
      out.set(new Uint8Array(back.getMappedRange(0, size), offset - begin, out.length));
      back.unmap();
    } catch (cause) {
      throw presence.lost ?? new DeviceError(`WebGPU gave no result: ${(cause as Error).message}`, { cause });
    } finally {
      staging.give(back, size);
    }
  }
}
