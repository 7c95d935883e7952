import { bytesOf } from "../core/dtype.js";
import { InternalError } from "../core/errors.js";
import { type Dim, evaluate, variables } from "../core/expr.js";
import type { Program } from "./program.js";
import { regionsOf, stepBuffers } from "./steps.js";

interface Live {
  readonly buffer: number;
  readonly first: number;
  readonly last: number;
  readonly start: number;
  readonly end: number;
}

/**
 * Checks that no step overwrites a temporary that a later step reads, for given sizes of the program's dims: temporaries alive at the
 * same time lie apart, except that one may be written over another of the same place and size that its step reads last. Throws
 * InternalError naming the two buffers.
 */
export function checkArena(p: Program, dims: readonly number[]): void {
  const values = Object.fromEntries(p.dims.map((d, i) => [d.name, dims[i]!]));
  const value = (d: Dim): number => evaluate(d, values);
  const first = new Map<number, number>();
  const last = new Map<number, number>();
  regionsOf(p.steps).forEach(([from, to], at) => {
    for (let i = from; i < to; i++) {
      const { reads, writes } = stepBuffers(p, p.steps[i]!);
      for (const b of [...reads, ...writes]) {
        if (p.buffers[b]!.role !== "temp" || value(p.buffers[b]!.size) === 0) continue;
        if (!first.has(b)) {
          if (!writes.includes(b)) throw new InternalError(`${p.name}: step ${i} reads temporary ${b}, which no step has written`);
          first.set(b, at);
        }
        last.set(b, at);
      }
    }
  });
  const arena = value(p.arena);
  const list: Live[] = [...first].map(([buffer, f]) => {
    const plan = p.buffers[buffer]!;
    const start = value(plan.offset ?? 0);
    const end = start + value(plan.size) * bytesOf(plan.dtype);
    if (start < 0 || end > arena) throw new InternalError(`${p.name}: temporary ${buffer} ends at byte ${end} of an arena of ${arena}`);
    return { buffer, first: f, last: last.get(buffer)!, start, end };
  });
  list.sort((a, b) => a.first - b.first);
  // Alive now, by where they start.
  let alive: Live[] = [];
  for (const x of list) {
    alive = alive.filter((a) => a.last >= x.first);
    for (const a of alive) {
      const apart = a.end <= x.start || x.end <= a.start;
      const handedOver = a.last === x.first && a.start === x.start && a.end === x.end && a.first < x.first;
      if (!apart && !handedOver && x.end > x.start && a.end > a.start) {
        throw new InternalError(
          `${p.name}: temporaries ${a.buffer} and ${x.buffer} overlap while regions ${x.first} to ${a.last} need both`,
        );
      }
    }
    alive.push(x);
  }
}

/** Sizes at which a program with symbolic dims is checked: the ends of each range, and some between. */
export function sampleDims(p: Program): number[][] {
  const free = new Set([...variables(p.arena).keys()]);
  const pick = (k: number): number[] =>
    p.dims.map((d, i) => {
      if (!free.has(d.name)) return d.min;
      const high = Math.min(d.max, 1 << 20);
      return k === 0 ? d.min : k === 1 ? high : Math.min(high, d.min + ((k * 37 + i * 11) % Math.max(1, Math.min(high - d.min + 1, 300))));
    });
  return p.dims.length ? [0, 1, 2, 3, 4, 5].map(pick) : [[]];
}
