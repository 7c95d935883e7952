/** Groups of elementwise nodes, views and reductions become kernels. */
import { UnsupportedError } from "../../core/errors.js";
import { type Dim, hi } from "../../core/expr.js";
import { bytesOf, type DType } from "../../core/dtype.js";
import { numel } from "../../core/type.js";
import type { Target } from "../../kernel/codegen.js";
import type { Group } from "../../kernel/group.js";
import type { Kernel } from "../../kernel/kernel.js";
import { type SpaceSizes, tileKept, tileReduced } from "../../kernel/tiling.js";
import { lowerKept } from "./kept.js";
import { lowerReduced } from "./reduced.js";
import { type MergedAxis, type Plan, planOf } from "./space.js";
import { lowerSplit, wantsSplit } from "./split.js";

/** Lowers a kernel group: one kernel, or two where a reduction has too few rows to keep the device busy. */
export function lowerGroup(group: Group, target: Target): readonly Kernel[] {
  if (group.kind !== "kernel") throw new UnsupportedError(`${group.name}: a ${group.kind} group has no generated kernel`);
  const plan = planOf(group);
  return wantsSplit(plan, target) ? lowerSplit(plan, target) : [lowerPlan(plan, target, group.name)];
}

/** Lowers a plan to one kernel, with lanes where accesses are contiguous. */
export function lowerPlan(p: Plan, target: Target, name: string): Kernel {
  const kept = p.merged.filter((m) => !m.reduced);
  const reduced = p.merged.filter((m) => m.reduced);
  const alongKept = bestLane(p, kept);
  const alongReduced = reduced.at(-1);
  if (p.passes > 0 && (!alongKept || prefersReduced(p, alongKept, alongReduced))) {
    return lowerReduced(p, tileReduced(target, sizesOf(p, alongReduced)), target, name);
  }
  return lowerKept(p, tileKept(target, sizesOf(p, alongKept)), alongKept, name);
}

/** The kept axis along which most accesses are contiguous, the last of equals. */
function bestLane(p: Plan, kept: readonly MergedAxis[]): MergedAxis | undefined {
  let best: MergedAxis | undefined;
  for (const m of kept) if (!best || score(p, m) >= score(p, best)) best = m;
  return best;
}
const score = (p: Plan, m: MergedAxis): number => p.contiguous.get(m)! * Math.min(16, hi(m.size));
const prefersReduced = (p: Plan, kept: MergedAxis, reduced: MergedAxis | undefined): boolean =>
  reduced !== undefined && score(p, reduced) >= score(p, kept);

/** What tilings depend on. */
export function sizesOf(p: Plan, lane: MergedAxis | undefined): SpaceSizes {
  const kept = p.axes.filter((a) => !a.reduced).map((a) => a.size);
  const cols = p.axes.filter((a) => a.reduced).map((a) => a.size);
  const dtypes: DType[] = [...p.group.inputs, ...p.group.outputs].map((n) => n.type.dtype);
  const perPass = Array.from({ length: p.passes }, (_, i) => p.reductions.filter((r) => r.depth === i + 1).length);
  const lanes: Dim = lane?.size ?? 1;
  return {
    rows: numel(kept),
    cols: numel(cols),
    lane: lanes,
    accumulators: Math.max(0, ...perPass),
    passes: p.passes,
    sweeps: p.outputs.some((o) => !o.perRow),
    dtypes,
    written: p.outputs.reduce((n, o) => n + hi(numel(o.node.type.shape)) * bytesOf(o.node.type.dtype), 0),
  };
}
