import { computeDType } from "../../core/dtype.js";
import { InternalError } from "../../core/errors.js";
import { coefficient, type Dim, div, hi, mod, mul, variables } from "../../core/expr.js";
import { numel } from "../../core/type.js";
import type { Node } from "../../ir/node.js";
import { type Given, makeEvaluator, sizeNames } from "../../kernel/evaluate.js";
import { type Group, groupBuffers, placeIn } from "../../kernel/group.js";
import { type Axis, at, axis, type Buffer, constant, type Stmt, store, type Value } from "../../kernel/kernel.js";
import { reindex } from "../../kernel/positions.js";
import { accesses, dimsOf } from "../../kernel/walk.js";

/** One axis of a group's iteration space, with the variable that stands for the position on it. */
export interface SpaceAxis extends Axis {
  readonly reduced: boolean;
}
/** Neighbouring axes that every access of the group treats as one. Only the last one's variable counts; the others are 0. */
export interface MergedAxis {
  readonly axes: readonly SpaceAxis[];
  readonly size: Dim;
  readonly reduced: boolean;
}
/** A reduction of the group: its argument's position, its result's position, and how many reductions it waits for. */
export interface Reduction {
  readonly node: Node;
  readonly argument: Node;
  readonly index: readonly Dim[];
  readonly depth: number;
}
/** A value that leaves the group: where it is stored, and after which pass it is known. */
export interface Output {
  readonly node: Node;
  readonly buffer: Buffer;
  readonly index: readonly Dim[];
  readonly perRow: boolean;
  readonly depth: number;
}
/** What a lowering needs to know about a group. */
export interface Plan {
  readonly group: Group;
  readonly buffers: ReadonlyMap<Node, Buffer>;
  readonly axes: readonly SpaceAxis[];
  readonly merged: readonly MergedAxis[];
  readonly reductions: readonly Reduction[];
  readonly outputs: readonly Output[];
  /** Reductions that every node waits for. */
  readonly depth: ReadonlyMap<Node, number>;
  /** Passes over a row that reduce; the outputs come after them. */
  readonly passes: number;
  readonly fresh: (stem: string) => string;
  /** How well lanes along an axis fit the accesses: +1 for each that is contiguous, -1 for each that is spread. */
  readonly contiguous: ReadonlyMap<MergedAxis, number>;
  /** Every index at which memory is read or written, and that of each buffer. */
  readonly indices: readonly Dim[];
  readonly accesses: readonly { readonly buffer: string; readonly index: Dim }[];
}

/** The result of merging axes: every dim becomes a function of one position. */
export function bindMerged(m: MergedAxis, position: Dim, into: Map<string, Dim>): void {
  for (const [i, a] of m.axes.entries()) into.set(a.name, i === m.axes.length - 1 ? position : 0);
}

/** Analyses a group, with its own buffers or `stored`; throws InternalError where the group breaks what its space promises. */
export function planOf(group: Group, stored?: ReadonlyMap<Node, Buffer>): Plan {
  const { space } = group;
  if (!space) throw new InternalError(`${group.name}: a kernel group has no iteration space`);
  const taken = sizeNames(group);
  let count = 0;
  const fresh = (stem: string): string => {
    while (taken.has(`${stem}${count}`)) count++;
    return `${stem}${count++}`;
  };
  const axes = space.shape.map((size, i): SpaceAxis => {
    const reduced = space.axes.includes(i);
    return { ...axis(fresh(reduced ? "h" : "k"), size, "loop"), reduced };
  });
  const here = axes.map(at);
  const depth = depths(group);
  const reductions = group.nodes
    .filter((n) => n.op.kind === "reduce")
    .map((node): Reduction => {
      const argument = node.inputs[0]!;
      return { node, argument, index: reindex(here, space.shape, argument.type.shape), depth: depth.get(node)! };
    });
  const passes = Math.max(0, ...reductions.map((r) => r.depth));
  const buffers = stored ?? groupBuffers(group);
  const kept = axes.filter((a) => !a.reduced);
  const rows = numel(kept.map((a) => a.size));
  const outputs = group.outputs.map((node): Output => {
    const size = numel(node.type.shape);
    const perRow = size === rows && (depth.get(node)! > 0 || size !== numel(space.shape));
    if (!perRow && size !== numel(space.shape))
      throw new InternalError(`${group.name}: output ${node.op.name} has neither the rows nor the elements of its space`);
    const index = perRow
      ? reindex(
          kept.map(at),
          kept.map((a) => a.size),
          node.type.shape,
        )
      : reindex(here, space.shape, node.type.shape);
    return { node, buffer: buffers.get(node)!, index, perRow, depth: depth.get(node)! };
  });
  const draft = { group, buffers, axes, reductions, outputs, depth, passes, fresh };
  const body = everything(draft);
  const all = accesses(body);
  const indices = all.map((a) => a.index);
  const merged = coalesce(axes, dimsOf(body));
  return { ...draft, merged, contiguous: new Map(merged.map((m) => [m, contiguity(m, indices)])), indices, accesses: all };
}

