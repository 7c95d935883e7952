/**
 * What a recording rests on besides its arguments. Handles of tensors and fields of modules tell when they change (see `changed`), and
 * are compared only then; everything else is asked for before each call.
 */
import type { Cell } from "../cell.js";
import type { Tensor } from "../tensor.js";

/** A plain value, and how it is read again. */
interface Asked {
  readonly read: () => unknown;
  readonly was: unknown;
}

export class Guards {
  readonly #tensors: Tensor[] = [];
  readonly #leaves: boolean[] = [];
  readonly #cells: Cell[] = [];
  readonly #owners: Readonly<Record<string, unknown>>[] = [];
  readonly #fields: string[] = [];
  readonly #values: unknown[] = [];
  readonly #asked: Asked[] = [];

  /** That a tensor is a handle of the same cell, and requires gradients or does not. It is watched from now on. */
  handle(t: Tensor): void {
    t.watched = true;
    this.#tensors.push(t);
    this.#leaves.push(t.isGradLeaf);
    this.#cells.push(t.cell);
  }
  /** The value of an object's field. */
  field(owner: object, field: string, value: unknown): void {
    // What is in a list or a plain object changes without a word, unless it is frozen.
    if (hasEntries(value)) this.asked(() => (owner as Record<string, unknown>)[field], value);
    else {
      this.#owners.push(owner as Record<string, unknown>);
      this.#fields.push(field);
      this.#values.push(value);
    }
  }
  /** A value that has to be asked for. */
  asked(read: () => unknown, now: unknown): void {
    this.#asked.push({ read, was: snapshot(now) });
  }

  /** Whether what tells of changes is what it was. */
  watchedHold(): boolean {
    for (let i = 0; i < this.#tensors.length; i++) {
      const t = this.#tensors[i]!;
      if (t.isGradLeaf !== this.#leaves[i] || t.cell !== this.#cells[i]) return false;
    }
    for (let i = 0; i < this.#owners.length; i++) if (!Object.is(this.#owners[i]![this.#fields[i]!], this.#values[i])) return false;
    return true;
  }
  /** Whether what has to be asked for is what it was. */
  askedHold(): boolean {
    for (let i = 0; i < this.#asked.length; i++) if (!unchanged(this.#asked[i]!.read(), this.#asked[i]!.was)) return false;
    return true;
  }
}

const isRecord = (x: unknown): x is Readonly<Record<string, unknown>> =>
  x !== null && typeof x === "object" && Object.getPrototypeOf(x) === Object.prototype;
const hasEntries = (x: unknown): boolean => (Array.isArray(x) || isRecord(x)) && !Object.isFrozen(x);
/** What a guard compares: lists and plain objects by their entries, everything else by identity. */
const snapshot = (x: unknown): unknown => (Array.isArray(x) ? x.slice() : isRecord(x) ? { ...x } : x);
/** Whether a value is still what `snapshot` saw. */
const unchanged = (now: unknown, was: unknown): boolean => Object.is(now, was) || sameEntries(now, was);
function sameEntries(now: unknown, was: unknown): boolean {
  if (Array.isArray(was)) {
    if (!Array.isArray(now) || now.length !== was.length) return false;
    for (let i = 0; i < was.length; i++) if (!Object.is(now[i], was[i])) return false;
    return true;
  }
  if (!isRecord(was) || !isRecord(now)) return false;
  let more = 0;
  for (const k in was) {
    if (!Object.is(now[k], was[k])) return false;
    more--;
  }
  for (const _ in now) more++;
  return more === 0;
}
