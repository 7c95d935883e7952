/**
 * Tiles of a matrix unit's operands: what lies in memory as the unit takes it is copied in the background; everything else goes
 * through registers, loaded before the tile in use is multiplied and computed after it.
 */
import { bytesOf, computeDType } from "../../../core/dtype.js";
import { add, type Dim, div, divides, hi, lo, min, mod, mul, stride, sub, variable } from "../../../core/expr.js";
import {
  type Axis,
  apply,
  at,
  axis,
  type Buffer,
  below,
  constant,
  load,
  loops,
  ref,
  type Stmt,
  store,
  type Test,
  type Value,
} from "../../kernel.js";
import { across, type Contract, type State } from "./contract.js";
import type { Operand } from "./operands.js";
import type { Advance, Inner } from "./stage.js";
import type { Role } from "./tiling.js";

/** How an operand comes from memory. */
export interface Feed {
  /** The direction in which its elements lie side by side. */
  readonly minor: "k" | "across";
  /** Neighbours that are one access. */
  readonly wide: number;
  /** The bytes are what the unit takes: nothing to compute. */
  readonly copied: boolean;
}
/** An element of a buffer. */
export type Load = Extract<Value, { kind: "load" }>;

/** The loads of a value, each once. */
export function loadsOf(v: Value, found: Map<string, Load> = new Map()): ReadonlyMap<string, Load> {
  if (v.kind === "load") found.set(keyOf(v), v);
  else if (v.kind === "op") for (const a of v.args) loadsOf(a, found);
  else if (v.kind === "select") for (const a of [v.then, v.else]) loadsOf(a, found);
  return found;
}
/** What tells loads apart. */
export const keyOf = (v: Load): string => `${v.buffer} ${typeof v.index === "number" ? v.index : v.index.key}`;
/** A value in which others stand for loads. */
export function replaceLoads(v: Value, by: ReadonlyMap<string, Value>): Value {
  switch (v.kind) {
    case "load":
      return by.get(keyOf(v)) ?? v;
    case "op":
      return { ...v, args: v.args.map((a) => replaceLoads(a, by)) };
    case "select":
      return { ...v, then: replaceLoads(v.then, by), else: replaceLoads(v.else, by) };
    default:
      return v;
  }
}
const hasSelect = (v: Value): boolean => v.kind === "select" || (v.kind === "op" && v.args.some(hasSelect));

/** How an operand of a unit comes, seen from how its element is computed. */
export function feedOf(x: Contract, role: Role): Feed {
  const { total } = x;
  const loads = (i: Dim, k: Dim): readonly Load[] => {
    const into: Stmt[] = [];
    return x.operands[role].flatMap((o) => [...loadsOf(x.operand(o, i, k, into)).values()]);
  };
  const [i, k] = [variable("i", 0, 1 << 20), variable("k", 0, 1 << 20)];
  // Everything that is read for neighbours lies side by side, and begins where an access may begin: also where an axis is several of memory's.
  const fits = (minor: Feed["minor"], wide: number): boolean => {
    if (!divides(wide, minor === "k" ? total.k : total[across(role)])) return false;
    const first = mul(variable("piece", 0, 1 << 18), wide);
    const place = (n: number): readonly Load[] => (minor === "k" ? loads(i, add(first, n)) : loads(add(first, n), k));
    const [start, next] = [place(0), place(1)];
    const by = start.map((l, j) => (next[j]?.buffer === l.buffer ? sub(next[j].index, l.index) : undefined));
    const begins = (l: Load, j: number): boolean =>
      by[j] === 0 || (by[j] === 1 && divides(wide, l.index) && wide * bytesOf(dtypeOf(x, l.buffer)) <= 16);
    const follow = (n: number): boolean => place(n).every((l, j) => sub(l.index, start[j]!.index) === mul(by[j]!, n));
    return start.every(begins) && Array.from({ length: wide - 2 }, (_, n) => n + 2).every(follow);
  };
  const widest = (minor: Feed["minor"]): number => [8, 4, 2].find((wide) => fits(minor, wide)) ?? 1;
  const found = loads(i, k);
  const side = (n: string): boolean => found.some((l) => stride(l.index, n) === 1);
  const known = side("k") ? "k" : side("i") ? "across" : undefined;
  const minor = known ?? (widest("across") > widest("k") ? "across" : "k");
  const wide = widest(minor);
  const { dtype } = x.t[role]!;
  const plain = !x.unit!.rounds && x.operands[role].every((o) => x.isStored(o) && o.node.type.dtype === dtype);
  return { minor, wide, copied: plain && wide * bytesOf(dtype) === 16 };
}
const dtypeOf = (x: Contract, buffer: string): Buffer["dtype"] => [...x.buffers.values()].find((b) => b.name === buffer)!.dtype;

