/**
 * Sums over leading axes on GPUs, where rows are contiguous: products of a vector and a matrix, sums over a batch. A grid point takes few
 * columns; its threads share out the rows, and put together in shared memory what they found.
 */
import { bytesOf, computeDType } from "../../core/dtype.js";
import { add, ceilDiv, type Dim, div, divides, hi, indexOn, min, mod, mul, sub, variable } from "../../core/expr.js";
import { numel } from "../../core/type.js";
import type { Target } from "../../kernel/codegen.js";
import type { Group } from "../../kernel/group.js";
import { at, axis, type Buffer, below, indexValue, type Kernel, load, loops, ref, type Stmt, store } from "../../kernel/kernel.js";
import { lanesFor } from "../../kernel/tiling.js";
import { finishKernel, substituteStmts } from "../../kernel/walk.js";
import { evaluatePasses } from "./passes.js";
import { bindMerged, digits, type MergedAxis, type Plan } from "./space.js";

/** How such a kernel is cut. */
export interface ColumnTiling {
  /** Columns of a thread, and threads side by side. */
  readonly vector: number;
  readonly across: number;
  readonly threads: number;
  /** Neighbouring threads that put a column's sums together. */
  readonly each: number;
  /** Rows of a thread whose loads are in flight together. */
  readonly unroll: number;
}

/** Grid points that keep most of a device busy, and rows that one grid point sums fast enough. */
const busy = 96;
const mostRows = 1 << 14;
/** Threads side by side that read single elements. */
const single = 32;
/** Sums whose accumulators a thread has registers for. */
const mostSums = 16;

/** What combining over threads takes of shared memory. */
const spare = 2048;
/** Bytes of shared memory that a group's rows leave to its kernel. */
export const roomBesideRows = (group: Group, t: Target): number =>
  (group.rows ?? [])
    .flatMap((row) => row.outputs)
    .reduce((room, { type }) => room - hi(numel(type.shape)) * bytesOf(type.dtype), t.sharedBytes - spare);

/** The tiling, or undefined where other kernels do better. */
export function tileColumns(p: Plan, lane: MergedAxis | undefined, t: Target): ColumnTiling | undefined {
  const reduced = p.merged.filter((m) => m.reduced);
  if (t.threads === 1 || !lane || p.passes !== 1 || !reduced.length) return undefined;
  // Elements may leave on the way, where they wait for no sum.
  if (p.outputs.some((o) => !o.perRow && o.depth > 0)) return undefined;
  const rows = hi(numel(reduced.map((m) => m.size)));
  const large = p.group.inputs.filter((n) => hi(numel(n.type.shape)) >= rows * hi(lane.size)).map((n) => n.type.dtype);
  const vector = lanesFor(t, lane.size, large.length ? large : p.group.inputs.map((n) => n.type.dtype));
  if (rows < 64 || rows > mostRows || p.reductions.length > mostSums) return undefined;
  const points = hi(numel(p.merged.filter((m) => !m.reduced).map((m) => m.size))) / vector;
  const few = [8, 4, 2, 1].find((n) => points / n >= busy && divides(n * vector, lane.size)) ?? 1;
  // Single columns are worth it where a line of memory is.
  const across = vector > 1 ? few : single;
  if (vector === 1 && points < single * busy) return undefined;
  const width = across * vector;
  const bytes = p.reductions.reduce((sum, r) => sum + (width + 1) * bytesOf(computeDType(r.node.type.dtype)), 0);
  const room = roomBesideRows(p.group, t);
  let threads = Math.min(t.threads, rows / (256 / across) >= 8 ? 512 : 256);
  while (threads > width && (threads / across) * bytes > room) threads /= 2;
  if ((threads / across) * bytes > room) return undefined;
  const turns = Math.ceil((rows * across) / threads);
  // Where threads meet at barriers, all of them take part.
  const each = t.warp ? Math.min(t.warp, threads / width) : threads / width;
  return { vector, across, threads, each, unroll: Math.ceil(turns / Math.ceil(turns / 8)) };
}

