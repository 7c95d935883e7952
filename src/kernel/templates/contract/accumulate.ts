/** The life of the accumulators: they start at zero or at earlier partial sums, and leave as partial sums or through the epilogue. */
import { add, type Dim, div, divides, indexOn, mod, mul, sub } from "../../../core/expr.js";
import type { Node } from "../../../ir/node.js";
import { type Axis, apply, at, axis, below, load, loops, type MatrixUnit, ref, type Stmt, store, type Value } from "../../kernel.js";
import { fragmentAt, isOpaque } from "../../units.js";
import { epilogueReads } from "./ahead.js";
import { type Contract, nothing, type Product, type State } from "./contract.js";
import { askForTile, loadsFirst } from "./early.js";
import { flat, leave, outputIndex, waiting } from "./leave.js";
import { keepPart, partsOfK } from "./split.js";
import { acrossLanes } from "./sums.js";
import { tileAccumulators } from "./tiles.js";
import { isShifted, unshifted } from "./words.js";

type Then = (m: Dim, n: Dim, values: readonly Value[], into: Stmt[]) => void;

export function accumulate(x: Contract, st: State, body: readonly Stmt[]): readonly Stmt[] {
  const { unit, I, J, L, cell, acc, t, total, dtype, products } = x;
  const inner = isShifted(x) ? unshifted(x, body) : body;
  if (t.micro.along === "k") return acrossLanes(x, st, inner);
  if (unit && isOpaque(unit)) return tileAccumulators(x, st, unit, body);
  const forAll = (s: (p: Product) => Stmt, axes: readonly Axis[]): readonly Stmt[] => products.flatMap((p) => loops(axes, [s(p)]));
  const zero = unit
    ? forAll((p) => ({ kind: "fill", unit, acc: ref(acc, cell(p)) }), [I, J])
    : forAll((p) => store(acc, cell(p), nothing(dtype)), [I, J, L]);
  const epilogue =
    partsOfK(x) > 1
      ? each(x, st, (m, n, v, into) => keepPart(x, m, n, v, into))
      : unit && t.leave === "regrouped" && (x.group.inPlace ?? []).length < 2
        ? regrouped(x, st, unit)
        : unit && t.leave === "parts"
          ? parts(x, st, unit)
          : each(x, st, (m, n, v, into) => leave(x, v, m, n, into));
  const outer = t.levels.slice(0, t.accumulate).find((l) => l.axis === "k" && l.on === "loop");
  const single = !outer || (typeof total.k === "number" && total.k <= outer.tile);
  const asked = unit && t.leave === "parts" && partsOfK(x) === 1 ? askForTile(x, st) : epilogueReads(x, st);
  if (single && t.leave !== "swept") return [...zero, ...asked, ...inner, ...epilogue];
  if (t.partial) return inBlocks(x, st, outer!.tile, [...zero, ...inner], asked, epilogue);
  // k is cut into blocks, or a sweep follows: sums wait in scratch.
  const place = (p: Product): Dim => waiting(x, p, st, at(I), add(mul(at(J), x.vector), at(L)));
  const resume = forAll((p) => store(acc, cell(p), load(x.partial, place(p))), [I, J, L]);
  const keep = forAll((p) => store(x.partial, place(p), load(acc, cell(p))), [I, J, L]);
  const start: readonly Stmt[] = single ? zero : [{ kind: "if", test: below(st.off.k, 1), body: zero, else: resume }];
  if (t.leave === "swept" || !outer) return [...start, ...asked, ...inner, ...keep];
  const last = below(add(st.off.k, outer.tile), total.k);
  const before: readonly Stmt[] = asked.length ? [{ kind: "if", test: last, body: [], else: asked }] : [];
  return [...start, ...before, ...inner, { kind: "if", test: last, body: keep, else: epilogue }];
}

/** Sums of blocks of k, each taken from zero, are added up; the last one takes them all to the epilogue. */
function inBlocks(
  x: Contract,
  st: State,
  block: number,
  sums: readonly Stmt[],
  asked: readonly Stmt[],
  epilogue: readonly Stmt[],
): readonly Stmt[] {
  const { I, J, L, cell, acc, partial, dtype, products } = x;
  const forAll = (s: (p: Product) => Stmt): readonly Stmt[] => products.flatMap((p) => loops([I, J, L], [s(p)]));
  const place = (p: Product): Dim => (x.t.partial === "memory" ? inMemory(x, p) : cell(p));
  const extend = forAll((p) => store(acc, cell(p), apply("add", dtype, load(partial, place(p)), load(acc, cell(p)))));
  const keep = forAll((p) => store(partial, place(p), load(acc, cell(p))));
  const more = below(add(st.off.k, block), x.total.k);
  const early: readonly Stmt[] = asked.length ? [{ kind: "if", test: more, body: [], else: asked }] : [];
  return [
    ...early,
    ...sums,
    { kind: "if", test: below(st.off.k, 1), body: [], else: extend },
    { kind: "if", test: more, body: keep, else: epilogue },
  ];
}
/** Where a thread keeps the sum of (I, J, L) in memory: threads lie side by side, a vector each. */
function inMemory({ I, J, L, t, vector, nr, cells, tid, points, products }: Contract, p: Product): Dim {
  const number = add(mul(at(I), nr / vector), at(J), (p.index * cells) / vector);
  const own = add(mul(add(mul(number, t.threads), tid), vector), at(L));
  return add(mul(indexOn("pid", points), t.threads * cells * products.length), own);
}

