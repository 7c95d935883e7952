/** Bytes on their way to the GPU: through memory that the GPU can read by itself, so that copies run while the host goes on. */
import { roundUp } from "../../core/numbers.js";
import { ffi } from "../../runtime/ffi.js";
import type { Driver } from "./driver.js";

/** Transfers up to this size share a piece. */
const smallBytes = 64 << 10;
const pieceBytes = 8 << 20;
const sharedBytes = 1 << 20;

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
  #next = 0;
  #turn = 0;
  #at = 0;

  constructor(driver: Driver, stream: bigint) {
    this.#driver = driver;
    this.#stream = stream;
  }

  /** Copies bytes into device memory, in the stream's order; they may change once this has returned. */
  upload(to: bigint, data: Uint8Array): void {
    if (data.length > smallBytes) this.fill(to, data.length, (at, into) => into.set(data.subarray(at, at + into.length)));
    else if (data.length) this.#small(to, data);
  }
  /** The same with bytes that `read` puts where the GPU reads them. */
  fill(to: bigint, bytes: number, read: (at: number, into: Uint8Array) => void): void {
    const d = this.#driver;
    for (let at = 0; at < bytes; at += pieceBytes) {
      const length = Math.min(pieceBytes, bytes - at);
      const piece = this.#piece(this.#pieces, this.#next++ % 2, pieceBytes);
      if (piece.used) d.call("cuEventSynchronize", piece.event);
      read(at, piece.bytes.subarray(0, length));
      d.call("cuMemcpyHtoDAsync_v2", to + BigInt(at), piece.address, length, this.#stream);
      d.call("cuEventRecord", piece.event, this.#stream);
      piece.used = true;
    }
  }

  close(): void {
    for (const p of [...this.#pieces.splice(0), ...this.#shared.splice(0)]) {
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
