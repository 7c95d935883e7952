/**
 * Scatters of long rows on targets with threads: one kernel puts the index in order, and in a second one each element of the result
 * takes what is sent to its row, in row-major order of the index. It passes memory once, however few of its rows the index names.
 */
import { computeDType, type DType } from "../../core/dtype.js";
import { add, ceilDiv, type Dim, div, divides, hi, indexOn, max, min, mod, mul, sub, variable } from "../../core/expr.js";
import { numel } from "../../core/type.js";
import type { Node } from "../../ir/node.js";
import { flatten, unflatten } from "../../ops/movement.js";
import type { Target } from "../codegen.js";
import { type Evaluator, makeEvaluator, namesFor } from "../evaluate.js";
import { type Group, groupBuffers } from "../group.js";
import {
  apply,
  at,
  axis,
  type Buffer,
  below,
  type Combiner,
  constant,
  indexValue,
  type Kernel,
  load,
  loops,
  ref,
  type Stmt,
  store,
  type Value,
} from "../kernel.js";
import { reindex } from "../positions.js";
import { lanesFor } from "../tiling.js";
import { finishKernel } from "../walk.js";

/** Places below which threads that each look at the whole index are done sooner, and elements of a row that are worth its order. */
const [fewPlaces, shortRow] = [32, 32];
/** Comparisons for an index's order that are still less than what they save. */
const mostCompared = 2 ** 30;
const threads = 256;

/** What a scatter's root says: sizes of the result [batch, rows, width] and how many places the index has for each batch. */
interface Sizes {
  readonly along: number;
  readonly combine: Combiner | "set";
  readonly batches: Dim;
  readonly rows: Dim;
  readonly width: Dim;
  readonly places: Dim;
}
function sizesOf(root: Node): Sizes {
  const { axis: along, combine } = root.attrs as { axis: number; combine: Combiner | "set" };
  const { shape } = root.type;
  const places = numel(root.inputs[1]!.type.shape.slice(along));
  return { along, combine, batches: numel(shape.slice(0, along)), rows: shape[along]!, width: numel(shape.slice(along + 1)), places };
}

/** Whether an index is worth putting in order. */
export function worthOrder(root: Node, target: Target): boolean {
  const { batches, rows, width, places } = sizesOf(root);
  return (
    target.threads > 1 &&
    hi(width) >= shortRow &&
    hi(places) >= fewPlaces &&
    hi(batches) * (hi(rows) + hi(places)) * hi(places) <= mostCompared
  );
}

/**
 * What the first kernel leaves, for each batch: for each row, and behind the last one, how many places send to rows before it; then the places, in order
 * of their rows and among those of one row as they were.
 */
function ordered(s: Sizes): { readonly buffer: Buffer; first(batch: Dim, row: Dim): Dim; place(batch: Dim, nth: Dim): Dim } {
  const starts = add(s.rows, 1);
  const size = mul(s.batches, add(starts, s.places));
  return {
    buffer: { name: "tmp0", dtype: "i32", space: "global", size },
    first: (batch, row) => add(mul(batch, starts), row),
    place: (batch, nth) => add(mul(s.batches, starts), mul(batch, s.places), nth),
  };
}

/** A digit of a position, by a name of its own. */
function digit(into: Stmt[], name: string, value: Dim, limit: Dim): Dim {
  if (typeof value === "number") return value;
  into.push({ kind: "letIndex", name, value: indexValue(value, "i64"), min: 0, max: sub(limit, 1) });
  return indexOn(name, limit);
}

/** Both kernels. */
export function lowerOrdered(group: Group, target: Target): readonly Kernel[] {
  return [orderPlaces(group, target), takePlaces(group, target)];
}

