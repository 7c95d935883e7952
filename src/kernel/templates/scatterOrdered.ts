/**
 * Scatters of long rows on targets with threads: one kernel puts the index in order, and in a second one each element of the result
 * takes what is sent to its row, in row-major order of the index. It passes memory once, however few of its rows the index names.
 */
import { bytesOf, computeDType, type DType, isFloat } from "../../core/dtype.js";
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
/** Threads of a grid point: a power of two, which divides a chunk. */
const threadsOf = (target: Target): number => 2 ** Math.floor(Math.log2(Math.min(256, target.threads)));
/** Keys of an index that lie in shared memory at once, and how many a thread takes one after another. */
const [chunk, together] = [1024, 4];
/** Rows of the source that a thread asks for at once. */
const ahead = 8;

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

/**
 * Counts, for each row and each place, the places that come before it. All threads of a grid point look at the same keys, which lie in shared
 * memory: a place's row, and among places of one row its own number.
 */
function orderPlaces(group: Group, target: Target): Kernel {
  const threads = threadsOf(target);
  const root = group.root!;
  const index = root.inputs[1]!;
  const s = sizesOf(root);
  const { buffer, first, place } = ordered(s);
  const name = namesFor(group);
  const buffers = groupBuffers(group);
  const e = makeEvaluator(group, buffers);
  const starts = add(s.rows, 1);
  const items = add(starts, s.places);
  const lanes = sharesOf(target, hi(mul(s.batches, items)), target.warp ?? 1);
  // A batch has grid points of its own, which see its keys alone.
  const perBatch = ceilDiv(mul(items, lanes), threads);
  const grid = mul(s.batches, perBatch);
  const pid = indexOn("pid", grid);
  const tid = variable("tid", 0, threads - 1);
  const body: Stmt[] = [];
  const batch = digit(body, name("batch"), div(pid, perBatch), s.batches);
  const id = add(mul(mod(pid, perBatch), threads), tid);
  // Threads beyond the last item do it again: where threads meet, all of them take part.
  const item = digit(body, name("item"), min(div(id, lanes), sub(items, 1)), items);
  const lane = mod(id, lanes);
  const own = digit(body, name("own"), max(0, sub(item, starts)), s.places);
  const shape = index.type.shape;
  const i32 = (d: Dim): Value => indexValue(d, "i32");
  const keyOf = (scope: Evaluator, nth: Dim, into: Stmt[], stem: string): Dim => {
    const value = scope.value(index, [...unflatten(batch, shape.slice(0, s.along)), ...unflatten(nth, shape.slice(s.along))], into);
    into.push({ kind: "letIndex", name: name(stem), value, min: 0, max: sub(s.rows, 1) });
    return add(mul(indexOn(name(stem), s.rows), s.places), nth);
  };
  const limit: Value = {
    kind: "select",
    dtype: "i32",
    tests: [below(item, starts)],
    then: i32(mul(item, s.places)),
    else: i32(keyOf(e.scope(), own, body, "mine")),
  };
  body.push({ kind: "let", name: name("limit"), value: limit });
  const keys: Buffer = { name: name("keys"), dtype: "i32", space: "shared", size: chunk };
  const counter: Buffer = { name: name("before"), dtype: "i32", space: "reg", size: 1 };
  body.push(store(counter, 0, constant(0, "i32")));

  const part = axis(name("part"), ceilDiv(s.places, chunk), "loop");
  const fill = axis(name("fill"), chunk / threads, "unroll");
  const slot = add(mul(at(fill), threads), tid);
  const nth = add(mul(at(part), chunk), slot);
  const there: Stmt[] = [];
  there.push(store(keys, slot, i32(keyOf(e.scope({ axes: [part, fill], before: body }), nth, there, "to"))));
  // What is behind the last place comes before nothing.
  const behind = [store(keys, slot, constant(2 ** 31 - 1, "i32"))];
  const filled: readonly Stmt[] = divides(chunk, s.places)
    ? there
    : [{ kind: "if", test: below(nth, s.places), body: there, else: behind }];
  const left = min(chunk, sub(s.places, mul(at(part), chunk)));
  const turn = axis(name("turn"), ceilDiv(left, lanes * together), "loop");
  const u = axis(name("u"), together, "unroll");
  const key = load(keys, add(mul(add(mul(at(turn), lanes), lane), together), at(u)));
  const sooner = apply("lt", "bool", key, { kind: "ref", dtype: "i32", name: name("limit") });
  const counted = apply("add", "i32", load(counter, 0), apply("where", "i32", sooner, constant(1, "i32"), constant(0, "i32")));
  body.push(
    ...loops(
      [part],
      [...loops([fill], filled), { kind: "barrier" }, ...loops([turn, u], [store(counter, 0, counted)]), { kind: "barrier" }],
    ),
  );
  if (lanes > 1) body.push({ kind: "combine", op: "add", axes: [], threads: lanes, value: load(counter, 0), into: ref(counter, 0) });
  const rank: Stmt = { kind: "letIndex", name: name("rank"), value: load(counter, 0), min: 0, max: sub(s.places, 1) };
  const leave: Stmt = {
    kind: "if",
    test: below(item, starts),
    body: [store(buffer, first(batch, min(item, s.rows)), load(counter, 0))],
    else: [rank, store(buffer, place(batch, indexOn(name("rank"), s.places)), i32(own))],
  };
  body.push(lanes > 1 ? { kind: "if", test: below(lane, 1), body: [leave] } : leave);
  const all = [...buffers.values(), { ...buffer, writes: true }, keys, counter, ...e.locals];
  return finishKernel(`${group.name}_order`, all, grid, threads, body);
}

