/** Lanes along the reduced axes: each row is swept once per pass (softmax, norms, argmax, matrix-vector). */
import { bytesOf, computeDType } from "../../core/dtype.js";
import {
  add,
  ceilDiv,
  type Dim,
  dependsOn,
  div,
  divides,
  hi,
  indexOn,
  min,
  mod,
  mul,
  show,
  sub,
  substitute,
  variable,
} from "../../core/expr.js";
import { numel } from "../../core/type.js";
import type { Target } from "../../kernel/codegen.js";
import {
  type Axis,
  apply,
  at,
  axis,
  type Buffer,
  below,
  indexValue,
  type Kernel,
  load,
  loops,
  ref,
  type Stmt,
  store,
  type Value,
} from "../../kernel/kernel.js";
import type { SpaceTiling } from "../../kernel/tiling.js";
import { eachStmt, finishKernel, rewriteStmts, substituteStmts } from "../../kernel/walk.js";
import { exchange, paired } from "./pairs.js";
import { type Evaluated, evaluatePasses, type Pass, partOf, type Sum, type Window } from "./passes.js";
import { bindMerged, digits, type MergedAxis, type Plan } from "./space.js";
import { type Staged, staged } from "./staged.js";
import { laterRow, prefetches } from "./streams.js";

/** Lowers a plan with lanes along its last reduced axis. With a window: the partial results of each chunk of columns. */
export function lowerReduced(plan: Plan, tiling: SpaceTiling, target: Target, name: string, window?: Window): Kernel {
  const pairs = window ? undefined : paired(plan, tiling, target);
  const p = pairs?.plan ?? plan;
  const kept = p.merged.filter((m) => !m.reduced);
  const reduced = p.merged.filter((m) => m.reduced);
  const lane: MergedAxis = reduced.at(-1) ?? { axes: [], size: 1, reduced: true };
  const around = reduced.slice(0, -1);
  // Registers hold one sweep along the lanes, and a loop around it would sweep again.
  const t: SpaceTiling = around.length && tiling.hold === "registers" ? { ...tiling, hold: "nothing" } : tiling;
  const cols = numel(reduced.map((m) => m.size));
  const rows = numel(kept.map((m) => m.size));
  // A row that is computed twice must not be written over what it reads.
  const overlap = p.group.inPlace?.length && !divides(t.together, rows);
  const together = kept.length === 1 && !overlap && !window ? t.together : 1;
  const { unroll, vector, rowThreads, threads } = t;
  const [r, u, v] = [axis(p.fresh("r"), together, "unroll"), axis(p.fresh("u"), unroll, "unroll"), axis(p.fresh("l"), vector, "vector")];
  const e = evaluatePasses(p, {
    outer: [],
    row: p.axes.filter((a) => !a.reduced),
    element: [...p.axes.filter((a) => a.reduced), v],
    ...(together > 1 && { slot: together }),
    hold: holding(t, cols, target),
    stream: t.stream,
    pair: pairs?.pair,
  });
  if (together > 1 && namesIndices([...e.passes.flatMap((x) => x.before), ...e.end]))
    return lowerReduced(plan, { ...t, together: 1 }, target, name);

  const abreast = threads / rowThreads;
  const chunks = window?.chunks ?? 1;
  const units = mul(ceilDiv(rows, together), chunks);
  // Threads of one grid point meet at barriers: rows that may not exist cannot stand beside rows that do. Whole warps do not meet, and
  // take the last row once more.
  const again = abreast > 1 && rowThreads === target.warp && t.turn === 1 && !p.group.inPlace?.length && !divides(abreast, units);
  if (abreast > 1 && !again && !divides(abreast * t.turn, units))
    return lowerReduced(plan, { ...t, threads: rowThreads }, target, name, window);
  const grid = ceilDiv(units, abreast * t.turn);
  const pid = indexOn("pid", grid);
  const tid = variable("tid", 0, threads - 1);
  const turn = axis(p.fresh("turn"), t.turn, "loop");
  const own = add(mul(add(mul(pid, t.turn), at(turn)), abreast), div(tid, rowThreads));
  const unit = again ? min(own, sub(units, 1)) : own;
  const thread = mod(tid, rowThreads);
  // Rows computed together may run past the last row, which is then computed again.
  const nth = div(unit, chunks);
  const several = t.apart ? add(nth, mul(at(r), ceilDiv(rows, together))) : add(mul(nth, together), at(r));
  const row = divides(together, rows) ? several : min(several, sub(rows, 1));

  // Where the row is: one position, or digits that are computed once per row.
  const place = new Map<string, Dim>([[e.row, at(r)]]);
  const rowStart: Stmt[] = [];
  if (kept.length === 1) bindMerged(kept[0]!, row, place);
  else if (kept.length > 1) {
    digits(
      row,
      kept.map((m) => m.size),
    ).forEach((d, i) => {
      const { size } = kept[i]!;
      const digit = p.fresh("at");
      rowStart.push({ kind: "letIndex", name: digit, value: indexValue(d, "i64"), min: 0, max: sub(size, 1) });
      bindMerged(kept[i]!, indexOn(digit, size), place);
    });
  }
  const perRow = (body: readonly Stmt[]): readonly Stmt[] => loops(together > 1 ? [r] : [], substituteStmts(body, place));

  const substituted = new Map([...place, ["tid", 0], [v.name, 0]] as const);
  bindMerged(lane, 0, substituted);

  const wide = unroll * vector;
  const cpu = threads === 1;
  // A GPU has other threads to hide an addition's latency: its accumulators are one vector, and unrolled steps share them.
  const sumsWide = cpu ? wide : vector;
  const part = window && partOf(window, mod(unit, chunks), window.axis === lane ? wide * rowThreads : 1);
  const length = part && window.axis === lane ? part.length : lane.size;
  const start = part && window.axis === lane ? part.begin : 0;
  const main = cpu ? add(mul(at(r), wide), mul(at(u), vector), at(v)) : add(mul(at(r), vector), at(v));
  const tail = cpu && !divides(vector, length);
  const whole = !cpu || hi(div(length, vector)) > 0;

  // A grid point's first operands are on their way before anything else, where it surely has all of them.
  const stages =
    t.staged &&
    !window &&
    !around.length &&
    p.passes === 1 &&
    hi(grid) <= target.parallel &&
    divides(unroll * vector * rowThreads, lane.size) &&
    units === mul(grid, abreast * t.turn);
  let stage: Staged | undefined;

  /** One sweep along the lane axis: `count` steps of `us` x `vs` columns from `base`; `first`: the first one of the grid point. */
  function sweep(pass: Pass, count: Dim, base: Dim, us: number, vs: number, first: boolean): readonly Stmt[] {
    if (count === 0) return [];
    const j = axis(p.fresh("j"), count, "loop");
    const [ua, va] = [axis(u.name, us, "unroll"), axis(v.name, vs, "vector")];
    const scalar = us * vs === 1 && tail;
    const col = cpu
      ? add(start, base, mul(at(j), us * vs), mul(at(ua), vs), at(va))
      : add(start, base, mul(at(j), us * vs * rowThreads), mul(add(mul(at(ua), rowThreads), thread), vs), at(va));
    const here = new Map(place);
    const slot =
      t.hold === "registers"
        ? add(mul(at(ua), vs), at(va))
        : around.reduce<Dim>((flat, m) => add(mul(flat, m.size), indexOn(loopName(m), m.size)), 0);
    for (const m of around)
      bindMerged(m, part && m === window.axis ? add(part.begin, indexOn(loopName(m), part.length)) : indexOn(loopName(m), m.size), here);
    bindMerged(lane, col, here);
    here.set(e.cell, scalar ? at(r) : cpu ? add(mul(at(r), wide), mul(at(ua), vector), at(va)) : add(mul(at(r), vector), at(va)));
    here.set(e.keep, t.hold === "registers" ? slot : add(mul(slot, lane.size), col));
    if (vs === 1) here.set(v.name, 0);
    const body = substituteStmts(pass.body, here, scalar ? { buffer: rename(e) } : {});
    const step = us * vs * rowThreads;
    const guarded: readonly Stmt[] = cpu || divides(step, length) ? body : [{ kind: "if", test: below(col, add(start, length)), body }];
    const unrolled = [...(together > 1 ? [r] : []), ...(us > 1 ? [ua] : [])];
    const element = loops([...unrolled, ...(vs > 1 ? [va] : [])], guarded);
    if (first && stages) {
      const now = new Map([j, turn].map((a) => [a.name, 0]));
      stage = staged(p, substituteStmts(body, now), unrolled, va, threads);
      const later = axis(p.fresh("j"), sub(count, 1), "loop");
      const rest = later.size === 0 ? [] : loops([later], substituteStmts(element, new Map([[j.name, add(at(later), 1)]])));
      if (stage) return [{ kind: "wait", pending: 0 }, ...loops([...unrolled, va], stage.first), ...rest];
    }
    const asked = us * vs === wide ? [...streams(p, body, t.ahead, [ua, va]), ...coming(pass, here, [ua, va])] : [];
    return loops([j], [...asked, ...element]);
  }
  /** A row's second sweep asks for the next row, those after it for the one behind that: by its own first sweep a row is there. */
  function coming(pass: Pass, here: ReadonlyMap<string, Dim>, lanes: readonly [Axis, Axis]): readonly Stmt[] {
    const nth = Math.min(e.passes.indexOf(pass), 2);
    const bodies = e.passes.flatMap((x) => x.body);
    if (!t.later || nth < 1 || namesIndices([...bodies, ...rowStart])) return [];
    const next = t.turn > 1 ? at(turn) : pid;
    const moved = t.turn > 1 ? turn.name : "pid";
    const ahead = new Map<string, Dim>([[moved, add(next, nth)]]);
    const far = (index: Dim): Dim | undefined => (dependsOn(index, moved) ? substitute(index, ahead) : undefined);
    const near = (target.caches[0] ?? 1 << 15) / 4;
    return prefetches(p.buffers.values(), substituteStmts(bodies, here), lanes, far, (bytes) => hi(cols) * bytes > near);
  }
  const names = new Map(around.map((m) => [m, p.fresh("q")]));
  const loopName = (m: MergedAxis): string => names.get(m)!;

  const meeting = pairs && exchange(pairs.pair, e, { threads, warp: target.warp!, thread, place, fresh: p.fresh });
  function emit(pass: Pass, first: boolean): readonly Stmt[] {
    const out: Stmt[] = [...perRow(pass.before)];
    if (!pass.body.length) return out;
    const cells = [...(together > 1 ? [r] : []), ...(cpu && unroll > 1 ? [u] : []), ...(vector > 1 ? [v] : [])];
    for (const s of pass.sums) {
      if (whole) out.push(...loops(cells, [store(s.accumulator, main, s.start)]));
      if (tail) out.push(...loops(together > 1 ? [r] : [], [store(restOf(s), at(r), s.start)]));
    }
    const size = length;
    const nest = around.map((m) => axis(loopName(m), part && m === window.axis ? part.length : m.size, "loop"));
    const swept: readonly Stmt[] = cpu
      ? [
          ...sweep(pass, div(size, wide), 0, unroll, vector, false),
          ...(unroll > 1 ? sweep(pass, div(mod(size, wide), vector), mul(div(size, wide), wide), 1, vector, false) : []),
          ...(tail && vector > 1 ? sweep(pass, mod(size, vector), mul(div(size, vector), vector), 1, 1, false) : []),
        ]
      : sweep(
          pass,
          t.hold === "registers" && hi(size) <= wide * rowThreads ? 1 : ceilDiv(size, wide * rowThreads),
          0,
          unroll,
          vector,
          first,
        );
    out.push(...loops(nest, swept));
    const apart = meeting?.after[e.passes.indexOf(pass)];
    for (const s of pass.sums) {
      const done: Stmt[] = [];
      const place = at(r);
      if (whole) {
        const axes = cells.filter((a) => a !== r);
        done.push({
          kind: "combine",
          op: s.op,
          axes,
          threads: apart ? 1 : rowThreads,
          value: load(s.accumulator, main),
          into: ref(s.result, place),
        });
        if (tail) done.push(store(s.result, place, apply(s.op, s.start.dtype, load(s.result, place), load(restOf(s), place))));
      } else done.push(store(s.result, place, load(restOf(s), place)));
      out.push(...loops(together > 1 ? [r] : [], done));
    }
    return apart ? [...out, ...apart] : out;
  }
  const partial = (): Stmt[] => e.sums.map((s, i) => store(window!.into[i]!, add(mul(mod(unit, chunks), rows), row), load(s.result, 0)));
  const ahead = window || cpu ? { before: [], end: e.end, registers: [] } : readAhead(p, e);
  const end = window ? partial() : perRow(ahead.end);
  const alone = (body: readonly Stmt[]): readonly Stmt[] =>
    body.length && rowThreads > 1 ? [{ kind: "if", test: below(thread, 1), body }] : body;
  const rowOf = (first: boolean): readonly Stmt[] => [
    ...rowStart,
    ...alone(perRow(ahead.before)),
    ...e.passes.flatMap((x) => emit(x, first)),
    ...alone(end),
  ];
  const rowBody = rowOf(false);
  const guarded: readonly Stmt[] =
    again || divides(abreast * t.turn, units) ? rowBody : [{ kind: "if", test: below(unit, units), body: rowBody }];
  const single = t.hold === "registers" && !window && grid === rows && !rowStart.length;
  const asked = single ? laterRow(p, e.passes, substituted, { grid, thread: tid }, target) : [];
  const begun = stages ? substituteStmts(rowOf(true), new Map([[turn.name, 0]])) : [];
  const later = axis(p.fresh("turn"), t.turn - 1, "loop");
  const others = t.turn > 1 ? loops([later], substituteStmts(rowBody, new Map([[turn.name, add(at(later), 1)]]))) : [];
  const body = stage
    ? [...stage.copies, { kind: "commit" } as const, ...e.top, ...begun, ...others]
    : [...e.top, ...asked, ...loops(t.turn > 1 ? [turn] : [], guarded)];
  const size = (b: Buffer, n: Dim): Buffer => ({ ...b, size: n });
  const buffers = [
    ...p.buffers.values(),
    ...(window?.into ?? []),
    ...e.sums.flatMap((s) => [size(s.accumulator, together * sumsWide), size(restOf(s), together), size(s.result, together)]),
    ...e.held.map((b) => size(b, t.hold === "registers" ? wide : cols)),
    ...ahead.registers.map((b) => size(b, together)),
    ...(meeting?.buffers ?? []),
    ...e.locals,
    ...e.locals.map((b) => ({ ...b, name: `${b.name}t` })),
    ...(stage?.buffers ?? []),
  ];
  return finishKernel(name, buffers, grid, threads, body);
}

