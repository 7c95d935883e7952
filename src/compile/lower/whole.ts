/**
 * Sums over leading axes of a matrix that no cache holds: a grid point takes whole rows, one after the other, as memory has them, and its
 * sums stay in the nearest cache. Columns taken by themselves would make short reads far from each other. Rows taken together are as many
 * streams: each goes through a part of the grid point's rows.
 */
import { add, type Dim, dependsOn, div, indexOn, mod, mul, sub } from "../../core/expr.js";
import { type Axis, at, axis, type Buffer, type Kernel, load, loops, type Stmt, store } from "../../kernel/kernel.js";
import type { SpaceTiling } from "../../kernel/tiling.js";
import { finishKernel, substituteStmts } from "../../kernel/walk.js";
import { evaluatePasses, partOf, type Window } from "./passes.js";
import { bindMerged, type MergedAxis, type Plan } from "./space.js";
import { prefetches } from "./streams.js";

/** The partial sums of each chunk of rows; undefined where values of a column would have to be kept beside its sums. */
export function lowerWhole(p: Plan, t: SpaceTiling, lane: MergedAxis, name: string, window: Window): Kernel | undefined {
  const { unroll, vector, together } = t;
  const wide = unroll * vector;
  const [u, v] = [axis(p.fresh("u"), unroll, "unroll"), axis(p.fresh("l"), vector, "vector")];
  const e = evaluatePasses(p, { outer: [], row: [...lane.axes, v], element: p.axes.filter((a) => a.reduced), hold: "nothing" });
  const pass = e.passes[0]!;
  if (pass.before.length || e.locals.length) return undefined;
  const sums = e.sums.map((s): Buffer => ({ ...s.accumulator, space: "shared", size: lane.size }));
  const pid = indexOn("pid", window.chunks);
  const part = partOf(window, pid, 1);
  const [q, r] = [p.fresh("q"), p.fresh("r")];

  /** Something for every column: wide blocks, then single vectors, then single lanes. */
  function columns(body: (position: Dim, ua: Axis, va: Axis) => readonly Stmt[]): readonly Stmt[] {
    const run = (count: Dim, from: Dim, us: number, vs: number): readonly Stmt[] => {
      if (count === 0) return [];
      const j = axis(p.fresh("j"), count, "loop");
      const [ua, va] = [axis(u.name, us, "unroll"), axis(v.name, vs, "vector")];
      return loops([j], body(add(from, mul(at(j), us * vs), mul(at(ua), vs), at(va)), ua, va));
    };
    const { size } = lane;
    return [
      ...run(div(size, wide), 0, unroll, vector),
      ...(unroll > 1 ? run(div(mod(size, wide), vector), mul(div(size, wide), wide), 1, vector) : []),
      ...(vector > 1 ? run(mod(size, vector), mul(div(size, vector), vector), 1, 1) : []),
    ];
  }
  const cells = (ua: Axis, va: Axis): Axis[] => [ua, va].filter((a) => a.size !== 1);
  /** Rows from `first` on: `count` times as many together as `rows` says, which lie `apart` from each other. */
  function sweep(first: Dim, count: Dim, rows: number, apart: Dim): readonly Stmt[] {
    if (count === 0) return [];
    const [row, beside] = [axis(q, count, "loop"), axis(r, rows, "unroll")];
    const columnsOf = columns((position, ua, va) => {
      const here = new Map<string, Dim>([
        [e.cell, position],
        [e.row, position],
      ]);
      bindMerged(lane, position, here);
      bindMerged(window.axis, add(first, at(row), mul(at(beside), apart)), here);
      if (va.size === 1) here.set(v.name, 0);
      const body = substituteStmts(pass.body, here);
      const far = (index: Dim, bytes: number): Dim | undefined => (dependsOn(index, row.name) ? add(index, t.ahead / bytes) : undefined);
      const asked = t.ahead > 0 && ua.size === unroll && va.size === vector;
      const streams = asked ? prefetches(p.buffers.values(), body, [ua, va], far, () => true) : [];
      return [...streams, ...loops(rows > 1 ? [beside, ...cells(ua, va)] : cells(ua, va), body)];
    });
    return loops([row], columnsOf);
  }
  // What every grid point has is taken together; the few rows that are left, or that the last one lacks, one after the other.
  const { size } = window.axis;
  const least = typeof size === "number" && together > 1 ? size - (window.chunks - 1) * Math.ceil(size / window.chunks) : 0;
  const own = Math.max(0, Math.floor(least / together));
  const done = own * together;
  const sweeps = [...sweep(part.begin, own, together, own), ...sweep(add(part.begin, done), sub(part.length, done), 1, 0)];
  const each = (stmt: (i: number, position: Dim) => Stmt): readonly Stmt[] =>
    columns((position, ua, va) =>
      loops(
        cells(ua, va),
        e.sums.map((_, i) => stmt(i, position)),
      ),
    );
  const body = [
    ...e.top,
    ...each((i, position) => store(sums[i]!, position, e.sums[i]!.start)),
    ...sweeps,
    ...each((i, position) => store(window.into[i]!, add(mul(pid, lane.size), position), load(sums[i]!, position))),
  ];
  return finishKernel(name, [...p.buffers.values(), ...window.into, ...sums], window.chunks, 1, body);
}