/** How many neighbouring threads share what one would do, at most so many, for enough threads in all. */
const sharesOf = (target: Target, units: number, most: number): number =>
  2 ** Math.floor(Math.log2(Math.max(1, Math.min(most, (target.parallel * threadsOf(target)) / units))));

/** Takes, for each element, the base and what is sent there, and computes what follows. Half floats collect in f32 and round once. */
function takePlaces(group: Group, target: Target): Kernel {
  const threads = threadsOf(target);
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
  // Where there are few elements and many places for each row, neighbouring threads share a row's places.
  const shares = s.combine === "add" && target.warp ? sharesOf(target, hi(units), Math.min(target.warp, hi(s.places) / hi(s.rows))) : 1;
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
  const start0 = e.scope({ axes: [v], before: top }).value(base, here, start);
  const nothing = constant(isFloat(dtype) ? -0 : bytesOf(dtype) < 8 ? 0 : 0n, dtype);
  const started: Value = shares > 1 ? { kind: "select", dtype, tests: [below(share, 1)], then: start0, else: nothing } : start0;
  start.push(store(total, at(v), started));

  // 2. What is sent here, in order; of what only replaces, the last.
  const last = s.combine === "set";
  const u = axis(name("u"), s.combine === "add" ? ahead : 1, "unroll");
  const step = shares * (u.size as number);
  const turn = axis(name("turn"), last ? min(some, 1) : ceilDiv(some, step), "loop");
  const nth = last ? sub(some, 1) : add(mul(at(turn), step), mul(at(u), shares), share);
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
    .scope({ axes: [turn, u, known, v], before: top })
    .value(source, [...unflatten(batch, batchShape), ...sent, ...unflatten(position, rest)], join);
  // Behind a row's last place there is one to read all the same.
  const sentOr: Value = step > 1 ? { kind: "select", dtype, tests: [below(nth, some)], then: value, else: nothing } : value;
  join.push(store(total, at(v), s.combine === "set" ? value : apply(s.combine, dtype, load(total, at(v)), sentOr)));
  take.push(...loops([v], join));

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
  const all = [...body, ...top, ...loops([v], start), ...loops([turn, u], take), ...joined, ...(shares > 1 ? [one] : leaving)];
  const bounded: readonly Stmt[] = shares > 1 || even ? all : [{ kind: "if", test: below(id, units), body: all }];
  return finishKernel(group.name, [...buffers.values(), buffer, total, ...e.locals], grid, threads, bounded);
}