/** Lowers a plan of one pass with lanes along `lane`. */
export function lowerColumns(p: Plan, t: ColumnTiling, lane: MergedAxis, name: string): Kernel {
  const { vector, across, threads, each, unroll } = t;
  const outer = p.merged.filter((m) => !m.reduced && m !== lane);
  const reduced = p.merged.filter((m) => m.reduced);
  const rows = numel(reduced.map((m) => m.size));
  const width = across * vector;
  const groups = threads / across;
  const tid = variable("tid", 0, threads - 1);
  const sizes = [...outer.map((m) => m.size), ceilDiv(lane.size, width)];
  const grid = numel(sizes);
  const place = new Map<string, Dim>();
  const start: Stmt[] = [];
  const list = digits(indexOn("pid", grid), sizes).map((d, i) => {
    if (typeof d === "number" || sizes.filter((s) => s !== 1).length <= 1) return d;
    const label = p.fresh("at");
    start.push({ kind: "letIndex", name: label, value: indexValue(d, "i64"), min: 0, max: sub(sizes[i]!, 1) });
    return indexOn(label, sizes[i]!);
  });
  for (const [i, m] of outer.entries()) bindMerged(m, list[i]!, place);
  const first = mul(list.at(-1)!, width);
  const far = new Set(lane.axes);
  const levels = {
    outer: p.axes.filter((a) => !a.reduced && !far.has(a)),
    element: p.axes.filter((a) => a.reduced),
    hold: "nothing",
    early: true,
  } as const;
  const v = axis(p.fresh("l"), vector, "vector");

  // The sweep: rows in turn, each thread some of them.
  const e = evaluatePasses(p, { ...levels, row: [...lane.axes, v] });
  const swept = new Map(place);
  const even = divides(width, lane.size);
  const begin = add(first, mul(mod(tid, across), vector));
  bindMerged(lane, even ? add(begin, at(v)) : min(add(begin, at(v)), sub(lane.size, 1)), swept);
  swept.set(e.cell, at(v)).set(e.row, 0);
  const pass = e.passes[0]!;
  const sweep = (count: Dim, from: Dim, turns: number): readonly Stmt[] => {
    if (count === 0) return [];
    const [j, u] = [axis(p.fresh("j"), count, "loop"), axis(p.fresh("u"), turns, "unroll")];
    const row = add(from, mul(add(mul(at(j), turns), at(u)), groups), div(tid, across));
    const here = new Map(swept);
    const parts =
      reduced.length === 1
        ? [row]
        : digits(
            row,
            reduced.map((m) => m.size),
          );
    for (const [i, m] of reduced.entries()) bindMerged(m, parts[i]!, here);
    // What is the same in every row has a name for each lane: it stands where it is used, and compilers take it out of the loop.
    const body = loops([v], substituteStmts([...pass.before, ...pass.body], here));
    const whole = turns > 1 || divides(groups, sub(rows, from));
    return loops([j, u], whole ? body : [{ kind: "if", test: below(row, rows), body }]);
  };
  const step = groups * unroll;
  const many = div(rows, step);
  const rest = mul(many, step);
  const partial = e.sums.map((s, i): Buffer => ({ name: `part${i}`, dtype: s.result.dtype, space: "shared", size: groups * (width + 1) }));
  const slot = (group: Dim, column: Dim): Dim => add(mul(group, width + 1), column);
  const rowsSwept = [...sweep(many, 0, unroll), ...sweep(ceilDiv(sub(rows, rest), groups), rest, 1)];
  const sweeping: Stmt[] = [
    ...substituteStmts(e.outer, place),
    ...e.sums.flatMap((s) => loops([v], [store(s.accumulator, at(v), s.start)])),
    ...(even ? rowsSwept : [{ kind: "if", test: below(begin, lane.size), body: rowsSwept } as const]),
    ...e.sums.flatMap((s, i) =>
      loops([v], [store(partial[i]!, slot(div(tid, across), add(mul(mod(tid, across), vector), at(v))), load(s.accumulator, at(v)))]),
    ),
  ];

  // The end: some neighbouring threads for each column.
  const own = groups / each;
  const [column, mine] = [div(tid, each), mod(tid, each)];
  const end = evaluatePasses(p, { ...levels, row: [...lane.axes] });
  const ending = new Map(place);
  // Columns past the last one repeat it, and are not stored.
  const position = add(first, column);
  bindMerged(lane, even ? position : min(position, sub(lane.size, 1)), ending);
  ending.set(end.cell, 0).set(end.row, 0);
  const [G, W] = [axis(p.fresh("g"), Math.ceil(own / 8), "loop"), axis(p.fresh("w"), Math.min(8, own), "unroll")];
  const merged = end.sums.flatMap((s, i): Stmt[] => {
    const from = load(partial[i]!, slot(add(mul(mine, own), mul(at(G), 8), at(W)), column));
    return [
      store(s.accumulator, 0, s.start),
      ...loops([G, W], [store(s.accumulator, 0, { kind: "op", dtype: s.start.dtype, op: s.op, args: [load(s.accumulator, 0), from] })]),
      { kind: "combine", op: s.op, axes: [], threads: each, value: load(s.accumulator, 0), into: ref(s.result, 0) },
    ];
  });
  const leave = substituteStmts([...end.outer, ...end.passes.flatMap((x) => x.before), ...end.end], ending);
  const stored: Stmt = {
    kind: "if",
    test: below(mine, 1),
    body: even ? leave : [{ kind: "if", test: below(position, lane.size), body: leave }],
  };
  const ended: readonly Stmt[] =
    width * each < threads ? [{ kind: "if", test: below(tid, width * each), body: [...merged, stored] }] : [...merged, stored];
  const size = (b: Buffer, n: number): Buffer => ({ ...b, size: n });
  const registers = [
    ...e.sums.map((s) => size(s.accumulator, vector)),
    ...end.sums.map((s) => size(s.result, 1)),
    ...e.locals,
    ...end.locals,
  ];
  const apart = axis(p.fresh("once"), 1, "loop");
  const body = [...e.top, ...start, ...loops([apart], sweeping), { kind: "barrier" } as const, ...ended];
  return finishKernel(name, [...p.buffers.values(), ...partial, ...registers], grid, threads, body);
}
