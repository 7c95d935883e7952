/** Along which axis lanes run. */
import { bytesOf, type DType } from "../../core/dtype.js";
import { coefficient, type Dim, dependsOn, hi } from "../../core/expr.js";
import { numel } from "../../core/type.js";
import type { Node } from "../../ir/node.js";
import type { SpaceSizes } from "../../kernel/tiling.js";
import { contiguity, type MergedAxis, type Plan } from "./space.js";

/** The kept axis along which most accesses are contiguous, the last of equals. */
export function bestLane(p: Plan): MergedAxis | undefined {
  let best: MergedAxis | undefined;
  for (const m of p.merged) if (!m.reduced && (!best || score(p, m) >= score(p, best))) best = m;
  return best;
}
const score = (p: Plan, m: MergedAxis): number => p.contiguous.get(m)! * Math.min(16, hi(m.size));

/** True where lanes run along the reduced axes. */
export function alongReduced(p: Plan): boolean {
  const reduced = p.merged.filter((m) => m.reduced).at(-1);
  const kept = bestLane(p);
  if (p.passes === 0 || !kept) return p.passes > 0;
  if (reduced === undefined) return false;
  // What is read once for every element of a row weighs more than what is read or written once for a row, however many those are.
  const [along, across] = [inside(p, reduced), inside(p, kept)];
  if (along !== across && hi(reduced.size) >= 64) return along > across;
  return score(p, reduced) >= score(p, kept);
}

/** Accesses that differ along reduced axes and are contiguous along an axis, less those that are spread. */
function inside(p: Plan, m: MergedAxis): number {
  const reduced = p.merged.filter((x) => x.reduced).map((x) => x.axes.at(-1)!.name);
  return contiguity(
    m,
    p.indices.filter((d) => reduced.some((name) => coefficient(d, name) !== 0)),
  );
}

const all = (p: Plan): readonly Node[] => [...p.group.inputs, ...p.group.outputs];
/** Dtypes of what differs from lane to lane. */
function alongLanes(p: Plan, lane: MergedAxis): readonly DType[] {
  const moving = new Set(p.accesses.filter((a) => lane.axes.some((x) => dependsOn(a.index, x.name))).map((a) => a.buffer));
  return all(p)
    .filter((n) => moving.has(p.buffers.get(n)!.name))
    .map((n) => n.type.dtype);
}

/** Elements along a lane's axis that vectors may be cut from: as many as the rows of what lies further apart have room for. */
export function roomOf(p: Plan, lane: MergedAxis | undefined): Dim {
  const pitch = [...(p.group.pitches ?? [])].find(([n]) => n.type.shape.at(-1) === lane?.size)?.[1];
  return pitch ?? lane?.size ?? 1;
}

/** What tilings depend on. */
export function sizesOf(p: Plan, lane: MergedAxis | undefined): SpaceSizes {
  const kept = p.axes.filter((a) => !a.reduced).map((a) => a.size);
  const cols = p.axes.filter((a) => a.reduced).map((a) => a.size);
  const dtypes = lane ? alongLanes(p, lane) : all(p).map((n) => n.type.dtype);
  const whole = hi(numel(p.axes.map((a) => a.size)));
  const large = p.group.inputs.filter((n) => hi(numel(n.type.shape)) >= whole).map((n) => n.type.dtype);
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
    large,
    written: p.outputs.reduce((n, o) => n + hi(numel(o.node.type.shape)) * bytesOf(o.node.type.dtype), 0),
  };
}
