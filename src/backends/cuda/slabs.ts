/** Small blocks of device memory are cut from large ones: the driver takes microseconds for each block, however small. */
import type { Source } from "../../runtime/memory.js";

const slabBytes = 2 << 20;
/** Blocks up to this size are cut. */
const smallBytes = 64 << 10;
/** Every block begins at a multiple of this. */
const align = 256;

export class Slabs implements Source<bigint> {
  readonly #source: Source<bigint>;
  readonly #slabs: bigint[] = [];
  /** Small blocks that came back, by size. */
  readonly #free = new Map<number, bigint[]>();
  #at = slabBytes;

  constructor(source: Source<bigint>) {
    this.#source = source;
  }

  take(bytes: number): bigint | undefined {
    if (bytes > smallBytes) return this.#source.take(bytes);
    const size = Math.ceil(bytes / align) * align;
    const old = this.#free.get(size)?.pop();
    if (old !== undefined) return old;
    if (this.#at + size > slabBytes) {
      const slab = this.#source.take(slabBytes);
      if (slab === undefined) return undefined;
      this.#slabs.push(slab);
      this.#at = 0;
    }
    const block = this.#slabs[this.#slabs.length - 1]! + BigInt(this.#at);
    this.#at += size;
    return block;
  }
  give(block: bigint, bytes: number): void {
    if (bytes > smallBytes) {
      this.#source.give(block, bytes);
      return;
    }
    const size = Math.ceil(bytes / align) * align;
    const list = this.#free.get(size) ?? [];
    this.#free.set(size, list);
    list.push(block);
  }
  available(): number {
    return this.#source.available!();
  }
  /** Gives all slabs back; nothing may be in use. */
  close(): void {
    for (const slab of this.#slabs.splice(0)) this.#source.give(slab, slabBytes);
    this.#free.clear();
    this.#at = slabBytes;
  }
}
