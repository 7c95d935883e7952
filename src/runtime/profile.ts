/** Time per step of each program, for people: TREEPIE_PROFILE=1 runs steps one by one and prints the sums when the process ends. */
import { envLevel, tell } from "../core/host.js";
import { type Sizes, valueOf } from "./encode.js";
import type { Program } from "./program.js";

/** What one step took in all calls. */
interface Spent {
  calls: number;
  ns: number;
  bytes: number;
}

/** Collects and prints times. */
export class Profile {
  readonly #programs: Map<Program, Spent[]> = new Map();
  constructor() {
    globalThis.process?.once?.("exit", () => {
      for (const p of this.#programs.keys()) tell(this.report(p));
    });
  }
  add(p: Program, step: number, ns: number, sizes: Sizes): void {
    let list = this.#programs.get(p);
    if (!list) this.#programs.set(p, (list = p.steps.map(() => ({ calls: 0, ns: 0, bytes: 0 }))));
    const spent = list[step]!;
    spent.calls++;
    spent.ns += ns;
    spent.bytes += valueOf(p.steps[step]!.note?.bytes ?? 0, sizes, "a step's bytes");
  }
  /** The steps of a program, longest first: milliseconds in all, share, calls, microseconds a call, GB/s, number and name. */
  report(p: Program): string {
    const list = this.#programs.get(p) ?? [];
    const total = list.reduce((sum, s) => sum + s.ns, 0);
    const calls = Math.max(0, ...list.map((s) => s.calls));
    const order = list.map((_, i) => i).sort((a, b) => list[b]!.ns - list[a]!.ns);
    const lines = order.map((i) => {
      const s = list[i]!;
      const cells = [
        (s.ns / 1e6).toFixed(2).padStart(10),
        `${((100 * s.ns) / Math.max(1, total)).toFixed(1)}%`.padStart(7),
        `${s.calls}`.padStart(7),
        (s.ns / 1e3 / Math.max(1, s.calls)).toFixed(1).padStart(10),
        (s.bytes / Math.max(1, s.ns)).toFixed(1).padStart(7),
        `${i}`.padStart(5),
      ];
      return `${cells.join("")}  ${p.steps[i]!.note?.label ?? ""}`;
    });
    const head = `profile of ${p.name}: ${calls} calls, ${(total / 1e6 / Math.max(1, calls)).toFixed(3)} ms each, in ${list.length} steps`;
    return [head, `${"ms".padStart(10)}  share  calls   us/call   GB/s step`, ...lines].join("\n");
  }
}

/** The profile that TREEPIE_PROFILE asks for. */
export function profile(): Profile | undefined {
  return envLevel("TREEPIE_PROFILE") >= 1 ? new Profile() : undefined;
}
