/** Runs a Kernel statement by statement, as its meaning says: the oracle for lowerings and printers where no compiler is. */
import { computeDType } from "../../core/dtype.js";
import { evaluate } from "../../core/expr.js";
import { type HostData, hostData } from "../../core/ndarray.js";
import type { Buffer, Kernel } from "../kernel.js";
import { Code } from "./code.js";
import { block } from "./statements.js";
import type { Brought, Meeting, Signal, Step, Thread } from "./thread.js";

/** Runs every grid point. `args` are the global buffers in order, changed in place; every index is checked. */
export function interpretKernel(k: Kernel, args: readonly HostData[], dims: Readonly<Record<string, number>> = {}): void {
  const code = new Code(k);
  const slots = { pid: code.slot("pid"), tid: code.slot("tid") };
  const named = Object.entries(dims).map(([name, x]) => [code.slot(name), x] as const);
  const body = block(code, k.body);
  const globals = k.buffers.filter((b) => b.space === "global");
  const given = new Map(globals.map((b, i) => [b, args[i]!]));
  const points = evaluate(k.grid, dims);
  for (let pid = 0; pid < points; pid++) {
    const sizes = { ...dims, pid };
    const made = (space: Buffer["space"]): ReadonlyMap<Buffer, HostData> =>
      new Map(k.buffers.filter((b) => b.space === space).map((b) => [b, memory(b, evaluate(b.size, sizes))]));
    const shared = made("shared");
    const signals = k.buffers.map((b) =>
      b.space === "signal"
        ? Array.from({ length: evaluate(b.size, sizes) }, (): Signal => ({ left: 0, bytes: 0, phase: 0, arrivals: 0 }))
        : undefined,
    );
    const threads = Array.from({ length: k.threads }, (_, tid): Thread => {
      const own = made("reg");
      const scope = new Float64Array(code.slotCount).fill(Number.NaN);
      for (const [slot, x] of named) scope[slot] = x;
      scope[slots.pid] = pid;
      scope[slots.tid] = tid;
      const store = k.buffers.map((b) => given.get(b) ?? shared.get(b) ?? own.get(b));
      return { scope, values: [], store, signals, tiles: new Map(), tid };
    });
    if (body.meets)
      sideBySide(
        threads.map((t) => body.run(t)),
        code,
      );
    else for (const t of threads) body.run(t);
  }
}
/** Memory in which nothing was written yet: what is there must not be relied on. */
function memory({ dtype }: Buffer, size: number): HostData {
  const data = hostData(computeDType(dtype), size);
  if (data instanceof Float64Array) data.fill(computeDType(dtype)[0] === "f" ? Number.NaN : 77);
  return data;
}

/** Runs threads side by side: each goes on until it meets the others of its group. */
function sideBySide(threads: readonly Step[], code: Code): void {
  const at = threads.map((t): Meeting | undefined => step(t));
  for (;;) {
    if (at.every((m) => m === undefined)) return;
    let moved = false;
    for (let i = 0, end = 1; i < threads.length; i = end) {
      const m = at[i];
      const size = m?.size ?? 1;
      const first = Math.floor(i / size) * size;
      end = first + size;
      if (!m || m.ready?.() === false) continue;
      const group = at.slice(first, end);
      if (!group.every((x) => x?.what === m.what)) continue;
      const brought = group.map((x) => x?.brings ?? []);
      for (let j = first; j < end; j++) at[j] = step(threads[j]!, brought);
      moved = true;
    }
    if (!moved) throw code.fault("threads wait for each other at different barriers");
  }
}
function step(thread: Step, brought: Brought = []): Meeting | undefined {
  const { done, value } = thread.next(brought);
  return done ? undefined : (value as Meeting);
}
