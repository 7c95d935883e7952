/** How buffers are bound: whole vectors where every store writes whole vectors, atomics where words are written in part. */
import { bytesOf, type DType, isWide } from "../../core/dtype.js";
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
  /** Bindings that it takes, the number of the first, where it is bound in chunks, and bytes of all but the last. */
  readonly chunks: number;
  readonly first: number | undefined;
  readonly chunkBytes: number;
  /** Whether several elements share a word. */
  readonly packed: boolean;
}

/** Whether several elements share a word; workgroup memory has a word for each. */
export const isPacked = (b: Buffer, packed: ReadonlySet<DType> | undefined): boolean =>
  b.space === "global" && packed?.has(b.dtype) === true;
/** Elements that are written as one: those of a word where they are packed. */
export const perWord = (b: Pick<Storage, "packed" | "dtype">): number => (b.packed ? 4 / bytesOf(b.dtype) : 1);
/** Whether elements are WGSL's own f16. */
export const isOwnHalf = (b: Storage): boolean => b.space === "global" && b.dtype === "f16" && !b.packed;
/** Bytes of a scalar of a declaration in memory. */
export const scalarBytes = (b: Storage): number => (isWide(b.dtype) ? 8 : isOwnHalf(b) ? 2 : 4);

/** What a kernel's text does with its buffers, found by printing it once. */
export class Accesses {
  readonly #packed: ReadonlySet<DType> | undefined;
  readonly #words = new Map<string, { loads: number; store: number; atomic: boolean }>();
  constructor(packed: ReadonlySet<DType> | undefined) {
    this.#packed = packed;
  }
  #units(b: Buffer, lanes: number): number {
    return lanes / perWord({ dtype: b.dtype, packed: isPacked(b, this.#packed) });
  }
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
    a.loads = Math.max(a.loads, this.#units(b, lanes));
  }
  store(b: Buffer, lanes: number): void {
    const a = this.#of(b);
    const words = this.#units(b, lanes);
    if (words < 1) a.atomic = true;
    a.store = Math.min(a.store || 4, words);
    a.loads = Math.max(a.loads, words);
  }
  /** Tiles of a matrix unit name scalars. */
  tile(b: Buffer): void {
    this.#of(b).store = 1;
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
