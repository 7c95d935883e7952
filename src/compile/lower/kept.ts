/** Lanes along the kept axes: maps, and reductions over leading axes where neighbouring rows lie next to each other. */
import { add, ceilDiv, type Dim, dependsOn, div, divides, hi, indexOn, min, mod, mul, sub, substitute, variable } from "../../core/expr.js";
import { numel } from "../../core/type.js";
import { type Axis, at, axis, type Buffer, below, indexValue, type Kernel, load, loops, type Stmt, store } from "../../kernel/kernel.js";
import type { SpaceTiling } from "../../kernel/tiling.js";
import { finishKernel, substituteStmts } from "../../kernel/walk.js";
import { type Evaluated, evaluatePasses, type Pass, partOf, type Window } from "./passes.js";
import { namesIndices } from "./reduced.js";
import { bindMerged, crossing, digits, type MergedAxis, type Plan } from "./space.js";
import { prefetches } from "./streams.js";

/** Lowers a plan with lanes along `lane`, one of its kept axes; undefined where there is none. With a window: partial results of each chunk of columns. */
export function lowerKept(p: Plan, t: SpaceTiling, lane: MergedAxis | undefined, name: string, window?: Window): Kernel {
  const along: MergedAxis = lane ?? { axes: [], size: 1, reduced: false };
  const outer = p.merged.filter((m) => !m.reduced && m !== lane);
  const reduced = p.merged.filter((m) => m.reduced);
  const { unroll, vector } = t;
  const wide = unroll * vector;
  const [u, v] = [axis(p.fresh("u"), unroll, "unroll"), axis(p.fresh("l"), vector, "vector")];
  const lanesOf = new Set(along.axes);
  const e = evaluatePasses(p, {
    outer: p.axes.filter((a) => !a.reduced && !lanesOf.has(a)),
    row: [...along.axes, v],
    element: p.axes.filter((a) => a.reduced),
    ...(p.passes > 0 && wide > 1 && { slot: wide }),
    hold: "nothing",
    stream: t.stream,
    ...(p.passes === 1 && !window && p.outputs.every((o) => o.perRow || o.depth === 0) && { early: true }),
  });
  // An index read in one loop nest cannot be used in another.
  if (p.passes > 0 && wide > 1 && namesIndices([...e.passes.flatMap((x) => x.before), ...e.end])) {
    return lowerKept(p, { ...t, unroll: 1, vector: 1 }, lane, name, window);
  }
  const place = new Map<string, Dim>();
  const loopOf = new Map(reduced.map((m) => [m, axis(p.fresh("q"), m.size, "loop")]));
  for (const [m, a] of loopOf) bindMerged(m, at(a), place);
  const chunks = window?.chunks ?? 1;
  const rows = numel([...outer, along].map((m) => m.size));
  let chunk: Dim = 0;
  /** The columns of this grid point, once it is known which chunk it takes. */
  const takeChunk = (at_: Dim): void => {
    if (!window) return;
    chunk = at_;
    const part = partOf(window, chunk, 1);
    const a = axis(loopOf.get(window.axis)!.name, part.length, "loop");
    loopOf.set(window.axis, a);
    bindMerged(window.axis, add(part.begin, at(a)), place);
  };
  /** Partial results are stored in row-major order of the merged axes. */
  const partials = (lanePosition: Dim, slot: Dim): Stmt[] => {
    const order = p.merged.filter((m) => !m.reduced);
    const row = order.reduce<Dim>(
      (flat, m) => add(mul(flat, m.size), m === lane ? lanePosition : (place.get(m.axes.at(-1)!.name) ?? 0)),
      0,
    );
    return e.sums.map((s, i) => store(window!.into[i]!, add(mul(chunk, rows), row), load(s.result, slot)));
  };

  /** The rows at `position(u, v)` of the lane axis, `us` x `vs` of them together. */
  function block(position: (ua: Axis, va: Axis) => Dim, us: number, vs: number): readonly Stmt[] {
    const [ua, va] = [axis(u.name, us, "unroll"), axis(v.name, vs, "vector")];
    const cells = [...(us > 1 ? [ua] : []), ...(vs > 1 ? [va] : [])];
    const here = new Map(place);
    const slot = add(mul(at(ua), vs), at(va));
    bindMerged(along, position(ua, va), here);
    here.set(e.cell, slot).set(e.row, slot);
    if (vs === 1) here.set(v.name, 0);
    const how = { buffer: registersOf(e, us === unroll && vs === vector ? "" : suffix(us * vs)) };
    const nest = (body: readonly Stmt[]): readonly Stmt[] => loops(cells, substituteStmts(body, here, how));
    const lanes = (pass: Pass): readonly Stmt[] => {
      const start = pass.sums.map((s) => store(s.result, slot, s.start));
      const body = nest(pass.body);
      const swept = pass.body.length ? sweep([...streams(body, ua, va), ...body]) : [];
      return [...nest(pass.before), ...loops(cells, substituteStmts(start, new Map(), how)), ...swept];
    };
    // Without reductions there is one nest, and names stay in it.
    if (p.passes === 0) {
      const body = [...e.passes.flatMap((x) => [...x.before, ...x.body]), ...e.end];
      return [...mapped(substituteStmts(body, here, how), ua, va), ...nest(body)];
    }
    const end = window ? loops(cells, substituteStmts(partials(position(ua, va), slot), new Map(), how)) : nest(e.end);
    return [...e.passes.flatMap(lanes), ...end];
  }

  /** A body for every row. A thread of a GPU has the loads of several rows on their way at once. */
  function sweep(body: readonly Stmt[]): readonly Stmt[] {
    const axes = [...loopOf.values()];
    const last = axes.at(-1);
    const size = last?.size;
    const rows = t.threads > 1 && typeof size === "number" ? abreast(size) : undefined;
    if (!last || !rows) return loops(axes, body);
    const [turn, row] = [axis(p.fresh("q"), (size as number) / rows, "loop"), axis(p.fresh("r"), rows, "unroll")];
    const here = substituteStmts(body, new Map([[last.name, add(mul(at(turn), rows), at(row))]]));
    return loops([...axes.slice(0, -1), turn, row], here);
  }

  /** Asks for the same columns some rows ahead. */
  function streams(body: readonly Stmt[], ua: Axis, va: Axis): readonly Stmt[] {
    const row = [...loopOf.values()].at(-1);
    if (!t.ahead || !row || ua.size !== unroll || va.size !== vector) return [];
    const later = new Map<string, Dim>([[row.name, add(at(row), t.ahead)]]);
    return prefetches(p.buffers.values(), body, [ua, va], (index) => (dependsOn(index, row.name) ? substitute(index, later) : undefined));
  }

  /** Asks for what a map reads further on. */
  function mapped(body: readonly Stmt[], ua: Axis, va: Axis): readonly Stmt[] {
    if (!t.ahead || t.threads > 1 || ua.size !== unroll || va.size !== vector || namesIndices(body)) return [];
    return prefetches(p.buffers.values(), body, [ua, va], (index, bytes) =>
      dependsOn(index, "pid") ? add(index, t.ahead / bytes) : undefined,
    );
  }

  const crossed = lane && p.passes === 0 && crossing(p, lane);
  const { body, grid } = t.threads > 1 ? onThreads() : crossed ? onTiles(crossed) : onCores();
  const size = (b: Buffer, n: number): Buffer => ({ ...b, size: n });
  const registers = [...e.sums.map((s) => size(s.result, wide)), ...e.locals];
  const suffixed = registers.flatMap((b) => [vector, 1].map((n) => ({ ...b, name: `${b.name}${suffix(n)}` })));
  return finishKernel(name, [...p.buffers.values(), ...(window?.into ?? []), ...registers, ...suffixed], grid, t.threads, body);

  /** One thread per lane block. */
  function onThreads(): { body: readonly Stmt[]; grid: Dim } {
    const blocks = ceilDiv(along.size, vector);
    const units = mul(numel(outer.map((m) => m.size)), mul(blocks, chunks));
    const grid = ceilDiv(units, t.threads);
    const unit = add(mul(indexOn("pid", grid), t.threads), variable("tid", 0, t.threads - 1));
    const [start, digit] = digitNames(unit, [chunks, ...outer.map((m) => m.size), blocks]);
    takeChunk(digit[0]!);
    for (const [i, m] of outer.entries()) bindMerged(m, digit[i + 1]!, place);
    const position = (_: Axis, va: Axis): Dim => add(mul(digit.at(-1)!, vector), va.size === 1 ? 0 : variable(va.name, 0, vector - 1));
    const inner = [...substituteStmts(e.outer, place), ...block(position, 1, vector)];
    const within: readonly Stmt[] = [...start, ...inner];
    const body: readonly Stmt[] = divides(t.threads, units) ? within : [{ kind: "if", test: below(unit, units), body: within }];
    return { body: [...e.top, ...body], grid };
  }

  /** A grid point takes part of one axis and all of the axes inside of it. */
  function onCores(): { body: readonly Stmt[]; grid: Dim } {
    const order = [...outer, along];
    let cut = order.length - 1;
    let inner = 1;
    while (cut > 0 && inner * Math.max(1, hi(order[cut]!.size)) < t.block) inner *= Math.max(1, hi(order[cut--]!.size));
    const isLane = cut === order.length - 1;
    const most = Math.max(1, hi(order[cut]!.size));
    const step = isLane ? Math.ceil(t.block / wide) * wide : Math.ceil(t.block / inner);
    const take = step >= most ? most : step;
    const blocks = take >= most ? 1 : ceilDiv(order[cut]!.size, take);
    const far = order.slice(0, cut);
    const grid = mul(numel(far.map((m) => m.size)), mul(blocks, chunks));
    const pid = indexOn("pid", grid);
    const [start, digit] = digitNames(pid, [chunks, ...far.map((m) => m.size), blocks]);
    takeChunk(digit[0]!);
    for (const [i, m] of far.entries()) bindMerged(m, digit[i + 1]!, place);
    const begin = mul(digit.at(-1)!, take);
    const count = blocks === 1 ? order[cut]!.size : min(take, sub(order[cut]!.size, begin));
    const nest: Axis[] = [];
    if (!isLane) {
      const first = axis(p.fresh("b"), count, "loop");
      nest.push(first);
      bindMerged(order[cut]!, add(begin, at(first)), place);
      for (const m of order.slice(cut + 1, -1)) {
        const a = axis(p.fresh("b"), m.size, "loop");
        nest.push(a);
        bindMerged(m, at(a), place);
      }
    }
    const [base, length] = isLane ? [begin, count] : [0, along.size];
    return { body: [...e.top, ...start, ...loops(nest, [...substituteStmts(e.outer, place), ...lanes(base, length, (x) => x)])], grid };
  }

  /** Lanes from `base` on: wide blocks, then single vectors, then single lanes. */
  function lanes(base: Dim, length: Dim, around: (body: readonly Stmt[]) => readonly Stmt[]): readonly Stmt[] {
    const run = (n: Dim, from: Dim, us: number, vs: number): readonly Stmt[] => {
      if (n === 0) return [];
      const j = axis(p.fresh("j"), n, "loop");
      return loops([j], around(block((ua, va) => add(base, from, mul(at(j), us * vs), mul(at(ua), vs), at(va)), us, vs)));
    };
    return [
      ...run(div(length, wide), 0, unroll, vector),
      ...(unroll > 1 ? run(div(mod(length, wide), vector), mul(div(length, wide), wide), 1, vector) : []),
      ...(vector > 1 ? run(mod(length, vector), mul(div(length, vector), vector), 1, 1) : []),
    ];
  }

  /** A transposition: blocks of the axis that crosses the lanes, so that every cache line is used while it is there. */
  function onTiles(across: MergedAxis): { body: readonly Stmt[]; grid: Dim } {
    const others = outer.filter((m) => m !== across);
    const part = (size: Dim, most: number): { count: Dim; take: number } =>
      hi(size) <= most ? { count: 1, take: Math.max(1, hi(size)) } : { count: ceilDiv(size, most), take: most };
    const tall = part(across.size, 16);
    const long = part(along.size, Math.ceil(t.block / 16 / wide) * wide);
    const sizes = [...others.map((m) => m.size), tall.count, long.count];
    const grid = numel(sizes);
    const [start, digit] = digitNames(indexOn("pid", grid), sizes);
    for (const [i, m] of others.entries()) bindMerged(m, digit[i]!, place);
    const begin = (size: Dim, x: typeof tall, d: Dim): [Dim, Dim] =>
      x.count === 1 ? [0, size] : [mul(d, x.take), min(x.take, sub(size, mul(d, x.take)))];
    const [top, height] = begin(across.size, tall, digit.at(-2)!);
    const [left, width] = begin(along.size, long, digit.at(-1)!);
    const i = axis(p.fresh("i"), height, "loop");
    bindMerged(across, add(top, at(i)), place);
    const before = substituteStmts(e.outer, place);
    return { body: [...e.top, ...start, ...lanes(left, width, (x) => loops([i], [...before, ...x]))], grid };
  }

  /** The digits of a position, by names where there are several. */
  function digitNames(flat: Dim, sizes: readonly Dim[]): [Stmt[], Dim[]] {
    const list = digits(flat, sizes);
    if (sizes.filter((s) => s !== 1).length <= 1) return [[], list];
    const start: Stmt[] = [];
    const made = list.map((d, i) => {
      if (typeof d === "number") return d;
      const label = p.fresh("at");
      start.push({ kind: "letIndex", name: label, value: indexValue(d, "i64"), min: 0, max: sub(sizes[i]!, 1) });
      return indexOn(label, sizes[i]!);
    });
    return [start, made];
  }
}

/** How many rows a thread of a GPU has under way: all of a few, or a part of many. */
const abreast = (size: number): number | undefined =>
  size > 1 && size <= 8 ? size : [8, 4, 2].find((n) => size % n === 0 && size >= 4 * n);
const suffix = (lanes: number): string => (lanes > 1 ? "m" : "t");
/** Sums are collected where their results are. Registers of a block of another width than the main one are other registers. */
function registersOf(e: Evaluated, other: string): (b: string) => string {
  const names = new Map<string, string>(e.locals.map((b) => [b.name, `${b.name}${other}`]));
  for (const s of e.sums) {
    names.set(s.accumulator.name, `${s.result.name}${other}`);
    names.set(s.result.name, `${s.result.name}${other}`);
  }
  return (b) => names.get(b) ?? b;
}
