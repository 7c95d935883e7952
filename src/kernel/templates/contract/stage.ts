/** Operands on their way into shared storage: copied or computed, at once or in the background. */
import { bytesOf } from "../../../core/dtype.js";
import { add, type Dim, div, divides, hi, mod, mul, sub } from "../../../core/expr.js";
import { type Axis, at, axis, below, loops, ref, type Stmt, store } from "../../kernel.js";
import { across, type Contract, nothing, type State } from "./contract.js";
import { panelsOfWords, tilesOf } from "./fill.js";
import type { Operand } from "./operands.js";
import { guarded, panels } from "./panels.js";
import type { Role } from "./tiling.js";

export type Advance = (i: Dim) => State;
export type Inner = (i: Dim, slot: Dim) => readonly Stmt[];

function stage(x: Contract, o: Operand, st: State, slot: Dim): readonly Stmt[] {
  const { t, total } = x;
  const { role } = o;
  const buffer = x.stages.get(o)!;
  const { layout, dtype } = t[role]!;
  const name = across(role);
  const base = x.origin(role, name);
  const into: Stmt[] = [];
  if (layout.kind === "tiles") return tilesOf(x, o, st);
  if (layout.kind === "panels" && x.unit) return panelsOfWords(x, o, st);
  if (layout.kind === "panels") return panels(x, o, st, layout);
  const width = x.tileOf(role, name);
  const kTile = x.tileOf(role, "k");
  const kInner = x.kInner(role);
  const inner = kInner ? kTile : width;
  const whole = divides(width, total[name]) && divides(kTile, total.k);
  const plain = whole && x.isStored(o) && o.node.type.dtype === dtype;
  const v = plain && t.depth > 1 ? 16 / bytesOf(dtype) : Math.min(4, x.vector, (width * kTile) / t.threads);
  const u = axis(`copy_${role}`, (width * kTile) / (t.threads * v), "unroll");
  const l = axis(`lane_${role}`, v, "vector");
  const flat = add(mul(at(u), t.threads), x.tid);
  const minor = mul(mod(flat, inner / v), v);
  const major = div(flat, inner / v);
  // Lanes lie along memory, or along what lies side by side in shared memory.
  const turned = kInner && layout.kind === "columns" && t.wholeVectors === true && x.isPlain(o);
  const [i, k] = turned ? [mul(div(flat, kTile), v), mod(flat, kTile)] : kInner ? [major, minor] : [minor, major];
  const to = x.place(role, i, k, slot);
  if (plain && t.depth > 1) {
    const from = x.address(o, add(base, i), add(st.off.k, k));
    return loops([u], [{ kind: "copy", to: ref(buffer, to), from, count: v }]);
  }
  const alongK = kInner && !turned;
  const [li, lk] = [alongK ? i : add(i, at(l)), alongK ? add(k, at(l)) : k];
  const [ei, ek] = [add(base, li), add(st.off.k, lk)];
  const there = x.place(role, li, lk, slot);
  into.push(store(buffer, there, x.operand(o, ei, ek, into)));
  return loops(
    [u, l],
    guarded(into, [store(buffer, there, nothing(x.dtype))], [...(whole ? [] : [below(ei, total[name]), below(ek, total.k)])]),
  );
}

/** Fill, use, repeat. */
export function synchronous(x: Contract, roles: readonly Role[], loop: Axis, advance: Advance, inner: Inner, slot: Dim): readonly Stmt[] {
  const fence: readonly Stmt[] = roles.length && x.t.threads > 1 ? [{ kind: "barrier" }] : [];
  return loops(
    [loop],
    [
      ...fence,
      ...roles.flatMap((r) => x.operands[r].flatMap((o) => stage(x, o, advance(at(loop)), 0))),
      ...fence,
      ...inner(at(loop), slot),
    ],
  );
}

