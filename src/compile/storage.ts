import type { Donation, Group } from "../kernel/group.js";
import type { Lifetime } from "./memory.js";
import { slotsOf } from "./order.js";
import { type Plan, readsInStep, type Slot, slotBytes } from "./plan.js";
import type { Region } from "./regions.js";

/** Which temporaries share memory because one is written over another, and what each group writes in place. */
export interface Sharing {
  readonly inPlace: ReadonlyMap<Group, readonly Donation[]>;
  /** The slot whose memory a donated-to slot uses. */
  readonly home: (s: Slot) => Slot;
}

/** The region that reads or writes a temporary last. */
function lastUses(p: Plan, regions: readonly Region[]): Map<Slot, number> {
  const last = new Map<Slot, number>();
  regions.forEach((region, i) => {
    for (const t of region) {
      const { reads, writes } = slotsOf(p, t);
      for (const s of [...reads, ...writes]) if (s.role === "temp") last.set(s, i);
    }
  });
  return last;
}

/** Pairs each output with an operand of equal size that dies in its step, or that is the state it replaces. */
export function donate(p: Plan, regions: readonly Region[]): Sharing {
  const last = lastUses(p, regions);
  const homes = new Map<Slot, Slot>();
  const home = (s: Slot): Slot => {
    let x = s;
    for (let up = homes.get(x); up; up = homes.get(x)) x = up;
    return x;
  };
  const inPlace = new Map<Group, Donation[]>();
  const pair = ({ group }: Region[number], i: number, shared: ReadonlySet<Slot>): void => {
    if (!group || group.kind === "host") return;
    const pairs: Donation[] = [];
    const given = new Set<Slot>();
    for (const output of group.outputs) {
      const s = p.slotOf.get(output)!;
      if (s.size === 0) continue;
      if (s.role === "state") {
        if (group.inputs.includes(s.node)) pairs.push({ output, input: s.node });
        continue;
      }
      if (s.role !== "temp") continue;
      const input = group.inputs.find((x) => {
        const from = p.slotOf.get(x)!;
        const dies = from.role === "temp" && last.get(from) === i && !shared.has(from) && !given.has(from);
        return dies && from.size === s.size && from.pitch === s.pitch && readsInStep(p.fusion, group, x, output);
      });
      if (!input) continue;
      const from = p.slotOf.get(input)!;
      given.add(from);
      homes.set(s, from);
      pairs.push({ output, input });
    }
    if (pairs.length) inPlace.set(group, pairs);
  };
  regions.forEach((region, i) => {
    const shared = readTwice(p, region);
    for (const t of region) pair(t, i, shared);
  });
  return { inPlace, home };
}

/** What several tasks of a region read: none of them may write over it. */
function readTwice(p: Plan, region: Region): ReadonlySet<Slot> {
  const once = new Set<Slot>();
  const twice = new Set<Slot>();
  for (const t of region) for (const s of new Set(slotsOf(p, t).reads)) (once.has(s) ? twice : once).add(s);
  return twice;
}

/** How long each home slot must be kept, from its first writer to the last reader of anything that shares it. */
export function lifetimes(p: Plan, regions: readonly Region[], home: Sharing["home"]): Map<Slot, Lifetime> {
  const out = new Map<Slot, { bytes: Lifetime["bytes"]; first: number; last: number }>();
  regions.forEach((region, i) => {
    for (const { reads, writes } of region.map((t) => slotsOf(p, t)))
      for (const s of [...reads, ...writes]) {
        if (s.role !== "temp") continue;
        const h = home(s);
        const known = out.get(h);
        if (known) known.last = i;
        else out.set(h, { bytes: slotBytes(h), first: i, last: i });
      }
  });
  return out;
}
