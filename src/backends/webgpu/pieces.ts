/// <reference types="@webgpu/types" />
/** Memory of a device: one buffer, or several of equal size where it is larger than a buffer may be. */

export interface Pieces {
  readonly buffers: readonly GPUBuffer[];
  /** Bytes of every buffer but the last: a power of two, so that chunks of kernels lie in one each. */
  readonly pieceBytes: number;
}
/** Where bytes lie. */
export interface Place {
  readonly pieces: Pieces;
  readonly offset: number;
}
export const samePlace = (a: Place, b: Place): boolean => a.pieces === b.pieces && a.offset === b.offset;

/** Memory of so many bytes, `most` in a buffer. */
export function makePieces(bytes: number, most: number, make: (bytes: number) => GPUBuffer): Pieces {
  if (bytes <= most) return { buffers: [make(bytes)], pieceBytes: bytes };
  const pieceBytes = 2 ** Math.floor(Math.log2(most));
  const count = Math.ceil(bytes / pieceBytes);
  return { buffers: Array.from({ length: count }, (_, i) => make(Math.min(pieceBytes, bytes - i * pieceBytes))), pieceBytes };
}

/** Part of one buffer. */
export interface Range {
  readonly buffer: GPUBuffer;
  readonly offset: number;
  readonly size: number;
}
/** Bytes of a place as parts of buffers, none of them longer than `longest`. */
export function rangesOf({ pieces, offset }: Place, from: number, bytes: number, longest: number = Number.POSITIVE_INFINITY): Range[] {
  const out: Range[] = [];
  const end = offset + from + bytes;
  for (let at = offset + from; at < end; ) {
    const i = Math.min(pieces.buffers.length - 1, Math.floor(at / pieces.pieceBytes));
    const begin = i * pieces.pieceBytes;
    const size = Math.min(longest, end - at, i + 1 < pieces.buffers.length ? begin + pieces.pieceBytes - at : end - at);
    out.push({ buffer: pieces.buffers[i]!, offset: at - begin, size });
    at += size;
  }
  return out;
}