/** The pieces of a tile that a thread moves, turn by turn: neighbours that go together. */
interface Pieces {
  readonly turns: Axis;
  readonly lanes: Axis;
  /** Where a lane's element lies in the tile. */
  at(lane: Dim): { readonly i: Dim; readonly k: Dim };
  /** Where it comes from; beyond the operand's edges, from its last piece. */
  from(lane: Dim, st: State): { readonly i: Dim; readonly k: Dim };
  /** Tests that its k is one of the operand's. */
  known(lane: Dim, st: State): readonly Test[];
  /** Tests that the thread has a piece at this turn. */
  readonly some: readonly Test[];
}
function piecesOf(x: Contract, role: Role): Pieces {
  const { t, total } = x;
  const { minor, wide } = x.feed(role);
  const name = across(role);
  const [width, depth] = [x.tileOf(role, name), x.tileOf(role, "k")];
  // Where the unit needs rows of k and memory has the others, lanes run along k all the same: threads lie side by side in memory.
  const turned = minor === "across" && x.kInner(role);
  const v = turned ? 16 / bytesOf(t[role]!.dtype) : wide;
  const count = (width * depth) / v;
  const turns = axis(`turn_${role}`, Math.ceil(count / t.threads), "unroll");
  const flat = add(mul(at(turns), t.threads), x.tid);
  const alongK = turned || minor === "k";
  const fast = turned ? width : (alongK ? depth : width) / v;
  const [quick, slow] = [mod(flat, fast), div(flat, fast)];
  const [ni, nk] = turned ? [quick, slow] : alongK ? [slow, quick] : [quick, slow];
  const base = x.origin(role, name);
  /** Pieces stay whole, so that an access stays aligned also where it is moved back inside. */
  const inside = (start: Dim, n: Dim, by: number, lane: Dim, size: Dim, tile: number, together: boolean): Dim => {
    const straight = add(start, mul(n, by), lane);
    if (divides(tile, size)) return straight;
    if (!together) return min(straight, sub(size, 1));
    return add(mul(min(add(div(start, by), n), sub(div(size, by), 1)), by), lane);
  };
  const place = (lane: Dim): { readonly i: Dim; readonly k: Dim } =>
    alongK ? { i: ni, k: add(mul(nk, v), lane) } : { i: add(mul(ni, v), lane), k: nk };
  return {
    turns,
    lanes: axis(`lane_${role}`, v, "vector"),
    at: place,
    from: (lane, st) =>
      alongK
        ? { i: inside(base, ni, 1, 0, total[name], width, false), k: inside(st.off.k, nk, v, lane, total.k, depth, !turned) }
        : { i: inside(base, ni, v, lane, total[name], width, true), k: inside(st.off.k, nk, 1, 0, total.k, depth, false) },
    known: (lane, st) => (divides(depth, total.k) ? [] : [below(add(st.off.k, place(lane).k), total.k)]),
    some: count % t.threads === 0 ? [] : [below(flat, count)],
  };
}
const when = (tests: readonly Test[], body: readonly Stmt[], otherwise?: readonly Stmt[]): readonly Stmt[] =>
  tests.reduceRight<readonly Stmt[]>((b, test) => [{ kind: "if", test, body: b, ...(otherwise && { else: otherwise }) }], body);

/** A tile in the background, a piece at a time; beyond the last k there are zeros. */
function copies(x: Contract, o: Operand, st: State, slot: Dim): readonly Stmt[] {
  const { role } = o;
  const p = piecesOf(x, role);
  const buffer = x.stages.get(o)!;
  const { i, k } = p.from(0, st);
  const place = (lane: Dim): Dim => x.place(role, p.at(lane).i, p.at(lane).k, slot);
  const copy: Stmt = { kind: "copy", to: ref(buffer, place(0)), from: x.address(o, i, k), count: p.lanes.size as number };
  const nothing = loops([p.lanes], [store(buffer, place(at(p.lanes)), constant(0, computeDType(buffer.dtype)))]);
  return loops([p.turns], when(p.some, when(p.known(0, st), [copy], nothing)));
}