/** Counts, for each row and each place, the places that come before it: neighbouring threads look at a share of the index each. */
function orderPlaces(group: Group, target: Target): Kernel {
  const root = group.root!;
  const index = root.inputs[1]!;
  const s = sizesOf(root);
  const { buffer, first, place } = ordered(s);
  const name = namesFor(group);
  const buffers = groupBuffers(group);
  const e = makeEvaluator(group, buffers);
  const lanes = target.warp ?? 1;
  const items = add(s.rows, 1, s.places);
  const units = mul(s.batches, items);
  const grid = ceilDiv(mul(units, lanes), threads);
  const id = add(mul(indexOn("pid", grid), threads), variable("tid", 0, threads - 1));
  const body: Stmt[] = [];
  // Threads beyond the last item do it again: what threads combine, all of them take part in.
  const unit = digit(body, name("unit"), min(div(id, lanes), sub(units, 1)), units);
  const lane = mod(id, lanes);
  const batch = digit(body, name("batch"), div(unit, items), s.batches);
  const item = digit(body, name("item"), mod(unit, items), items);
  const own = digit(body, name("own"), max(0, sub(item, add(s.rows, 1))), s.places);
  const shape = index.type.shape;
  const row = (scope: Evaluator, nth: Dim, into: Stmt[], stem: string): Dim => {
    const value = scope.value(index, [...unflatten(batch, shape.slice(0, s.along)), ...unflatten(nth, shape.slice(s.along))], into);
    into.push({ kind: "letIndex", name: name(stem), value, min: 0, max: sub(s.rows, 1) });
    return indexOn(name(stem), s.rows);
  };
  const mine = row(e.scope(), own, body, "mine");
  const limit: Value = {
    kind: "select",
    dtype: "i64",
    tests: [below(item, add(s.rows, 1))],
    then: indexValue(item, "i64"),
    else: indexValue(mine, "i64"),
  };
  body.push({ kind: "letIndex", name: name("limit"), value: limit, min: 0, max: s.rows });
  const i32 = (d: Dim): Value => indexValue(d, "i32");
  const counter: Buffer = { name: name("before"), dtype: "i32", space: "reg", size: 1 };
  const turn = axis(name("turn"), ceilDiv(s.places, lanes), "loop");
  const nth = add(mul(at(turn), lanes), lane);
  const look: Stmt[] = [];
  const to = row(e.scope({ axes: [turn], before: body }), nth, look, "to");
  const before = indexOn(name("limit"), add(s.rows, 1));
  const sooner = apply("lt", "bool", i32(to), i32(before));
  const earlier = apply("and", "bool", apply("eq", "bool", i32(to), i32(before)), apply("lt", "bool", i32(nth), i32(own)));
  const counts = apply("where", "i32", apply("or", "bool", sooner, earlier), constant(1, "i32"), constant(0, "i32"));
  look.push(store(counter, 0, apply("add", "i32", load(counter, 0), counts)));
  body.push(
    store(counter, 0, constant(0, "i32")),
    ...loops([turn], divides(lanes, s.places) ? look : [{ kind: "if", test: below(nth, s.places), body: look }]),
  );
  if (lanes > 1) body.push({ kind: "combine", op: "add", axes: [], threads: lanes, value: load(counter, 0), into: ref(counter, 0) });
  const rank: Stmt = { kind: "letIndex", name: name("rank"), value: load(counter, 0), min: 0, max: sub(s.places, 1) };
  const leave: Stmt = {
    kind: "if",
    test: below(item, add(s.rows, 1)),
    body: [store(buffer, first(batch, min(item, s.rows)), load(counter, 0))],
    else: [rank, store(buffer, place(batch, indexOn(name("rank"), s.places)), i32(own))],
  };
  body.push(lanes > 1 ? { kind: "if", test: below(lane, 1), body: [leave] } : leave);
  return finishKernel(`${group.name}_order`, [...buffers.values(), { ...buffer, writes: true }, counter, ...e.locals], grid, threads, body);
}

/** In how many shares neighbouring threads take the places of a row, where there are few elements and many places for each row. */
function sharesOfRow(target: Target, s: Sizes, elements: number): number {
  if (s.combine !== "add" || !target.warp) return 1;
  const most = Math.min(target.warp, hi(s.places) / hi(s.rows), (target.parallel * threads) / elements);
  return 2 ** Math.floor(Math.log2(Math.max(1, most)));
}

