/** Folds a number into a 32-bit hash. */
export function mix(hash: number, x: number): number {
  let h = Math.imul(hash ^ (x | 0), 0x9e3779b1);
  if (x > 0x7fffffff || x < -0x80000000) h = Math.imul(h ^ Math.floor(x / 4294967296), 0x85ebca6b);
  return h ^ (h >>> 15);
}

/**
 * A table of equal objects that does not keep what nobody uses: recent entries are held, older ones weakly, and dead ones are
 * swept out when they may outnumber the living. What is still in use is always found, so `===` stays equality.
 */
export class Interner<T extends { readonly hash: number }> {
  #recent = new Map<number, T | T[]>();
  #count = 0;
  readonly #old = new Map<number, WeakRef<T>[]>();
  #oldCount = 0;
  #sweepAt = generation;
  readonly #same: (a: T, b: T) => boolean;
  constructor(same: (a: T, b: T) => boolean) {
    this.#same = same;
  }

  /** The entry that equals `made`, or `made` itself, which is then the entry. */
  intern(made: T): T {
    const bucket = this.#recent.get(made.hash);
    if (bucket !== undefined) {
      if (Array.isArray(bucket)) {
        for (const x of bucket) if (this.#same(x, made)) return x;
      } else if (this.#same(bucket, made)) return bucket;
    }
    const found = this.#findOld(made) ?? made;
    if (bucket === undefined) this.#recent.set(made.hash, found);
    else if (Array.isArray(bucket)) bucket.push(found);
    else this.#recent.set(made.hash, [bucket, found]);
    if (++this.#count >= generation) this.#age();
    return found;
  }
  /** Entries that are held or may still live. */
  get size(): number {
    return this.#count + this.#oldCount;
  }

  #findOld(made: T): T | undefined {
    const refs = this.#old.get(made.hash);
    if (refs)
      for (const ref of refs) {
        const x = ref.deref();
        if (x && this.#same(x, made)) return x;
      }
    return undefined;
  }
  #age(): void {
    for (const bucket of this.#recent.values()) {
      if (Array.isArray(bucket)) for (const x of bucket) this.#keepWeakly(x);
      else this.#keepWeakly(bucket);
    }
    this.#recent = new Map();
    this.#count = 0;
    if (this.#oldCount < this.#sweepAt) return;
    let living = 0;
    for (const [hash, refs] of this.#old) {
      const left = refs.filter((r) => r.deref());
      living += left.length;
      if (left.length === 0) this.#old.delete(hash);
      else if (left.length < refs.length) this.#old.set(hash, left);
    }
    this.#oldCount = living;
    this.#sweepAt = 2 * living + generation;
  }
  #keepWeakly(x: T): void {
    const refs = this.#old.get(x.hash);
    if (refs) {
      for (const r of refs) if (r.deref() === x) return;
      refs.push(new WeakRef(x));
    } else this.#old.set(x.hash, [new WeakRef(x)]);
    this.#oldCount++;
  }
}
/** How many new entries make a generation. */
const generation = 1 << 16;