/** A tile through registers: `take` loads what it is computed of, `give` computes it. */
function through(x: Contract, o: Operand): { take(st: State): readonly Stmt[]; give(st: State, slot: Dim): readonly Stmt[] } {
  const { role } = o;
  const p = piecesOf(x, role);
  const lane = at(p.lanes);
  const buffer = x.stages.get(o)!;
  const dtype = computeDType(o.node.type.dtype);
  const number = add(mul(at(p.turns), p.lanes.size), lane);
  const size = (p.turns.size as number) * (p.lanes.size as number);
  const element = (st: State, into: Stmt[]): Value => {
    const { i, k } = p.from(lane, st);
    return x.operand(o, i, k, into);
  };
  /** Loads that may wait in registers: few, and none that must not be read. */
  const kept = (v: Value, into: readonly Stmt[]): readonly Load[] | undefined => {
    const loads = [...loadsOf(v).values()];
    return into.length || hasSelect(v) || loads.length > 2 || loads.length === 0 ? undefined : loads;
  };
  const raw = (n: number, of: Value["dtype"]): Buffer => x.register(`${role}Raw${o.index}_${n}`, of, size);
  return {
    take(st) {
      const into: Stmt[] = [];
      const v = element(st, into);
      const loads = kept(v, into);
      const keep = loads ? loads.map((l, n) => store(raw(n, l.dtype), number, l)) : [...into, store(raw(0, dtype), number, v)];
      return loops([p.turns], when(p.some, loops([p.lanes], keep)));
    },
    give(st, slot) {
      const into: Stmt[] = [];
      const v = element(st, into);
      const loads = kept(v, into);
      const computed = loads
        ? replaceLoads(v, new Map(loads.map((l, n) => [keyOf(l), load(raw(n, l.dtype), number)])))
        : load(raw(0, dtype), number);
      const value = x.unit!.rounds ? rounded(computed) : computed;
      const { i, k } = p.at(lane);
      const [known] = p.known(lane, st);
      const zero = constant(0, dtype);
      const inside: Value = known ? { kind: "select", dtype, tests: [known], then: value, else: zero } : value;
      return loops([p.turns], when(p.some, loops([p.lanes], [store(buffer, x.place(role, i, k, slot), inside)])));
    },
  };
}
/** To the 11 bits that a unit for tf32 multiplies, to nearest; what is not finite stays. */
export function rounded(v: Value): Value {
  const bits = apply("bitcast", "u32", v);
  const u = (n: number): Value => constant(n, "u32");
  const up = apply("bitcast", "f32", apply("and", "u32", apply("add", "u32", bits, u(0x1000)), u(0xffffe000)));
  return apply("where", "f32", apply("lt", "bool", apply("and", "u32", bits, u(0x7fffffff)), u(0x7f800000)), up, v);
}

/**
 * A loop over tiles whose copies run as many turns ahead as there are slots to spare. What goes through registers is loaded two turns
 * ahead and computed one turn ahead, so that a load has a whole turn to come.
 */
export function fed(x: Contract, roles: readonly Role[], loop: Axis, advance: Advance, inner: Inner): readonly Stmt[] {
  const depth = x.t.depth;
  const ahead = depth - 1;
  const i = at(loop);
  const all = roles.flatMap((r) => x.operands[r]);
  const copied = all.filter((o) => x.feed(o.role).copied);
  const ways = all.filter((o) => !x.feed(o.role).copied).map((o) => through(x, o));
  const copy = (n: Dim): readonly Stmt[] => copied.flatMap((o) => copies(x, o, advance(n), mod(n, depth)));
  const take = (n: Dim): readonly Stmt[] => ways.flatMap((w) => w.take(advance(n)));
  const give = (n: Dim): readonly Stmt[] => ways.flatMap((w) => w.give(advance(n), mod(n, depth)));
  const commit: readonly Stmt[] = copied.length ? [{ kind: "commit" }] : [];
  const where = (n: Dim, body: readonly Stmt[]): readonly Stmt[] =>
    body.length && hi(loop.size) > lo(n) ? [{ kind: "if", test: below(n, loop.size), body }] : [];
  const first = Array.from({ length: ahead }, (_, s) => [...(s ? where(s, copy(s)) : copy(0)), ...commit]).flat();
  return [
    ...take(0),
    ...first,
    ...give(0),
    ...where(1, take(1)),
    ...loops(
      [loop],
      [
        ...(copied.length ? [{ kind: "wait" as const, pending: ahead - 1 }] : []),
        { kind: "barrier" },
        ...where(add(i, 1), give(add(i, 1))),
        ...where(add(i, 2), take(add(i, 2))),
        ...where(add(i, ahead), copy(add(i, ahead))),
        ...commit,
        ...inner(i, mod(i, depth)),
      ],
    ),
  ];
}
