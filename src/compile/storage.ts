import { numel } from "../core/type.js";
import type { Donation, Group } from "../kernel/group.js";
import type { Lifetime } from "./memory.js";
import { slotsOf } from "./order.js";
import { type Plan, readsInStep, type Slot, slotBytes, type Task } from "./plan.js";

/** Which temporaries share memory because one is written over another, and what each group writes in place. */
export interface Sharing {
  readonly inPlace: ReadonlyMap<Group, readonly Donation[]>;
  /** The slot whose memory a donated-to slot uses. */
  readonly home: (s: Slot) => Slot;
}

/** The step that reads or writes a temporary last. */
function lastUses(p: Plan, order: readonly Task[]): Map<Slot, number> {
  const last = new Map<Slot, number>();
  order.forEach((t, i) => {
    const { reads, writes } = slotsOf(p, t);
    for (const s of [...reads, ...writes]) if (s.role === "temp") last.set(s, i);
  });
  return last;
}

/** Pairs each output with an operand of equal size that dies in its step, or that is the state it replaces. */
export function donate(p: Plan, order: readonly Task[]): Sharing {
  const last = lastUses(p, order);
  const homes = new Map<Slot, Slot>();
  const home = (s: Slot): Slot => {
    let x = s;
    for (let up = homes.get(x); up; up = homes.get(x)) x = up;
    return x;
  };
  const inPlace = new Map<Group, Donation[]>();
  order.forEach(({ group }, i) => {
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
        const dies = from.role === "temp" && last.get(from) === i && !given.has(from);
        return dies && numel(x.type.shape) === s.size && readsInStep(p.fusion, group, x, output);
      });
      if (!input) continue;
      const from = p.slotOf.get(input)!;
      given.add(from);
      homes.set(s, from);
      pairs.push({ output, input });
    }
    if (pairs.length) inPlace.set(group, pairs);
  });
  return { inPlace, home };
}

/** How long each home slot must be kept, from its first writer to the last reader of anything that shares it. */
export function lifetimes(p: Plan, order: readonly Task[], home: Sharing["home"]): Map<Slot, Lifetime> {
  const out = new Map<Slot, { bytes: Lifetime["bytes"]; first: number; last: number }>();
  order.forEach((t, i) => {
    const { reads, writes } = slotsOf(p, t);
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
