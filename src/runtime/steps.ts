import { buffersOf } from "./attention.js";
import type { Program, Step } from "./program.js";

/** Buffers that a step only reads, and those that it writes (and may read too), by its kernel or by a call that stands in for more steps. */
export function stepBuffers(p: Program, s: Step): { readonly reads: readonly number[]; readonly writes: readonly number[] } {
  switch (s.kind) {
    case "copy":
      return { reads: [s.from], writes: [s.to] };
    case "host":
      return { reads: s.inputs, writes: s.outputs };
    case "launch": {
      const { writes } = p.kernels[s.kernel]!;
      const call = s.attention && buffersOf(s.attention);
      const of = (written: boolean): readonly number[] => {
        const own = s.buffers.filter((_, i) => writes[i] === written);
        return call ? [...own, ...call.buffers.filter((b, i) => call.writes[i] === written && !own.includes(b))] : own;
      };
      return { reads: of(false), writes: of(true) };
    }
    default:
      return s satisfies never;
  }
}

/** Steps that may run at once, as ranges [from, to) of step numbers, in order. */
export function regionsOf(steps: readonly Step[]): (readonly [from: number, to: number])[] {
  const starts = steps.flatMap((s, i) => (i > 0 && s.kind !== "host" && s.beside ? [] : [i]));
  return starts.map((from, i) => [from, starts[i + 1] ?? steps.length]);
}
