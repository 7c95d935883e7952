import { InternalError } from "../core/errors.js";
import { type Dim, evaluate, hi, lo, variables } from "../core/expr.js";
import { type Plan, type Slot, slotBytes, type Task } from "./plan.js";

/** A typical value of a size: symbolic dims count as 64, or as what of their range is nearest. */
export function typical(d: Dim): number {
  if (typeof d === "number") return d;
  const values: Record<string, number> = {};
  for (const [name, v] of variables(d)) values[name] = Math.min(hi(v), Math.max(lo(v), 64));
  return evaluate(d, values);
}

/** Buffers that a task reads, and those that it writes. */
export function slotsOf(p: Plan, t: Task): { readonly reads: readonly Slot[]; readonly writes: readonly Slot[] } {
  if (!t.group) return { reads: [t.from!], writes: [t.to!] };
  return { reads: t.group.inputs.map((n) => p.slotOf.get(n)!), writes: t.group.outputs.map((n) => p.slotOf.get(n)!) };
}

/**
 * An execution order that keeps memory low: of the tasks that are ready, the one whose temporaries grow least goes first, where a
 * value is freed by its last reader and a step that follows at once without new temporaries counts as part of the task.
 */
export function orderTasks(p: Plan): Task[] {
  const bytes = new Map<Slot, number>();
  const reads = new Map<Task, readonly Slot[]>();
  const pending = new Map<Slot, Set<Task>>();
  const grows = new Map<Task, number>();
  p.tasks.forEach((t) => {
    const s = slotsOf(p, t);
    const temps = [...new Set(s.reads.filter((x) => x.role === "temp"))];
    reads.set(t, temps);
    for (const x of temps) {
      const readers = pending.get(x);
      if (readers) readers.add(t);
      else pending.set(x, new Set([t]));
    }
    let sum = 0;
    for (const x of s.writes) {
      if (x.role !== "temp") continue;
      bytes.set(x, typical(slotBytes(x)));
      sum += bytes.get(x)!;
    }
    grows.set(t, sum);
  });
  const freed = (t: Task): number => reads.get(t)!.reduce((sum, x) => sum + (pending.get(x)!.size === 1 ? (bytes.get(x) ?? 0) : 0), 0);
  /** What a reader frees that becomes ready by this task and writes no temporary. */
  const followUp = (t: Task): number => {
    let best = 0;
    for (const u of t.after) {
      if (grows.get(u) !== 0 || [...u.before].some((b) => b !== t && !done.has(b))) continue;
      const own = slotsOf(p, t).writes.filter((x) => x.role === "temp" && pending.get(x)?.size === 1 && pending.get(x)!.has(u));
      best = Math.max(
        best,
        own.reduce((sum, x) => sum + bytes.get(x)!, 0),
      );
    }
    return best;
  };
  const done = new Set<Task>();
  const index = new Map(p.tasks.map((t, i) => [t, i]));
  const waiting = new Map(p.tasks.map((t) => [t, t.before.size]));
  const heap = new Heap();
  const push = (t: Task): void => heap.push({ task: t, key: grows.get(t)! - freed(t) - followUp(t), index: index.get(t)! });
  const ready = new Set<Task>();
  const makeReady = (t: Task): void => {
    ready.add(t);
    push(t);
  };
  for (const t of p.tasks) if (t.before.size === 0) makeReady(t);
  const out: Task[] = [];
  for (let entry = heap.pop(); entry; entry = heap.pop()) {
    const { task } = entry;
    if (!ready.delete(task)) continue;
    done.add(task);
    out.push(task);
    for (const x of reads.get(task)!) {
      const left = pending.get(x)!;
      left.delete(task);
      if (left.size === 1) for (const last of left) if (ready.has(last)) push(last);
    }
    for (const u of task.after) {
      const n = waiting.get(u)! - 1;
      waiting.set(u, n);
      if (n === 0) makeReady(u);
    }
  }
  if (out.length !== p.tasks.length) throw new InternalError("compile: the steps of the program wait for each other");
  return out;
}

interface Entry {
  readonly task: Task;
  readonly key: number;
  readonly index: number;
}
const first = (a: Entry, b: Entry): boolean => a.key < b.key || (a.key === b.key && a.index < b.index);

/** A binary heap; stale entries are skipped by its user. */
class Heap {
  private readonly list: Entry[] = [];
  push(e: Entry): void {
    const list = this.list;
    let i = list.push(e) - 1;
    while (i > 0) {
      const up = (i - 1) >> 1;
      if (!first(e, list[up]!)) break;
      list[i] = list[up]!;
      i = up;
    }
    list[i] = e;
  }
  pop(): Entry | undefined {
    const list = this.list;
    const top = list[0];
    const e = list.pop();
    if (!top || !e || list.length === 0) return top;
    let i = 0;
    for (;;) {
      let next = 2 * i + 1;
      if (next >= list.length) break;
      if (next + 1 < list.length && first(list[next + 1]!, list[next]!)) next++;
      if (!first(list[next]!, e)) break;
      list[i] = list[next]!;
      i = next;
    }
    list[i] = e;
    return top;
  }
}
