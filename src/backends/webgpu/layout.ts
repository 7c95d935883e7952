/** How buffers are bound: whole vectors where every store writes whole vectors, atomics where words are written in part. */
import { bytesOf, isWide } from "../../core/dtype.js";
import { hi } from "../../core/expr.js";
import type { Buffer } from "../../kernel/kernel.js";

/** Words (values, in workgroup memory) of an element of a binding, and whether several threads write a word of it. */
export interface Layout {
  readonly width: 1 | 2 | 4;
  readonly atomic: boolean;
}
/** Nothing is known yet. */
export const plain: Layout = { width: 1, atomic: true };

/** A buffer as it is declared. */
export interface Storage extends Buffer, Layout {
  /** Bindings that it takes, and bytes of all but the last. */
  readonly chunks: number;
  readonly chunkBytes: number;
}

/** Whether several elements share a word. */
export const isPacked = (b: Buffer): boolean => b.space === "global" && bytesOf(b.dtype) < 4;
/** Elements of a word; workgroup memory has a word for each. */
export const perWord = (b: Buffer): number => (isPacked(b) ? 4 / bytesOf(b.dtype) : 1);

/** What a kernel's text does with its buffers, found by printing it once. */
export class Accesses {
  readonly #words = new Map<string, { loads: number; store: number; atomic: boolean }>();
  #of(b: Buffer): { loads: number; store: number; atomic: boolean } {
    let a = this.#words.get(b.name);
    if (!a) {
      a = { loads: 0, store: 0, atomic: false };
      this.#words.set(b.name, a);
    }
    return a;
  }
  load(b: Buffer, lanes: number): void {
    const a = this.#of(b);
    a.loads = Math.max(a.loads, lanes / perWord(b));
  }
  store(b: Buffer, lanes: number): void {
    const a = this.#of(b);
    const words = lanes / perWord(b);
    if (words < 1) a.atomic = true;
    a.store = Math.min(a.store || 4, words);
    a.loads = Math.max(a.loads, words);
  }
  atomic(b: Buffer): void {
    this.#of(b).atomic = true;
  }
  /** The widest vectors that no store writes in part: a store into part of a vector may write all of it. */
  layout(b: Buffer): Layout {
    const a = this.#words.get(b.name);
    if (!a || a.atomic) return { width: 1, atomic: a !== undefined };
    const isValue = b.dtype !== "bool" && !isWide(b.dtype);
    const most = b.space === "reg" || (b.space === "shared" && !isValue) || isWide(b.dtype) ? 1 : Math.min(a.loads, a.store || 4);
    return { width: most >= 4 ? 4 : most >= 2 ? 2 : 1, atomic: false };
  }
}
/** Elements that a workgroup array is declared with. */
export const sharedLength = (b: Storage): number => Math.ceil(hi(b.size) / b.width);
