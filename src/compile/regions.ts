import { slotsOf, typical } from "./order.js";
import { type Plan, type Slot, slotBytes, type Task } from "./plan.js";

/** Tasks of which none needs another's results: a device may run them side by side, without a barrier between them. */
export type Region = readonly Task[];

/** How far ahead in the order a task may be taken from, and how many tasks run side by side at most. */
const window = 96;
const mostTasks = 64;
/** Bytes of new temporaries that never keep a task from being taken ahead. */
const small = 1 << 16;

/**
 * Cuts an order into regions. A task is taken ahead of its turn where everything it needs is there, where it fits into the memory that
 * the plain order needs at its peak, or `beyond` that, and where what it reads is warm (another task of the region, or the region before, touched it) or
 * it writes next to nothing. Barriers become fewer, and the tail of one task is filled by the next.
 */
export function regionsOf(p: Plan, order: readonly Task[], beyond = 0): Region[] {
  const memory = new Live(p, order);
  const peak = memory.peakOf(order) + beyond;
  const done = new Set<Task>();
  const regions: Region[] = [];
  let warm: ReadonlySet<Slot> = new Set();
  for (let at = 0; at < order.length; at++) {
    const seed = order[at]!;
    if (done.has(seed)) continue;
    const region = [seed];
    const { reads, writes } = slotsOf(p, seed);
    const touched = new Set([...reads, ...writes]);
    let bytes = memory.bytes + memory.growth(seed);
    const alone = seed.group?.kind === "host";
    for (let i = at + 1; !alone && i < order.length && i < at + window && region.length < mostTasks; i++) {
      const t = order[i]!;
      if (done.has(t) || t.group?.kind === "host" || [...t.before].some((b) => !done.has(b))) continue;
      const growth = memory.growth(t);
      if (growth > 0 && bytes + growth > peak) continue;
      const own = slotsOf(p, t);
      if (growth > small && !own.reads.some((s) => touched.has(s) || warm.has(s))) continue;
      region.push(t);
      bytes += growth;
      for (const s of [...own.reads, ...own.writes]) touched.add(s);
    }
    for (const t of region) done.add(t);
    memory.run(region);
    warm = new Set(region.flatMap((t) => slotsOf(p, t).writes));
    regions.push(region);
  }
  return regions;
}

/** Bytes of temporaries that are alive, as tasks run. */
class Live {
  readonly #p: Plan;
  readonly #readers = new Map<Slot, number>();
  readonly #left = new Map<Slot, number>();
  bytes = 0;
  constructor(p: Plan, order: readonly Task[]) {
    this.#p = p;
    for (const t of order) for (const s of this.#temps(slotsOf(p, t).reads)) this.#readers.set(s, (this.#readers.get(s) ?? 0) + 1);
    this.#reset();
  }
  /** Bytes of the temporaries that a task writes. */
  growth(t: Task): number {
    return this.#temps(slotsOf(this.#p, t).writes).reduce((sum, s) => sum + typical(slotBytes(s)), 0);
  }
  /** The tasks have run: what they wrote is alive, what nobody else reads is not. */
  run(region: Region): void {
    for (const t of region) this.bytes += this.growth(t);
    for (const t of region)
      for (const s of this.#temps(slotsOf(this.#p, t).reads)) {
        const left = this.#left.get(s)! - 1;
        this.#left.set(s, left);
        if (left === 0) this.bytes -= typical(slotBytes(s));
      }
  }
  /** Most bytes alive at once when tasks run one after another. */
  peakOf(order: readonly Task[]): number {
    let peak = 0;
    for (const t of order) {
      peak = Math.max(peak, this.bytes + this.growth(t));
      this.run([t]);
    }
    this.#reset();
    return peak;
  }
  #reset(): void {
    this.bytes = 0;
    for (const [s, n] of this.#readers) this.#left.set(s, n);
  }
  #temps(slots: readonly Slot[]): Slot[] {
    return [...new Set(slots)].filter((s) => s.role === "temp");
  }
}
