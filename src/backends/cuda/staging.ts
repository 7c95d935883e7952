/** Bytes on their way to the GPU: through memory that the GPU can read by itself, so that copies run while the host goes on. */
import { ffi } from "../../runtime/ffi.js";
import type { Driver } from "./driver.js";

/** The driver itself keeps a copy of transfers up to this size. */
const smallBytes = 64 << 10;
const pieceBytes = 8 << 20;

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
  #next = 0;

  constructor(driver: Driver, stream: bigint) {
    this.#driver = driver;
    this.#stream = stream;
  }

  /** Copies bytes into device memory, in the stream's order; they may change once this has returned. */
  upload(to: bigint, data: Uint8Array): void {
    const d = this.#driver;
    if (data.length <= smallBytes) {
      if (data.length) d.call("cuMemcpyHtoDAsync_v2", to, data, data.length, this.#stream);
      return;
    }
    for (let at = 0; at < data.length; at += pieceBytes) {
      const part = data.subarray(at, at + pieceBytes);
      const piece = this.#piece();
      if (piece.used) d.call("cuEventSynchronize", piece.event);
      piece.bytes.set(part);
      d.call("cuMemcpyHtoDAsync_v2", to + BigInt(at), piece.address, part.length, this.#stream);
      d.call("cuEventRecord", piece.event, this.#stream);
      piece.used = true;
    }
  }

  close(): void {
    for (const p of this.#pieces.splice(0)) {
      this.#driver.call("cuEventDestroy_v2", p.event);
      this.#driver.call("cuMemFreeHost", p.address);
    }
  }

  #piece(): Piece {
    const i = this.#next++ % 2;
    let piece = this.#pieces[i];
    if (!piece) {
      const address = this.#driver.made("cuMemHostAlloc", pieceBytes, 0);
      const bytes = new Uint8Array(ffi().view(address, pieceBytes));
      piece = { address, bytes, event: this.#driver.made("cuEventCreate", 3), used: false };
      this.#pieces[i] = piece;
    }
    return piece;
  }
}
