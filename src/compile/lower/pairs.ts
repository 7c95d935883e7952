/**
 * Sums of exponentials below their row's maximum, where many threads share the row: each takes its own maximum first and sums up exponentials
 * below that. Then pairs of a maximum and a sum meet, once: sum e^(x - t) = sum over threads (e^(own - t) sum e^(x - own)), whatever t is.
 */
import { computeDType, type DType } from "../../core/dtype.js";
import { type Dim, div, mod } from "../../core/expr.js";
import { numel } from "../../core/type.js";
import type { Node } from "../../ir/node.js";
import { withInputs } from "../../ir/rewrite.js";
import type { Target } from "../../kernel/codegen.js";
import { apply, type Buffer, below, constant, load, ref, type Stmt, store, type Value } from "../../kernel/kernel.js";
import type { SpaceTiling } from "../../kernel/tiling.js";
import { substituteStmts } from "../../kernel/walk.js";
import { mul } from "../../ops/arithmetic.js";
import { input } from "../../ops/source.js";
import type { Evaluated, Sum } from "./passes.js";
import type { Plan, Reduction } from "./space.js";

/** A row's maximum, and the only sum that waits for it: of exponentials below a thread's own maximum. */
export interface Pair {
  readonly top: Reduction;
  readonly sum: Reduction;
  /** What the row's exponentials are taken below: t, as it stands in the difference. */
  readonly base: Node;
  /** A thread's own maximum where it is a number, else the number next to it: differences of infinities would be none. */
  readonly own: Buffer;
  /** What exponentials below it are multiplied by to be the row's, once that has met. */
  readonly share: Buffer;
  /** Leaves that stand for the registers. */
  readonly leaves: ReadonlyMap<Node, Buffer>;
}

/** Elements of a row in registers that leave room for a second row beside them; with more, nothing runs while threads wait. */
const alone = 1 << 14;
/** Whether warps share a row in registers and wait for each other so long that they should meet once. */
const meets = (t: SpaceTiling, { warp }: Target): boolean =>
  warp !== undefined &&
  t.hold === "registers" &&
  t.rowThreads === t.threads &&
  t.rowThreads > warp &&
  t.turn === 1 &&
  t.together === 1 &&
  t.threads % warp === 0 &&
  t.threads * t.unroll * t.vector > alone;

/** A plan with its sum of exponentials taken in two steps; undefined where its second reductions are something else, or something leaves before they are done. */
export function paired(p: Plan, t: SpaceTiling, target: Target): { readonly plan: Plan; readonly pair: Pair } | undefined {
  if (!meets(t, target) || p.merged.filter((m) => m.reduced).length > 1) return undefined;
  const second = p.reductions.filter((r) => r.depth === 2);
  const [sum] = second;
  if (!sum || second.length > 1 || sum.node.op.combine !== "add" || p.outputs.some((o) => !o.perRow && o.depth === 1)) return undefined;
  const weight = sum.argument;
  const difference = weight.inputs[0];
  const inside = new Set(p.group.nodes);
  if (weight.op.scalar !== "exp" || !difference || difference.op.scalar !== "sub" || !inside.has(weight) || !inside.has(difference))
    return undefined;
  const [x, base] = difference.inputs as [Node, Node];
  const top = p.reductions.find((r) => r.depth === 1 && r.node.op.combine === "max" && r.argument === x);
  if (!top || !limits[weight.type.dtype] || p.depth.get(base) !== 1 || !isOfRow(p, base)) return undefined;

  const register = (name: string): Buffer => ({ name: p.fresh(name), dtype: computeDType(weight.type.dtype), space: "reg", size: 1 });
  const [own, share] = [register("own"), register("share")];
  const leaves = new Map<Node, Buffer>();
  const nodes: Node[] = [];
  const put = (n: Node): Node => {
    nodes.push(n);
    return n;
  };
  const leaf = (like: Node, b: Buffer): Node => {
    const n = input(like.type, b.name);
    leaves.set(n, b);
    return n;
  };
  const lower = withInputs(difference, [x, leaf(base, own)]);
  const near = withInputs(weight, [lower]);
  const to = new Map<Node, Node>();
  const now = (n: Node): Node => to.get(n) ?? n;
  /** A value of the row times the thread's share, so that an element is multiplied once. */
  const shared = (n: Node): Node => (repeats(n) ? put(withInputs(n, [shared(n.inputs[0]!)])) : put(mul(leaf(n, share), now(n))));
  const again = (n: Node): Node => {
    if (n === weight) nodes.push(lower, near);
    if (n === weight) return put(mul(near, leaf(n, share)));
    if (n === sum.node) return put(withInputs(n, [near]));
    const factor = n.op.scalar === "mul" && n.inputs.includes(weight) ? n.inputs.find((y) => y !== weight) : undefined;
    if (factor && isOfRow(p, factor)) return put(withInputs(n, [near, shared(factor)]));
    return put(n.inputs.some((y) => to.has(y)) ? withInputs(n, n.inputs.map(now)) : n);
  };
  for (const n of p.group.nodes) {
    const made = again(n);
    if (made !== n) to.set(n, made);
  }
  const moved = <T extends { readonly node: Node }>(y: T): T => ({ ...y, node: now(y.node) });
  const reductions = p.reductions.map((r) => ({ ...moved(r), argument: r === sum ? near : now(r.argument) }));
  const { pitches, inPlace } = p.group;
  const group = {
    ...p.group,
    nodes,
    outputs: p.group.outputs.map(now),
    ...(inPlace && { inPlace: inPlace.map((d) => ({ ...d, output: now(d.output) })) }),
    ...(pitches && { pitches: new Map([...pitches].map(([n, by]) => [now(n), by])) }),
  };
  return {
    plan: { ...p, group, reductions, outputs: p.outputs.map(moved), buffers: new Map([...p.buffers].map(([n, b]) => [now(n), b])) },
    pair: { top: reductions[p.reductions.indexOf(top)]!, sum: reductions[p.reductions.indexOf(sum)]!, base, own, share, leaves },
  };
}
const repeats = (n: Node): boolean => n.op.kind === "movement" && n.inputs.length === 1;
/** Whether a node repeats a value of each row that some reduction gave. */
function isOfRow(p: Plan, n: Node): boolean {
  if (repeats(n)) return isOfRow(p, n.inputs[0]!);
  return (p.depth.get(n) ?? 0) > 0 && numel(n.type.shape) === numel(p.axes.filter((a) => !a.reduced).map((a) => a.size));
}