/** What a row's end reads of memory is on its way while the row is swept: loads of operands, at the row's own place, into registers. */
function readAhead(
  p: Plan,
  e: Evaluated,
): { readonly before: readonly Stmt[]; readonly end: readonly Stmt[]; readonly registers: readonly Buffer[] } {
  const global = new Map([...p.buffers.values()].filter((b) => b.space === "global").map((b) => [b.name, b]));
  if (p.passes !== 1 || namesIndices(e.end)) return { before: [], end: e.end, registers: [] };
  const row = variable(e.row, 0, 1 << 24);
  const found = new Map<string, { readonly register: Buffer; readonly from: Value }>();
  const end = rewriteStmts(e.end, {
    load: (v) => {
      const b = global.get(v.buffer);
      if (!b) return undefined;
      const key = `${v.buffer} ${show(v.index)}`;
      const known = found.get(key) ?? {
        register: { name: p.fresh("early"), dtype: computeDType(b.dtype), space: "reg", size: 1 },
        from: v,
      };
      found.set(key, known);
      return load(known.register, row);
    },
  });
  const list = [...found.values()];
  return { before: list.map(({ register, from }) => store(register, row, from)), end, registers: list.map((x) => x.register) };
}

/** Asks for what the main sweep reads of long contiguous rows, one line of the cache after the other. */
function streams(p: Plan, body: readonly Stmt[], ahead: number, [u, v]: readonly [Axis, Axis]): readonly Stmt[] {
  if (!ahead) return [];
  const far = (index: Dim, bytes: number): Dim | undefined => (dependsOn(index, "pid") ? add(index, ahead / bytes) : undefined);
  // Words are done with so fast that filling the first cache as well takes longer than they are worth; narrower elements are not.
  return prefetches(p.buffers.values(), body, [u, v], far, (bytes) => bytes >= 4);
}

const restOf = (s: Sum): Buffer => ({ ...s.accumulator, name: s.accumulator.name.replace(/^acc/, "rest") });
/** Registers of the scalar tail: accumulators have their own, other registers get their own copy (row values are shared). */
function rename(e: Evaluated): (b: string) => string {
  const own = new Set(e.sums.map((s) => s.accumulator.name));
  const copies = new Set(e.locals.filter((b) => b.name.startsWith("pick")).map((b) => b.name));
  return (b) => (own.has(b) ? b.replace(/^acc/, "rest") : copies.has(b) ? `${b}t` : b);
}
function holding(t: SpaceTiling, cols: Dim, target: Target): SpaceTiling["hold"] {
  if (t.hold !== "shared") return t.hold;
  const room = Math.min(target.sharedBytes, (target.caches[1] ?? 1 << 20) / 2);
  return hi(cols) * bytesOf("f64") <= room ? "shared" : "nothing";
}
/** True where a statement reads an index from memory. */
export function namesIndices(body: readonly Stmt[]): boolean {
  let found = false;
  eachStmt(body, (s) => {
    if (s.kind === "letIndex") found = true;
  });
  return found;
}
