/** Mapped files, whose parts are buffers of the c device. */
import { totalmem } from "node:os";
import { DeviceError } from "../../core/errors.js";
import { Block, type Blocks } from "../../runtime/blocks.js";
import type { Counters, FileMapping } from "../../runtime/device.js";
import type { Native } from "./native.js";

/** A buffer at an address. */
export type NativeBlock = Block<bigint, bigint>;

/** A mapped file. Its memory goes back when it was closed and none of its parts is in use. */
export class Mapping implements FileMapping {
  readonly #native: Native;
  readonly #blocks: Blocks<bigint, bigint>;
  readonly #counters: Counters;
  readonly #address: bigint;
  readonly #bytes: number;
  readonly #gone: () => void;
  /** Set to end the touching of pages in the background; undefined once that has ended. */
  #stop: { readonly address: bigint; readonly flag: Int32Array } | undefined;
  #parts = 0;
  #closed = false;
  #unmapped = false;

  /** `gone` is called when the file is no longer mapped. */
  constructor(native: Native, blocks: Blocks<bigint, bigint>, counters: Counters, address: bigint, bytes: number, gone: () => void) {
    this.#native = native;
    this.#blocks = blocks;
    this.#counters = counters;
    this.#address = address;
    this.#bytes = bytes;
    this.#gone = gone;
    // A file that would push others out of memory is better read when it is needed.
    if (bytes < totalmem() / 2) this.#touch();
  }

  part(offset: number, bytes: number, elementBytes: number): NativeBlock | undefined {
    if (this.#closed || !(offset >= 0 && bytes > 0 && offset + bytes <= this.#bytes))
      throw new DeviceError(`bytes ${offset} to ${offset + bytes} of a mapped file of ${this.#bytes} bytes`);
    // Kernels load elements, and vectors of them, at addresses that are whole elements.
    if (offset % elementBytes) return undefined;
    this.#parts++;
    this.#counters.mappedBytes += bytes;
    const address = this.#address + BigInt(offset);
    return new Block(this.#blocks, bytes, address, undefined, (part) => this.#give(part));
  }
  /** Takes a part back. */
  #give(part: NativeBlock): void {
    this.#counters.mappedBytes -= part.bytes;
    this.#parts--;
    if (!this.#unmapped) this.#native.forget(part.place, part.bytes);
    this.#finish();
  }
  close(): void {
    this.#closed = true;
    this.#finish();
  }
  /** Unmaps the file although parts of it are in use: they are not used any more. */
  end(): Promise<void> {
    this.#closed = true;
    this.#parts = 0;
    return new Promise((done) => this.#finish(done));
  }

  #finish(done?: () => void): void {
    if (!this.#closed || this.#parts > 0) return;
    if (this.#stop) {
      this.#stop.flag[0] = 1;
      this.#ended = () => this.#finish(done);
      return;
    }
    if (!this.#unmapped) {
      this.#unmapped = true;
      this.#native.unmap(this.#address, this.#bytes);
      this.#gone();
    }
    done?.();
  }
  #ended: (() => void) | undefined;
  #touch(): void {
    const address = this.#native.alloc(64);
    const flag = new Int32Array(this.#native.ffi.view(address, 4));
    flag[0] = 0;
    this.#stop = { address, flag };
    this.#native.touch.later([this.#address, this.#bytes, address], () => {
      this.#native.free(address);
      this.#stop = undefined;
      this.#ended?.();
    });
  }
}