/** Reductions below each node of the group, itself included. */
function depths(group: Group): Map<Node, number> {
  const depth = new Map<Node, number>();
  for (const n of group.nodes) {
    depth.set(n, Math.max(0, ...n.inputs.map((x) => depth.get(x) ?? 0)) + (n.op.kind === "reduce" ? 1 : 0));
  }
  return depth;
}

/** What stands for a reduction's result while accesses are collected. */
const result = (r: Reduction): Value =>
  constant(
    computeDType(r.node.type.dtype) === "i64" || computeDType(r.node.type.dtype) === "u64" ? 0n : 0,
    computeDType(r.node.type.dtype),
  );

/** All that the group evaluates and stores, in one list, with one variable per axis. */
function everything(p: Pick<Plan, "group" | "buffers" | "axes" | "reductions" | "outputs">): Stmt[] {
  const reduced = p.axes.filter((a) => a.reduced);
  const given: Given = new Map(p.reductions.map((r) => [r.node, (index) => checked(p.group, r, index, reduced)]));
  const e = makeEvaluator(p.group, p.buffers, given).scope({ axes: p.axes, before: [] });
  const body: Stmt[] = [];
  const sink = p.outputs[0]?.buffer;
  for (const r of p.reductions) {
    const v = e.value(r.argument, r.index, body);
    if (sink) body.push({ kind: "let", name: "argument", value: v });
  }
  for (const o of p.outputs) body.push(store(o.buffer, placeIn(p.group, o.node, o.index), e.value(o.node, o.index, body)));
  return body;
}
/** A reduction's result may only be read at a row's position. */
function checked(group: Group, r: Reduction, index: readonly Dim[], reduced: readonly SpaceAxis[]): Value {
  for (const d of index)
    for (const v of variables(d).keys())
      if (reduced.some((a) => a.name === v))
        throw new InternalError(`${group.name}: ${r.node.op.name} is read at a position that varies inside its own row`);
  return result(r);
}

/** Merges neighbours of one sort wherever every dim is linear in both and strides say that they are one run. Axes of size 1 vanish. */
function coalesce(axes: readonly SpaceAxis[], dims: Iterable<Dim>): MergedAxis[] {
  const list = [...dims].filter((d) => typeof d !== "number");
  const slopes = axes.map((a) => list.map((d) => coefficient(d, a.name)));
  const out: { axes: SpaceAxis[]; size: Dim; reduced: boolean; last: number }[] = [];
  axes.forEach((a, i) => {
    if (a.size === 1) return;
    const before = out.at(-1);
    const joins =
      before !== undefined &&
      before.reduced === a.reduced &&
      slopes[i]!.every((s, k) => {
        const outer = slopes[before.last]![k];
        return s !== undefined && outer !== undefined && outer === mul(s, a.size);
      });
    if (joins) {
      before.axes.push(a);
      before.size = mul(before.size, a.size);
      before.last = i;
    } else out.push({ axes: [a], size: a.size, reduced: a.reduced, last: i });
  });
  return out.map(({ axes: list, size, reduced }) => ({ axes: list, size, reduced }));
}

/** How accesses like lanes along a merged axis. */
export function contiguity(m: MergedAxis, indices: readonly Dim[]): number {
  const { name } = m.axes.at(-1)!;
  let score = 0;
  for (const index of indices) {
    const s = coefficient(index, name);
    score += s === 1 ? 1 : s === 0 ? 0 : -1;
  }
  return score;
}

/** The axis along which something is contiguous that is spread along `lane` (a transposition). */
export function crossing(p: Plan, lane: MergedAxis): MergedAxis | undefined {
  const along = (d: Dim, m: MergedAxis): Dim | undefined => coefficient(d, m.axes.at(-1)!.name);
  const spread = p.indices.filter((d) => along(d, lane) !== 0 && along(d, lane) !== 1);
  return p.merged.find((m) => m !== lane && !m.reduced && hi(m.size) >= 8 && spread.some((d) => along(d, m) === 1));
}

/** A flat position as one digit per size, last fastest. */
export function digits(flat: Dim, sizes: readonly Dim[]): Dim[] {
  const out: Dim[] = [];
  let rest = flat;
  for (let i = sizes.length - 1; i >= 0; i--) {
    out.unshift(i === 0 ? rest : mod(rest, sizes[i]!));
    rest = i === 0 ? 0 : div(rest, sizes[i]!);
  }
  return out;
}