/** Takes, for each element, the base and what is sent there, and computes what follows. Half floats collect in f32 and round once. */
function takePlaces(group: Group, target: Target): Kernel {
  const root = group.root!;
  const [base, index, source] = root.inputs as readonly [Node, Node, Node];
  const s = sizesOf(root);
  const { buffer, first, place } = ordered(s);
  const { shape } = root.type;
  const [batchShape, rest] = [shape.slice(0, s.along), shape.slice(s.along + 1)];
  const dtype: DType = s.combine === "set" ? root.type.dtype : computeDType(root.type.dtype);
  const name = namesFor(group);
  const buffers = groupBuffers(group);
  const lanes = lanesFor(target, s.width, [root.type.dtype, source.type.dtype]);
  const columns = div(s.width, lanes);
  const units = mul(s.batches, mul(s.rows, columns));
  const shares = sharesOfRow(target, s, hi(units));
  const grid = ceilDiv(mul(units, shares), threads);
  const id = add(mul(indexOn("pid", grid), threads), variable("tid", 0, threads - 1));
  const even = divides(threads, mul(units, shares));
  const share = mod(id, shares);
  const body: Stmt[] = [];
  // Threads beyond the last element do it again where threads combine, as all of them must take part.
  const unit = shares > 1 ? digit(body, name("unit"), min(div(id, shares), sub(units, 1)), units) : id;
  const column = digit(body, name("column"), mod(unit, columns), columns);
  const row = digit(body, name("row"), mod(div(unit, columns), s.rows), s.rows);
  const batch = digit(body, name("batch"), min(div(unit, mul(columns, s.rows)), sub(s.batches, 1)), s.batches);
  const v = axis(name("lane"), lanes, "vector");
  const position = add(mul(column, lanes), at(v));
  const here = [...unflatten(batch, batchShape), row, ...unflatten(position, rest)];
  const total: Buffer = { name: name("total"), dtype, space: "reg", size: lanes };
  const e = makeEvaluator(group, buffers, new Map([[root, () => load(total, at(v))]]));

  const readAt = (stem: string, where: Dim, less: Dim): Dim => {
    const value = apply("sub", "i32", load(buffer, where), indexValue(less, "i32"));
    body.push({ kind: "letIndex", name: name(stem), value, min: 0, max: s.places });
    return indexOn(name(stem), add(s.places, 1));
  };
  const from = readAt("from", first(batch, row), 0);
  const some = readAt("some", first(batch, add(row, 1)), from);
  const top: Stmt[] = [];

  // 1. The base, in the first share.
  const start: Stmt[] = [];
  const before = e.scope({ axes: [v], before: top }).value(base, here, start);
  const nothing = constant(-0, dtype);
  const first0: Value = shares > 1 ? { kind: "select", dtype, tests: [below(share, 1)], then: before, else: nothing } : before;
  start.push(store(total, at(v), first0));

  // 2. What is sent here, in order; of what only replaces, the last.
  const last = s.combine === "set";
  const turn = axis(name("turn"), last ? min(some, 1) : ceilDiv(some, shares), "loop");
  const nth = last ? sub(some, 1) : add(mul(at(turn), shares), share);
  const take: Stmt[] = [];
  const own = add(from, nth);
  take.push({
    kind: "letIndex",
    name: name("sent"),
    value: load(buffer, place(batch, max(0, min(own, sub(s.places, 1))))),
    min: 0,
    max: sub(s.places, 1),
  });
  const known = axis(name("sent"), s.places, "loop");
  const sent = unflatten(at(known), index.type.shape.slice(s.along));
  const join: Stmt[] = [];
  const value = e
    .scope({ axes: [turn, known, v], before: top })
    .value(source, [...unflatten(batch, batchShape), ...sent, ...unflatten(position, rest)], join);
  join.push(store(total, at(v), s.combine === "set" ? value : apply(s.combine, dtype, load(total, at(v)), value)));
  take.push(...loops([v], join));
  const guarded: readonly Stmt[] = shares > 1 ? [{ kind: "if", test: below(nth, some), body: take }] : take;

  // 3. What leaves.
  const leave: Stmt[] = [];
  const scope = e.scope({ axes: [v], before: top, fence: true });
  const values = group.outputs.map((o) => scope.value(o, reindex(here, shape, o.type.shape), leave));
  for (const [i, x] of values.entries()) leave.push({ kind: "let", name: `leaving${i}`, value: x });
  for (const [i, o] of group.outputs.entries()) {
    const x: Value = { kind: "ref", dtype: computeDType(values[i]!.dtype), name: `leaving${i}` };
    leave.push(store(buffers.get(o)!, flatten(reindex(here, shape, o.type.shape), o.type.shape), x));
  }
  const l = axis(name("l"), lanes, "unroll");
  const joined: readonly Stmt[] =
    shares > 1
      ? loops([l], [{ kind: "combine", op: "add", axes: [], threads: shares, value: load(total, at(l)), into: ref(total, at(l)) }])
      : [];
  const leaving = loops([v], leave);
  const one: Stmt = { kind: "if", test: below(share, 1), body: leaving };
  const all = [...body, ...top, ...loops([v], start), ...loops([turn], guarded), ...joined, ...(shares > 1 ? [one] : leaving)];
  const bounded: readonly Stmt[] = shares > 1 || even ? all : [{ kind: "if", test: below(id, units), body: all }];
  return finishKernel(group.name, [...buffers.values(), buffer, total, ...e.locals], grid, threads, bounded);
}
