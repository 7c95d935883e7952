/** Which launches wait for which: those that touch memory that another one writes keep their order, and all others may run at once. */

/** Memory that a launch reads or writes: bytes `from` to `to` of a buffer, or of a place that several buffers share. */
export interface Touch {
  readonly where: number;
  readonly from: number;
  readonly to: number;
  readonly writes: boolean;
}

/** For each launch the earlier ones that it waits for; those that one of these waits for are left out. */
export function waitsOf(launches: readonly (readonly Touch[])[]): number[][] {
  const words = (launches.length >> 5) + 1;
  /** Everything that a launch comes after, as bits. */
  const after: Uint32Array[] = [];
  /** Launches that touch a place, the latest last. */
  const users = new Map<number, number[]>();
  return launches.map((touches, i) => {
    const mine = new Uint32Array(words);
    const candidates = new Set<number>();
    for (const t of touches) for (const j of users.get(t.where) ?? []) candidates.add(j);
    const waits: number[] = [];
    for (const j of [...candidates].sort((a, b) => b - a)) {
      if ((mine[j >> 5]! >>> (j & 31)) & 1 || !meet(touches, launches[j]!)) continue;
      waits.push(j);
      const theirs = after[j]!;
      for (let w = 0; w < words; w++) mine[w]! |= theirs[w]!;
      mine[j >> 5]! |= 1 << (j & 31);
    }
    after.push(mine);
    for (const t of touches) {
      const list = users.get(t.where);
      if (!list) users.set(t.where, [i]);
      else if (list.at(-1) !== i) list.push(i);
    }
    return waits.reverse();
  });
}
/**
 * Launches that may begin before the one that they wait for has ended. Of each, `early` marks what it reads before it waits itself: anything that was
 * enqueued before may still run then, so nothing of that writes it. Who waits for a launch has waited for all before it: none ends before it has waited.
 */
export function earlyOf(
  launches: readonly (readonly Touch[])[],
  waits: readonly (readonly number[])[],
  early: readonly (readonly boolean[] | undefined)[],
): boolean[] {
  const written = new Set<number>();
  return launches.map((touches, i) => {
    const marks = early[i];
    const begins = marks !== undefined && waits[i]!.length === 1 && !touches.some((t, j) => marks[j] && written.has(t.where));
    for (const t of touches) if (t.writes) written.add(t.where);
    return begins;
  });
}
/** Whether one of two launches writes what the other one touches. */
function meet(a: readonly Touch[], b: readonly Touch[]): boolean {
  for (const x of a) for (const y of b) if (x.where === y.where && (x.writes || y.writes) && x.from < y.to && y.from < x.to) return true;
  return false;
}