/** The largest numbers of each dtype that exponentials are computed in. */
const limits: Partial<Record<DType, number>> = { f32: (2 - 2 ** -23) * 2 ** 127, f64: Number.MAX_VALUE };
/** The number next to a value; NaN stays. */
function finite(v: Value): Value {
  const { dtype } = v;
  const limit = limits[dtype]!;
  return apply("min", dtype, apply("max", dtype, v, constant(-limit, dtype)), constant(limit, dtype));
}
/** The value that the row's exponentials are taken below, once its maximum is known. */
export interface Base {
  readonly before: readonly Stmt[];
  readonly value: Value;
}
/** Where threads meet: all those of a grid point, by warps. */
export interface Meeting {
  readonly threads: number;
  readonly warp: number;
  readonly thread: Dim;
  /** The row's place. */
  readonly place: ReadonlyMap<string, Dim>;
  readonly fresh: (stem: string) => string;
}
/** What follows the first two passes, in which each thread reduced what it has, and the buffers for that. */
export interface Exchange {
  readonly after: readonly (readonly Stmt[])[];
  readonly buffers: readonly Buffer[];
}
/** What each thread found becomes what the row has: of a pair, and of reductions that wait for nothing. */
export function exchange(pair: Pair, e: Evaluated, m: Meeting): Exchange {
  const { own, share } = pair;
  const base = e.base!;
  const sums = e.sums.filter((s) => s.reduction.depth <= 2);
  const of = (r: Reduction): Sum => sums.find((s) => s.reduction === r)!;
  const [top, sum] = [of(pair.top), of(pair.sum)];
  const all = [top, ...sums.filter((s) => s !== top && s !== sum), sum];
  const { dtype } = share;
  const warps = m.threads / m.warp;
  const lanes = 2 ** Math.ceil(Math.log2(warps));
  const lane = mod(m.thread, lanes);
  const shared = all.map((s): Buffer => ({ ...s.result, name: m.fresh("warps"), space: "shared", size: warps }));
  const result = (s: Sum): Value => load(s.result, 0);
  const weight = (from: Value, to: Value): Value => apply("exp", dtype, apply("sub", dtype, from, to));
  const over = (s: Sum, threads: number, value: Value): Stmt => ({
    kind: "combine",
    op: s.op,
    axes: [],
    threads,
    value,
    into: ref(s.result, 0),
  });
  const first: Value = { kind: "ref", dtype, name: m.fresh("first") };
  // A warp's maximum may be no number, as a thread's.
  const ofWarp = (s: Sum): Value => (s === sum ? apply("mul", dtype, result(s), weight(first, finite(result(top)))) : result(s));
  const left = (s: Sum): Value => {
    const found = load(shared[all.indexOf(s)]!, lane);
    const value = s === sum ? apply("mul", dtype, found, weight(load(shared[0]!, lane), base.value)) : found;
    return lanes === warps ? value : { kind: "select", dtype: value.dtype, tests: [below(lane, warps)], then: value, else: s.start };
  };
  const leave = all.map((s, i) => store(shared[i]!, div(m.thread, m.warp), result(s)));
  const meet: readonly Stmt[] = [
    { kind: "let", name: first.name, value: result(top) },
    ...all.map((s) => over(s, m.warp, ofWarp(s))),
    { kind: "if", test: below(mod(m.thread, m.warp), 1), body: leave },
    { kind: "barrier" },
    ...all.slice(0, -1).map((s) => over(s, lanes, left(s))),
    ...substituteStmts(base.before, m.place),
    over(sum, lanes, left(sum)),
    store(share, 0, weight(first, base.value)),
  ];
  return { after: [[store(own, 0, finite(result(top)))], meet], buffers: [own, share, ...shared] };
}
