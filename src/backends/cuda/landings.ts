/** Results on their way back: memory of the host that the GPU writes by itself. */
import { ffi } from "../../runtime/ffi.js";
import type { Memory } from "../../runtime/memory.js";

/** Results up to this size have pieces that are kept with their windows: making a window takes longer than such a copy. */
const smallBytes = 4096;

export interface Landing {
  readonly address: bigint;
  readonly bytes: Uint8Array;
}

export class Landings {
  readonly #pinned: Memory<bigint>;
  readonly #small: Landing[] = [];
  constructor(pinned: Memory<bigint>) {
    this.#pinned = pinned;
  }
  /** Memory of at least that many bytes. Throws OutOfMemoryError. */
  take(bytes: number): Landing {
    return bytes > smallBytes ? this.#made(bytes) : (this.#small.pop() ?? this.#made(smallBytes));
  }
  /** Takes back what nothing writes any more. */
  give(landing: Landing): void {
    if (landing.bytes.length > smallBytes) this.#pinned.give(landing.address, landing.bytes.length);
    else this.#small.push(landing);
  }
  close(): void {
    for (const { address, bytes } of this.#small.splice(0)) this.#pinned.give(address, bytes.length);
  }
  #made(bytes: number): Landing {
    const address = this.#pinned.take(bytes, "a result on its way back");
    return { address, bytes: new Uint8Array(ffi().view(address, bytes)) };
  }
}