/** Whether no tile reaches beyond the result: loops stop in time, but threads all run. */
function whole(x: Contract, a: "m" | "n"): boolean {
  const levels = x.t.levels.filter((l) => l.axis === a);
  return levels.every((l, i) => (i + 1 < levels.length && levels[i + 1]!.on !== "threads") || divides(l.tile, x.total[a]));
}

/** Statements of the result's element (m, n), where there is one. */
function inside(x: Contract, m: Dim, n: Dim, s: readonly Stmt[]): readonly Stmt[] {
  const byColumn: readonly Stmt[] = whole(x, "n") ? s : [{ kind: "if", test: below(n, x.total.n), body: s }];
  return whole(x, "m") ? byColumn : [{ kind: "if", test: below(m, x.total.m), body: byColumn }];
}
/** Whether a value reads more than the accumulators. */
function reads(x: Contract, v: Value): boolean {
  switch (v.kind) {
    case "load":
      return v.buffer !== x.acc.name;
    case "op":
      return v.args.some((a) => reads(x, a));
    case "select":
      return reads(x, v.then) || reads(x, v.else);
    default:
      return false;
  }
}

/** Runs `then` for every accumulator that this thread holds and that lies inside the result. */
function each(x: Contract, st: State, then: Then): readonly Stmt[] {
  const { unit, I, J, L, cell, acc, total, vector, products } = x;
  if (!unit) {
    const m = add(st.off.m, at(I));
    const n = add(st.off.n, mul(at(J), vector), at(L));
    const body: Stmt[] = [];
    then(
      m,
      n,
      products.map((p) => load(acc, cell(p))),
      body,
    );
    if (x.spills) return throughScratch(x, st, then);
    // The row test stands outside the lanes, so that only the column test is per lane.
    const columns = loops([J, L], whole(x, "n") ? body : [{ kind: "if", test: below(n, total.n), body }]);
    return loops([I], whole(x, "m") ? columns : [{ kind: "if", test: below(m, total.m), body: columns }]);
  }
  // The layout of the fragment is known: straight from registers, two neighbours at a time.
  const pairs = Array.from({ length: x.perLane / 2 }, (_, h) => {
    const pair = axis(`h${h}`, 2, "vector");
    const [r, c] = fragmentAt(unit.layout!, x.lane, 2 * h);
    const m = add(st.off.m, mul(at(I), unit.m), r);
    const n = add(st.off.n, mul(at(J), unit.n), c, at(pair));
    const one: Stmt[] = [];
    then(
      m,
      n,
      products.map((p) => load(acc, add(cell(p), 2 * h, at(pair)))),
      one,
    );
    return loops([pair], inside(x, m, n, one));
  });
  return loops([I, J], pairs.flat());
}

/** A long epilogue would be printed once for every register: the tile goes to scratch, and a loop over its rows computes it. */
function throughScratch(x: Contract, st: State, then: Then): readonly Stmt[] {
  const { I, J, L, cell, acc, total, vector, spilled, mr, nr, products } = x;
  const row = axis("row", mr, "loop");
  const column = add(mul(at(J), vector), at(L));
  const m = add(st.off.m, at(row));
  const n = add(st.off.n, column);
  const body: Stmt[] = [];
  then(
    m,
    n,
    products.map((p) => load(spilled, add(mul(at(row), nr), column, p.index * mr * nr))),
    body,
  );
  const columns = loops([J, L], whole(x, "n") ? body : [{ kind: "if", test: below(n, total.n), body }]);
  return [
    ...products.flatMap((p) => loops([I, J, L], [store(spilled, cell(p), load(acc, cell(p)))])),
    ...loops([row], whole(x, "m") ? columns : [{ kind: "if", test: below(m, total.m), body: columns }]),
  ];
}

/**
 * A row of fragments of every warp at a time goes to shared memory as f32; then all threads walk over those rows, neighbours side by
 * side: the epilogue is written once, and what it reads and writes is wide.
 */
