import type { Program, Step } from "./program.js";

/** Buffers that a step only reads, and those that it writes (and may read too). */
export function stepBuffers(p: Program, s: Step): { readonly reads: readonly number[]; readonly writes: readonly number[] } {
  switch (s.kind) {
    case "copy":
      return { reads: [s.from], writes: [s.to] };
    case "host":
      return { reads: s.inputs, writes: s.outputs };
    case "launch": {
      const { writes } = p.kernels[s.kernel]!;
      return { reads: s.buffers.filter((_, i) => !writes[i]), writes: s.buffers.filter((_, i) => writes[i]) };
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
