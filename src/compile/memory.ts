import { add, ceilDiv, type Dim, hi, max, mul, sub } from "../core/expr.js";
import { roundUp } from "../core/numbers.js";
import { typical } from "./order.js";

/** Bytes that must not be overwritten between two steps, both included. */
export interface Lifetime {
  readonly bytes: Dim;
  readonly first: number;
  readonly last: number;
}

/** Where each lifetime lies, in the order they were given, and the size of the arena. */
export interface MemoryPlan {
  readonly offsets: readonly Dim[];
  readonly arena: Dim;
}

/** Every offset is a multiple of this many bytes, or of more where a device asks for more. */
const alignment = 64;

/**
 * Places lifetimes in one arena so that those that overlap in time do not overlap in bytes. Known sizes are placed largest first into
 * the lowest gap that fits; symbolic sizes share slots, in order of time, above them. Known sizes keep clear of multiples of `piece`
 * bytes, or begin at one where they are larger.
 */
export function planMemory(all: readonly Lifetime[], multiple: number = alignment, piece: number = Number.POSITIVE_INFINITY): MemoryPlan {
  const lifetimes = all.map((x) => ({ ...x, bytes: mul(ceilDiv(x.bytes, multiple), multiple) }));
  const offsets = new Array<Dim>(lifetimes.length).fill(0);
  const known: number[] = [];
  const symbolic: number[] = [];
  lifetimes.forEach((x, i) => {
    if (x.bytes === 0) return;
    (typeof x.bytes === "number" ? known : symbolic).push(i);
  });
  const quick = known.length > 3000 ? inOrderOfTime(lifetimes, known, offsets) : Number.POSITIVE_INFINITY;
  const base = Number.isFinite(quick) && quick <= piece ? quick : largestFirst(lifetimes, known, offsets, piece);
  const arena = shareSlots(lifetimes, symbolic, offsets, base);
  return { offsets, arena };
}

/** Largest first, each into the lowest gap between what overlaps with it in time. */
function largestFirst(all: readonly Lifetime[], which: readonly number[], offsets: Dim[], piece: number): number {
  const size = (i: number): number => all[i]!.bytes as number;
  const placed: number[] = [];
  let arena = 0;
  for (const i of which.toSorted((a, b) => size(b) - size(a) || all[a]!.first - all[b]!.first)) {
    const { first, last } = all[i]!;
    const clear = (from: number): number => (piece - (from % piece) < size(i) ? roundUp(from, piece) : from);
    let at = 0;
    let where = placed.length;
    for (let k = 0; k < placed.length; k++) {
      const p = placed[k]!;
      if (all[p]!.last < first || all[p]!.first > last) continue;
      const start = offsets[p] as number;
      if (start - clear(at) >= size(i)) break;
      at = Math.max(at, start + size(p));
    }
    at = clear(at);
    offsets[i] = at;
    // Keep `placed` sorted by offset.
    let low = 0;
    while (low < where) {
      const mid = (low + where) >> 1;
      if ((offsets[placed[mid]!] as number) < at) low = mid + 1;
      else where = mid;
    }
    placed.splice(low, 0, i);
    arena = Math.max(arena, at + size(i));
  }
  return arena;
}

/** The smallest free range that fits, as time goes by: for programs with very many temporaries. */
function inOrderOfTime(all: readonly Lifetime[], which: readonly number[], offsets: Dim[]): number {
  const size = (i: number): number => all[i]!.bytes as number;
  const starts = which.toSorted((a, b) => all[a]!.first - all[b]!.first);
  const ends = which.toSorted((a, b) => all[a]!.last - all[b]!.last);
  const free: { at: number; size: number }[] = [];
  let arena = 0;
  let e = 0;
  const release = (at: number, bytes: number): void => {
    let k = free.findIndex((f) => f.at > at);
    if (k < 0) k = free.length;
    free.splice(k, 0, { at, size: bytes });
    const [prev, here, next] = [free[k - 1], free[k]!, free[k + 1]];
    if (next && here.at + here.size === next.at) {
      here.size += next.size;
      free.splice(k + 1, 1);
    }
    if (prev && prev.at + prev.size === here.at) {
      prev.size += here.size;
      free.splice(k, 1);
    }
  };
  for (const i of starts) {
    for (; e < ends.length && all[ends[e]!]!.last < all[i]!.first; e++) release(offsets[ends[e]!] as number, size(ends[e]!));
    let best: { at: number; size: number } | undefined;
    for (const f of free) if (f.size >= size(i) && (!best || f.size < best.size)) best = f;
    if (best) {
      offsets[i] = best.at;
      best.at += size(i);
      best.size -= size(i);
      if (best.size === 0) free.splice(free.indexOf(best), 1);
    } else {
      const tail = free.at(-1);
      const at = tail && tail.at + tail.size === arena ? tail.at : arena;
      if (at !== arena) free.pop();
      offsets[i] = at;
      arena = at + size(i);
    }
  }
  return arena;
}

interface SharedSlot {
  size: Dim;
  typical: number;
  freeAfter: number;
  readonly members: number[];
}
/** Symbolic sizes: a slot is reused once its value is dead, by a value that provably fits or whose typical size is near. */
function shareSlots(all: readonly Lifetime[], which: readonly number[], offsets: Dim[], base: number): Dim {
  const slots: SharedSlot[] = [];
  for (const i of which.toSorted((a, b) => all[a]!.first - all[b]!.first || typical(all[b]!.bytes) - typical(all[a]!.bytes))) {
    const { bytes, first, last } = all[i]!;
    const about = typical(bytes);
    let best: SharedSlot | undefined;
    let score = Number.POSITIVE_INFINITY;
    for (const s of slots) {
      if (s.freeAfter >= first) continue;
      const waste = s.size === bytes ? -1 : hi(sub(bytes, s.size)) <= 0 ? s.typical - about : 2 * Math.abs(s.typical - about);
      if (waste < score) {
        score = waste;
        best = s;
      }
    }
    if (best && score <= 2 * about) {
      if (best.size !== bytes && hi(sub(bytes, best.size)) > 0) best.size = max(best.size, bytes);
      best.typical = Math.max(best.typical, about);
      best.freeAfter = last;
      best.members.push(i);
    } else slots.push({ size: bytes, typical: about, freeAfter: last, members: [i] });
  }
  let at: Dim = base;
  for (const s of slots) {
    for (const i of s.members) offsets[i] = at;
    at = add(at, s.size);
  }
  return at;
}