function parts(x: Contract, st: State, unit: MatrixUnit): readonly Stmt[] {
  const { I, J, t, part, partWidth, tid, products } = x;
  const block = (a: "m" | "n"): number => t.levels.find((l) => l.axis === a && l.on === "grid")!.tile;
  const rows = (block("m") / x.mr) * unit.m;
  const lanes = 4;
  const inBlock = (a: "m" | "n"): Dim => x.inGridPoint(st, a);
  const own = mul(div(inBlock("m"), x.mr), unit.m);
  const fill = products.flatMap((p) =>
    Array.from({ length: x.perLane / 2 }, (_, h) => {
      const pair = axis(`h${h}`, 2, "vector");
      const [r, c] = fragmentAt(unit.layout!, x.lane, 2 * h);
      const there = add(mul(add(own, r), partWidth), inBlock("n"), mul(at(J), unit.n), c, at(pair), p.index * x.partSize);
      return loops([pair], [store(part, there, load(x.acc, add(x.cell(p), 2 * h, at(pair))))]);
    }).flat(),
  );
  // Some turns at once: what the epilogue reads comes from far away.
  const turns = (rows * block("n")) / (t.threads * lanes);
  const some = turns % 4 === 0 ? 4 : turns % 2 === 0 ? 2 : 1;
  const [q, u] = [axis("q", turns / some, "loop"), axis("u", some, "unroll")];
  const l = axis("l", lanes, "vector");
  const position = mul(add(mul(add(mul(at(q), some), at(u)), t.threads), tid), lanes);
  const row = div(position, block("n"));
  const column = add(mod(position, block("n")), at(l));
  const m = add(sub(st.off.m, inBlock("m")), mul(div(row, unit.m), x.mr), mul(at(I), unit.m), mod(row, unit.m));
  const n = add(sub(st.off.n, inBlock("n")), column);
  const body: Stmt[] = [];
  const values = products.map((p) => load(part, add(mul(row, partWidth), column, p.index * x.partSize)));
  leave(x, values, m, n, body);
  const within = (s: readonly Stmt[]): readonly Stmt[] => {
    const columns: readonly Stmt[] = loops([l], whole(x, "n") ? s : [{ kind: "if", test: below(n, x.total.n), body: s }]);
    return whole(x, "m") ? columns : [{ kind: "if", test: below(m, x.total.m), body: columns }];
  };
  const out = loops([q], loadsFirst(x, u, l, body, within));
  return loops([I], [{ kind: "barrier" }, ...loops([J], fill), { kind: "barrier" }, ...out]);
}

/** Epilogue in registers, then 16 rows x 64 columns at a time through a warp's own corner of shared memory, so that stores are 16 bytes. */
function regrouped(x: Contract, st: State, unit: MatrixUnit): readonly Stmt[] {
  const width = 64;
  const pitch = width + 8;
  const held = (width * 16) / 32;
  const { I, corners } = x;
  const corner = mul(div(x.tid, 32), 16 * pitch);
  const first = mul(div(x.lane, 32), 16);
  const chunk = axis("chunk", (x.nr / unit.n) * (unit.n / width), "unroll");
  const start = add(mul(at(I), (x.nr / unit.n) * x.perLane), mul(at(chunk), held));
  const q = axis("q", (16 * width) / (32 * 8), "unroll");
  const l = axis("l", 8, "vector");
  const position = mul(add(mul(at(q), 32), mod(x.tid, 32)), 8);
  const row = div(position, width);
  const column = add(mod(position, width), at(l));
  const m0 = add(st.off.m, mul(at(I), unit.m));
  const n0 = add(st.off.n, mul(at(chunk), width));
  // What is written over is read by all others first.
  const isOver = (o: Node): boolean => (x.group.inPlace ?? []).some((d) => d.output === o);
  const order = [...x.group.outputs].sort((a, b) => Number(isOver(a)) - Number(isOver(b)));
  return order.flatMap((o) => {
    const which = x.group.outputs.indexOf(o);
    const fill = Array.from({ length: held / 2 }, (_, h) => {
      const pair = axis(`h${h}`, 2, "vector");
      const [r, c0] = fragmentAt(unit.layout!, x.lane, 2 * h);
      const c = add(c0, at(pair));
      const body: Stmt[] = [];
      const products = x.products.map((p) => load(x.acc, add(start, p.index * x.cells, 2 * h, at(pair))));
      const value = x.epilogue(products).value(o, outputIndex(x, o.type.shape, add(m0, r), add(n0, c)), body);
      const kept = store(corners, add(corner, mul(sub(r, first), pitch), c), value);
      // A value alone may be computed beyond the edge; what it reads may not.
      return loops([pair], body.length || reads(x, value) ? inside(x, add(m0, r), add(n0, c), [...body, kept]) : [kept]);
    }).flat();
    const out = inside(x, add(m0, first, row), add(n0, column), [
      store(
        x.outs[which]!,
        flat(x, add(m0, first, row), add(n0, column), x.group.pitches?.get(o)),
        load(corners, add(corner, mul(row, pitch), column)),
      ),
    ]);
    return loops([I, chunk], [...fill, { kind: "barrier", warp: true }, ...loops([q, l], out), { kind: "barrier", warp: true }]);
  });
}
