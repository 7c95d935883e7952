/** Reductions with too few rows to keep a device busy: partial results over chunks of columns, then one more kernel over the chunks. */
import { computeDType } from "../../core/dtype.js";
import { hi, mul } from "../../core/expr.js";
import { numel } from "../../core/type.js";
import type { Node } from "../../ir/node.js";
import { withInputs } from "../../ir/rewrite.js";
import type { Target } from "../../kernel/codegen.js";
import type { Group } from "../../kernel/group.js";
import type { Buffer, Kernel } from "../../kernel/kernel.js";
import { type SpaceTiling, tileKept, tileReduced, tileWhole } from "../../kernel/tiling.js";
import { reshape } from "../../ops/movement.js";
import { input } from "../../ops/source.js";
import { lowerKept } from "./kept.js";
import { alongReduced, bestLane, sizesOf } from "./lanes.js";
import type { Window } from "./passes.js";
import { lowerReduced } from "./reduced.js";
import { type Plan, planOf } from "./space.js";
import { lowerWhole } from "./whole.js";

/** Elements that are worth a second kernel, and those of a chunk, at least. */
const worth = 1 << 17;
const chunk = 1 << 15;
/** The same of a row whose elements lie one behind the other, where threads share it. */
const worthShared = 1 << 15;
const sharedChunk = 1 << 12;
/** Columns of a chunk on a GPU, at least. */
const leastColumns = 16;

/** Whether rows are done with once they are reduced. */
const splits = (p: Plan): boolean => p.passes === 1 && !p.outputs.some((o) => !o.perRow && o.depth > 0);

/** How many chunks a plan's columns should be cut into; 1 where it has rows enough, or where rows are read again after they were reduced. */
export function chunksOf(p: Plan, target: Target): number {
  if (!splits(p) || p.group.inPlace?.length) return 1;
  const { rows, cols } = sizesOf(p, undefined);
  const total = hi(rows) * hi(cols);
  const shared = alongReduced(p) && target.threads > 1;
  const long = shared && hi(cols) >= worthShared;
  if (!long && total < worth) return 1;
  const few = shared && hi(rows) >= 64;
  const points =
    few || alongReduced(p) ? hi(rows) * (few ? target.parallel : 1) : hi(rows) / (target.threads > 1 ? target.threads : target.lanes);
  if (points >= 2 * target.parallel) return 1;
  // Threads beside each other, each with a few columns to add up, are done before a second kernel has begun.
  const most = long ? hi(cols) / sharedChunk : Math.min(total / chunk, target.threads > 1 ? hi(cols) / leastColumns : total);
  return Math.max(1, Math.min(Math.ceil((4 * target.parallel) / Math.max(1, points)), Math.floor(most), hi(cols)));
}

/** How a plan's columns are cut where its rows are read whole, by chunks of them; undefined where they are not. */
export function tileChunks(p: Plan, target: Target): ReturnType<typeof tileWhole> {
  const reduced = p.merged.filter((m) => m.reduced);
  if (alongReduced(p) || !splits(p) || reduced.length !== 1 || p.merged.length !== 2) return undefined;
  return tileWhole(target, sizesOf(p, bestLane(p)));
}

/** Two kernels: partial results by chunk, and their combination with what follows. `whole`: rows are read whole. */
export function lowerSplit(p: Plan, target: Target, chunks: number, whole?: SpaceTiling): readonly Kernel[] | undefined {
  const { group } = p;
  const kept = p.axes.filter((a) => !a.reduced).map((a) => a.size);
  const partials = p.reductions.map((r, i) => input({ shape: [chunks, ...kept], dtype: computeDType(r.node.type.dtype) }, `tmp${i}`));
  const into = partials.map((n, i): Buffer => ({ name: `tmp${i}`, dtype: n.type.dtype, space: "global", size: mul(chunks, numel(kept)) }));
  const reduced = p.merged.filter((m) => m.reduced);
  const lanes = alongReduced(p);
  const window: Window = { axis: reduced[0]!, chunks, into: into.map((b) => ({ ...b, writes: true })) };
  const sizes = sizesOf(p, lanes ? reduced.at(-1) : bestLane(p));
  const label = `${group.name}_parts`;
  const first = whole
    ? lowerWhole(p, whole, bestLane(p)!, label, window)
    : lanes
      ? lowerReduced(p, { ...tileReduced(target, sizes), turn: 1 }, target, label, window)
      : lowerKept(p, tileKept(target, sizes), bestLane(p), label, window);
  if (!first) return undefined;

  // The same reductions over the chunks, and what is computed from them.
  const to = new Map<Node, Node>();
  const nodes: Node[] = [];
  for (const n of group.nodes) {
    const at = p.reductions.findIndex((r) => r.node === n);
    if (at >= 0) {
      const made: Node = {
        op: n.op,
        inputs: [partials[at]!],
        attrs: { ...n.attrs, axes: [0] },
        type: { shape: kept, dtype: n.type.dtype },
      };
      nodes.push(made);
      const shaped = reshape(made, n.type.shape);
      if (shaped !== made) nodes.push(shaped);
      to.set(n, shaped);
    } else if ((p.depth.get(n) ?? 0) > 0) {
      const made = withInputs(
        n,
        n.inputs.map((x) => to.get(x) ?? x),
      );
      nodes.push(made);
      to.set(n, made);
    } else nodes.push(n);
  }
  const outputs = p.outputs.filter((o) => o.perRow);
  const second: Group = {
    name: `${group.name}_whole`,
    kind: "kernel",
    nodes,
    inputs: [...partials, ...group.inputs],
    outputs: outputs.map((o) => to.get(o.node) ?? o.node),
    space: { shape: [chunks, ...kept], axes: [0] },
    // Nothing is written before all partial results are there.
    ...(group.pitches && { pitches: group.pitches }),
    ...(group.inPlace && { inPlace: group.inPlace.map((d) => ({ ...d, output: to.get(d.output) ?? d.output })) }),
    why: group.why,
  };
  const buffers = new Map<Node, Buffer>(p.buffers);
  for (const [i, n] of partials.entries()) buffers.set(n, into[i]!);
  for (const o of outputs) buffers.set(to.get(o.node) ?? o.node, o.buffer);
  const combined = planOf(second, buffers);
  const sizes2 = sizesOf(combined, bestLane(combined));
  const last = bestLane(combined)
    ? lowerKept(combined, tileKept(target, sizes2), bestLane(combined), second.name)
    : lowerReduced(
        combined,
        tileReduced(
          target,
          sizesOf(
            combined,
            combined.merged.find((m) => m.reduced),
          ),
        ),
        target,
        second.name,
      );
  return [first, last];
}
