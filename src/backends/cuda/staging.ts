/** Bytes on their way to the GPU: through memory that the GPU can read by itself, so that copies run while the host goes on. */
import { roundUp } from "../../core/numbers.js";
import type { Read } from "../../runtime/device.js";
import { ffi } from "../../runtime/ffi.js";
import type { Driver } from "./driver.js";

/** Transfers up to this size share a piece. */
const smallBytes = 64 << 10;
const pieceBytes = 8 << 20;
const sharedBytes = 1 << 20;
/** What is read at a time on its way to the GPU, and by how many threads at once. */
const partBytes = 2 << 20;
const abreast = 4;

interface Piece {
  readonly address: bigint;
  readonly bytes: Uint8Array;
  readonly event: bigint;
  used: boolean;
}

/** Two pieces take turns: one is filled while the other is read. */
export class Staging {
  readonly #driver: Driver;
  readonly #stream: bigint;
  readonly #pieces: Piece[] = [];
  /** Two pieces for small transfers, one being filled. */
  readonly #shared: Piece[] = [];
  /** Those of readers, by number, and the readers that have nothing to do. */
  readonly #parts: Piece[] = [];
  readonly #resting: number[] = [];
  #readers = 0;
  #next = 0;
  #turn = 0;
  #at = 0;

  constructor(driver: Driver, stream: bigint) {
    this.#driver = driver;
    this.#stream = stream;
  }

  /** Copies bytes into device memory, in the stream's order; they may change once this has returned. */
  upload(to: bigint, data: Uint8Array): void {
    if (data.length <= smallBytes) {
      if (data.length) this.#small(to, data);
      return;
    }
    for (let at = 0; at < data.length; at += pieceBytes) {
      const part = data.subarray(at, at + pieceBytes);
      const piece = this.#ready(this.#pieces, this.#next++ % 2, pieceBytes);
      piece.bytes.set(part);
      this.#send(to + BigInt(at), piece, part.length);
    }
  }

  /** Copies bytes that `read` puts where the GPU reads them, parts of them at once. */
  async fill(to: bigint, bytes: number, read: Read): Promise<void> {
    let next = 0;
    const reader = async (): Promise<void> => {
      const own = this.#resting.pop() ?? this.#readers++;
      try {
        for (let at = next; at < bytes; at = next) {
          const length = Math.min(partBytes, bytes - at);
          next += length;
          const piece = this.#ready(this.#parts, own, partBytes);
          await read(at, piece.bytes.subarray(0, length));
          this.#send(to + BigInt(at), piece, length);
        }
      } finally {
        this.#resting.push(own);
      }
    };
    // All of them end before the first failure is told: what they read may be closed then.
    const ends = await Promise.allSettled(Array.from({ length: Math.min(abreast, Math.ceil(bytes / partBytes)) }, reader));
    for (const e of ends) if (e.status === "rejected") throw e.reason;
  }

  close(): void {
    for (const p of [...this.#pieces.splice(0), ...this.#shared.splice(0), ...this.#parts.splice(0)]) {
      this.#driver.call("cuEventDestroy_v2", p.event);
      this.#driver.call("cuMemFreeHost", p.address);
    }
  }

  /** One after another in a piece; the GPU is done with it long before its turn comes again. */
  #small(to: bigint, data: Uint8Array): void {
    const d = this.#driver;
    let piece = this.#piece(this.#shared, this.#turn, sharedBytes);
    if (this.#at + data.length > sharedBytes) {
      d.call("cuEventRecord", piece.event, this.#stream);
      piece.used = true;
      this.#turn = 1 - this.#turn;
      this.#at = 0;
      piece = this.#piece(this.#shared, this.#turn, sharedBytes);
      if (piece.used) d.call("cuEventSynchronize", piece.event);
    }
    piece.bytes.set(data, this.#at);
    d.call("cuMemcpyHtoDAsync_v2", to, piece.address + BigInt(this.#at), data.length, this.#stream);
    this.#at += roundUp(data.length, 16);
  }
  /** A piece that the GPU is done with. */
  #ready(pieces: Piece[], i: number, size: number): Piece {
    const piece = this.#piece(pieces, i, size);
    if (piece.used) this.#driver.call("cuEventSynchronize", piece.event);
    return piece;
  }
  #send(to: bigint, piece: Piece, bytes: number): void {
    this.#driver.call("cuMemcpyHtoDAsync_v2", to, piece.address, bytes, this.#stream);
    this.#driver.call("cuEventRecord", piece.event, this.#stream);
    piece.used = true;
  }
  #piece(pieces: Piece[], i: number, size: number): Piece {
    let piece = pieces[i];
    if (!piece) {
      const address = this.#driver.made("cuMemHostAlloc", size, 0);
      const bytes = new Uint8Array(ffi().view(address, size));
      piece = { address, bytes, event: this.#driver.made("cuEventCreate", 3), used: false };
      pieces[i] = piece;
    }
    return piece;
  }
}
