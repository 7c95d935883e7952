/** Groups of elementwise nodes, views and reductions become kernels. */
import { UnsupportedError } from "../../core/errors.js";
import type { Target } from "../../kernel/codegen.js";
import { type Group, hasElements } from "../../kernel/group.js";
import type { Kernel } from "../../kernel/kernel.js";
import { tileKept, tileReduced } from "../../kernel/tiling.js";
import { emptyKernel } from "../../kernel/walk.js";
import { lowerColumns, tileColumns } from "./columns.js";
import { buffersWith, fewerPoints, withRows } from "./inlined.js";
import { lowerKept } from "./kept.js";
import { alongReduced, bestLane, roomOf, sizesOf } from "./lanes.js";
import { lowerReduced } from "./reduced.js";
import { planOf } from "./space.js";
import { chunksOf, lowerSplit, tileChunks } from "./split.js";

/** Lowers a kernel group: one kernel, or two where a reduction has too few rows to keep the device busy. */
export function lowerGroup(group: Group, target: Target): readonly Kernel[] {
  if (group.kind !== "kernel") throw new UnsupportedError(`${group.name}: a ${group.kind} group has no generated kernel`);
  if (!hasElements(group)) return [emptyKernel(group.name)];
  const p = planOf(group, buffersWith(group));
  const columns = alongReduced(p) ? undefined : tileColumns(p, bestLane(p), target);
  if (columns) return [withRows(p, lowerColumns(p, columns, bestLane(p)!, group.name), target)];
  const whole = tileChunks(p, target);
  const byRows = whole && lowerSplit(p, target, whole.chunks, whole.tiling);
  if (byRows) return byRows;
  const chunks = chunksOf(p, target);
  const split = chunks > 1 ? lowerSplit(p, target, chunks) : undefined;
  if (split) return split;
  if (alongReduced(p)) {
    const lane = p.merged.filter((m) => m.reduced).at(-1);
    const t = tileReduced(target, { ...sizesOf(p, lane), lane: roomOf(p, lane) });
    return [withRows(p, lowerReduced(p, group.rows?.length ? fewerPoints(p, t, target) : t, target, group.name), target)];
  }
  const lane = bestLane(p);
  return [lowerKept(p, tileKept(target, sizesOf(p, lane)), lane, group.name)];
}