/** Software pipeline: background copies run `ahead` tiles in front. A unit that reads shared memory in the background needs one more slot. */
export function pipelined(x: Contract, roles: readonly Role[], loop: Axis, advance: Advance, inner: Inner): readonly Stmt[] {
  const { t, unit } = x;
  const background = unit?.operands === "shared";
  const ahead = t.depth - (background ? 2 : 1);
  const i = at(loop);
  const next = add(i, ahead);
  const use = inner(i, mod(i, t.depth));
  const fill = (to: Dim): readonly Stmt[] => roles.flatMap((r) => x.operands[r].flatMap((o) => stage(x, o, advance(to), mod(to, t.depth))));
  const start = (s: number): readonly Stmt[] => (s < hi(loop.size) ? [{ kind: "if", test: below(s, loop.size), body: fill(s) }] : []);
  const first = Array.from({ length: ahead }, (_, s): readonly Stmt[] => [...start(s), { kind: "commit" }]).flat();
  const fetch: readonly Stmt[] = [{ kind: "if", test: below(next, loop.size), body: fill(next) }, { kind: "commit" }];
  const settle = (pending: number): readonly Stmt[] => (background ? [{ kind: "settle", unit, pending }] : []);
  const order = background ? [...use, ...fetch] : [...fetch, ...use];
  return [...first, ...loops([loop], [{ kind: "wait", pending: ahead - 1 }, { kind: "barrier" }, ...order, ...settle(1)]), ...settle(0)];
}

/**
 * A warp of its own moves whole tiles (`producer`); `full` and `empty` pass the slots back and forth between it and those who multiply
 * (`consumer`).
 */
export function fedByWarp(
  x: Contract,
  roles: readonly Role[],
  loop: Axis,
  advance: Advance,
  inner: Inner,
): { readonly consumer: readonly Stmt[]; readonly producer: readonly Stmt[] } {
  const { t, full, empty } = x;
  const unit = x.unit!;
  const k = at(loop);
  const slot = mod(k, t.depth);
  /** Signals alternate between two phases, one for each turn of a slot. */
  const phase = (i: Dim): Dim => mod(div(i, t.depth), 2);
  const after = (n: number, body: readonly Stmt[]): Stmt => ({ kind: "if", test: below(n, k), body });
  const operands = roles.flatMap((r) => x.operands[r]);
  const tile = (o: Operand): readonly Stmt[] => {
    const r = o.role;
    const { columns, from, first } = x.rows(r)![o.index]!;
    const [wide, deep] = [x.tileOf(r, across(r)), x.tileOf(r, "k")];
    const turned = r === "b" && unit.turned === true;
    const [row, column] = turned ? [advance(k).off.k, x.origin(r, across(r))] : [x.origin(r, across(r)), advance(k).off.k];
    // Rows of a tile in shared memory have as many columns as a unit reads at once.
    return Array.from(
      { length: turned ? wide / unit.n : 1 },
      (_, i): Stmt => ({
        kind: "copyTile",
        to: ref(x.stages.get(o)!, add(mul(slot, x.slotSize(r)), i * unit.n * deep)),
        from,
        origin: [add(first[0], row), add(first[1], column, i * unit.n)],
        box: turned ? [deep, unit.n] : [wide, deep],
        columns,
        signal: ref(full, slot),
      }),
    );
  };
  const bytes = operands.reduce((sum, o) => sum + x.slotSize(o.role) * bytesOf(x.stages.get(o)!.dtype), 0);
  const leave: Stmt = { kind: "signal", op: "arrive", on: ref(empty, mod(sub(k, 1), t.depth)), amount: 1 };
  return {
    producer: loops(
      [loop],
      [
        after(t.depth - 1, [{ kind: "signal", op: "await", on: ref(empty, slot), amount: phase(sub(k, t.depth)) }]),
        { kind: "signal", op: "expect", on: ref(full, slot), amount: bytes },
        ...operands.flatMap(tile),
      ],
    ),
    consumer: [
      ...loops(
        [loop],
        [
          { kind: "signal", op: "await", on: ref(full, slot), amount: phase(k) },
          ...inner(k, slot),
          { kind: "settle", unit, pending: 1 },
          // What the last turn read is settled now.
          after(0, [{ kind: "if", test: below(mod(x.tid, 32), 1), body: [leave] }]),
        ],
      ),
      { kind: "settle", unit, pending: 0 },
    ],
  };
}
