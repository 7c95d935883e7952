/**
 * Launches that begin while those that they depend on still run. A multiprocessor whose part of a step is done takes points of the next one, which
 * have what no step writes (weights, what a cache held before) on its way when the last point of the step ends.
 */
import { usesUnits } from "../kernel/beside.js";
import type { Target } from "../kernel/codegen.js";
import { withAwait } from "../kernel/dependency.js";
import type { Kernel, Stmt } from "../kernel/kernel.js";

/** What is known of a launch. */
export interface Around {
  /** Whether no earlier step writes a buffer. */
  readonly fixed: (buffer: string) => boolean;
  /** It streams operands from memory. */
  readonly streams: boolean;
}

/**
 * The kernel as one that waits for the launches before it itself, where it has so few grid points that they all run at once: others would stand
 * in the way of what still runs. What streams lets the next launch begin at once, so that memory never rests; other kernels do so when they have
 * waited: of points that stand waiting, a few launches are enough, and more of them lie unevenly on multiprocessors.
 */
export function begunEarly(k: Kernel, { fixed, streams }: Around, target: Target): Kernel {
  if (!target.early || typeof k.grid !== "number" || k.grid > target.parallel || !k.body.length || usesUnits(k)) return k;
  const buffers = k.buffers.map((b) => (b.space === "global" && fixed(b.name) ? ({ ...b, fixed: true } as const) : b));
  const known = new Map(buffers.map((b) => [b.name, b]));
  const release: Stmt = { kind: "dependency", op: "release" };
  const body = streams ? [release, ...withAwait(k.body, known)] : withAwait(k.body, known, [release]);
  return { ...k, buffers, body };
}
