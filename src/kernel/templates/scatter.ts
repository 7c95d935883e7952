/**
 * Writing at positions that are data (scatter, index put, embedding gradients): each grid point owns part of the result, takes the
 * base, and joins what the index sends there in row-major order of the index. The result does not depend on how work is shared out.
 */
import { bytesOf, computeDType, type DType } from "../../core/dtype.js";
import { add, ceilDiv, type Dim, div, divides, hi, indexOn, max, min, mod, mul, sub, variable } from "../../core/expr.js";
import { numel } from "../../core/type.js";
import { is, type Node } from "../../ir/node.js";
import { scatterOp } from "../../ops/gather.js";
import { flatten, unflatten } from "../../ops/movement.js";
import { iotaOp } from "../../ops/source.js";
import type { Target, Template } from "../codegen.js";
import { makeEvaluator, namesFor } from "../evaluate.js";
import { type Group, groupBuffers, hasElements } from "../group.js";
import {
  type Axis,
  apply,
  at,
  axis,
  type Buffer,
  below,
  type Combiner,
  indexValue,
  type Kernel,
  load,
  loops,
  type Stmt,
  store,
  type Test,
  type Value,
} from "../kernel.js";
import { reindex } from "../positions.js";
import { lanesFor, streamed } from "../tiling.js";
import { emptyKernel, finishKernel } from "../walk.js";
import { lowerOrdered, worthOrder } from "./scatterOrdered.js";

/** Claims scatters. The base and the source are computed where they are read; what uses the result at the same place follows at once. */
export const scatterTemplate: Template = {
  name: "scatter",
  match(node, target) {
    if (!is(node, scatterOp)) return "not a scatter";
    return target.dtypes.has(node.type.dtype) || `the target has no ${node.type.dtype}`;
  },
  prologue: (node, input) => input !== 1 || isCounting(node.inputs[1]!) || "every part of the result reads the whole index",
  views: () => true,
  epilogue: () => true,
  overwrites: (_node, input) => input === 0,
  readsOnce: (_node, input) => input === 2,
  lower: (group, target) =>
    hasElements(group) && !countsPlaces(group.root!) && worthOrder(group.root!, target)
      ? lowerOrdered(group, target)
      : [lowerScatter(group, target)],
};

/** Positions 0, 1, 2, ..., as they are. */
function isCounting(x: Node): boolean {
  let from = x;
  while (from.op.kind === "movement" && from.inputs.length === 1) from = from.inputs[0]!;
  return is(from, iotaOp);
}

/** Whether the index counts along one axis, so that what it sends to a row is known. */
const countsPlaces = (root: Node): boolean =>
  isCounting(root.inputs[1]!) && root.inputs[1]!.type.shape.length === (root.attrs as { axis: number }).axis + 1;

/** One kernel. Half floats collect in f32 scratch and round once at the end. */
function lowerScatter(group: Group, target: Target): Kernel {
  if (!hasElements(group)) return emptyKernel(group.name);
  const root = group.root!;
  const [base, index, source] = root.inputs as readonly [Node, Node, Node];
  const { axis: along, combine } = root.attrs as { axis: number; combine: Combiner | "set" };
  const { shape } = root.type;
  const batch = shape.slice(0, along);
  const rest = shape.slice(along + 1);
  const places = index.type.shape.slice(along);
  const size = shape[along]!;
  const [b, r, m] = [numel(batch), numel(rest), numel(places)];
  // What is only replaced needs no wider sums.
  const dtype = combine === "set" ? root.type.dtype : computeDType(root.type.dtype);
  const name = namesFor(group);
  const buffers = groupBuffers(group);
  const alone = group.outputs.length === 1;
  // Shares: of the rows' elements first (they need no share of the index), then of the places.
  const dtypes: DType[] = [root.type.dtype, source.type.dtype];
  const counting = countsPlaces(root);
  const share = sharesOf(target, [b, size, r, m], dtypes, counting);
  const unit = add(mul(indexOn("pid", share.grid), share.threads), variable("tid", 0, share.threads - 1));
  const units = mul(b, mul(share.ranges, share.columns));
  const start: Stmt[] = [];
  const digit = (stem: string, value: Dim, limit: Dim): Dim => {
    if (typeof value === "number") return value;
    start.push({ kind: "letIndex", name: name(stem), value: indexValue(value, "i64"), min: 0, max: sub(limit, 1) });
    return indexOn(name(stem), limit);
  };
  const column = digit("column", mod(unit, share.columns), share.columns);
  const range = digit("range", mod(div(unit, share.columns), share.ranges), share.ranges);
  const at0 = digit("batch", div(unit, mul(share.columns, share.ranges)), b);
  const each = ceilDiv(size, share.ranges);
  // What the kernel computes from sums that it keeps apart, in memory of its own, it reads from the cache, and nothing is written twice.
  const there = group.outputs.includes(root) && dtype === root.type.dtype;
  const apart = share.near && !(there && (alone || buffers.get(base) === buffers.get(root)));
  const direct = there && !apart;
  const total: Buffer = direct
    ? buffers.get(root)!
    : apart
      ? { name: "tmp0", dtype, space: "shared", size: mul(each, r) }
      : { name: "tmp0", dtype, space: "global", size: numel(shape), writes: true };
  /** Where this range's total of an element lies: `row` counts from the first of its rows. */
  const cell = (position: Dim, row: Dim, index: readonly Dim[]): Dim => (apart ? add(mul(row, r), position) : flatten(index, shape));
  let result: Dim | undefined;
  const e = makeEvaluator(group, buffers, new Map([[root, (p: readonly Dim[]) => load(total, result ?? flatten(p, shape))]]));
  const first = min(mul(range, each), size);
  const count = min(each, sub(size, first));
  const left = mul(column, share.width);
  const width = share.threads > 1 ? share.width : min(share.width, sub(r, left));

  /** Statements for all elements of this share's columns: lanes, then the rest one by one. */
  const sweep = (make: (position: Dim, axes: readonly [Axis, Axis]) => readonly Stmt[], stem: string): readonly Stmt[] => {
    const { vector } = share;
    const run = (n: Dim, from: Dim, lanes: number): readonly Stmt[] => {
      if (n === 0) return [];
      const [j, v] = [axis(name(`${stem}${lanes > 1 ? "" : "t"}`), n, "loop"), axis(name("lane"), lanes, "vector")];
      return loops([j, ...(lanes > 1 ? [v] : [])], make(add(left, from, mul(at(j), lanes), at(v)), [j, v]));
    };
    if (vector === 1) return run(width, 0, 1);
    return [...run(div(width, vector), 0, vector), ...run(mod(width, vector), mul(div(width, vector), vector), 1)];
  };
  const whole = (position: Dim, row: Dim): Dim[] => [...unflatten(at0, batch), row, ...unflatten(position, rest)];

  const top: Stmt[] = [];

  // 1. The base.
  const place = axis(name("place"), count, "loop");
  const inPlace = buffers.get(base) === total;
  const fill = sweep((p, axes) => {
    const at_ = whole(p, add(first, at(place)));
    const body: Stmt[] = [];
    const v = e.scope({ axes: [place, ...axes], before: top }).value(base, at_, body);
    return [...body, store(total, cell(p, at(place), at_), v)];
  }, "c");

  // 2. What the index sends here, in order.
  // Where the index counts, what it sends here is known: nothing else is looked at.
  const known = counting && knownPlace();
  if (known)
    start.push({ kind: "letIndex", name: name("some"), value: indexValue(max(0, min(count, sub(m, first))), "i64"), min: 0, max: each });
  const k = axis(name("k"), known ? indexOn(name("some"), add(each, 1)) : m, "loop");
  const head: Stmt[] = [];
  if (known) head.push({ kind: "letIndex", name: name("from"), value: indexValue(add(first, at(k)), "i64"), min: 0, max: sub(m, 1) });
  const own = known ? indexOn(name("from"), m) : at(k);
  const here = [...unflatten(at0, batch), ...unflatten(own, places)];
  head.push({ kind: "letIndex", name: name("to"), value: e.scope().value(index, here, head), min: 0, max: sub(size, 1) });
  const to = indexOn(name("to"), size);
  function knownPlace(): boolean {
    const probe = axis(name("k"), m, "loop");
    const v = e.scope().value(index, [...unflatten(at0, batch), at(probe)], []);
    return v.kind === "index" && v.expr === at(probe);
  }
  const rowName = apart ? name("row") : "";
  const row: Dim = apart ? indexOn(rowName, each) : 0;
  const rowOf = indexValue(max(0, min(sub(to, first), sub(each, 1))), "i64");
  const inside: Stmt[] = apart ? [{ kind: "letIndex", name: rowName, value: rowOf, min: 0, max: sub(each, 1) }] : [];
  const join = sweep((p, axes) => {
    const body: Stmt[] = [];
    const v = e
      .scope({ axes: [known ? axis(name("from"), m, "loop") : k, ...axes], before: top })
      .value(source, [...here, ...unflatten(p, rest)], body);
    const where = cell(p, row, whole(p, to));
    const joined: Value = combine === "set" ? v : apply(combine, dtype, load(total, where), v);
    return [...body, store(total, where, joined)];
  }, "d");
  const mine: Test[] = share.ranges === 1 || known ? [] : [below(sub(first, 1), to), below(to, add(first, count))];
  const guarded = mine.reduceRight<readonly Stmt[]>((body, test) => [{ kind: "if", test, body }], [...inside, ...join]);

  // 3. What leaves: the result where it is not there already, and what is computed from it.
  const leaving = group.outputs.filter((o) => !(o === root && direct));
  // What a large table is made of and not made from passes the caches by.
  const streams = apart && divides(share.vector, r) && hi(numel(shape)) * bytesOf(dtype) >= streamed;
  const hintOf = (o: Node): "stream" | undefined => (streams && !group.inPlace?.some((d) => d.output === o) ? "stream" : undefined);
  const finish = leaving.length
    ? sweep((p, axes) => {
        const at_ = whole(p, add(first, at(place)));
        const body: Stmt[] = [];
        if (apart) result = cell(p, at(place), at_);
        const scope = e.scope({ axes: [place, ...axes], before: top, fence: true });
        const values = leaving.map((o) => scope.value(o, reindex(at_, shape, o.type.shape), body));
        for (const i of leaving.keys()) {
          const name = `leaving${i}`;
          body.push({ kind: "let", name, value: values[i]! });
          values[i] = { kind: "ref", dtype: computeDType(values[i]!.dtype), name };
        }
        return [
          ...body,
          ...leaving.map((o, i) => store(buffers.get(o)!, flatten(reindex(at_, shape, o.type.shape), o.type.shape), values[i]!, hintOf(o))),
        ];
      }, "f")
    : [];
  const body: readonly Stmt[] = [
    ...start,
    ...top,
    ...(inPlace ? [] : loops([place], fill)),
    ...loops([k], [...head, ...guarded]),
    ...(finish.length ? loops([place], finish) : []),
  ];
  const bounded: readonly Stmt[] =
    share.threads === 1 || divides(share.threads, units) ? body : [{ kind: "if", test: below(unit, units), body }];
  return finishKernel(group.name, [...buffers.values(), total, ...e.locals], share.grid, share.threads, bounded);
}

/**
 * Ranges of whole rows that stay in the second cache from the base to what is computed last, where a result is larger than that and every
 * range can look at the whole index for a small part of what its elements cost; otherwise undefined.
 */
function nearRanges(target: Target, rows: number, rest: number, places: number): number | undefined {
  const second = target.caches[1] ?? 0;
  const bytes = rows * rest * 4;
  if (!(bytes > second) || !Number.isFinite(bytes)) return undefined;
  const ranges = Math.ceil(bytes / (second / 8));
  return ranges >= 4 * target.parallel && ranges <= rows && ranges * places < (rows * rest) / 16 ? ranges : undefined;
}

interface Share {
  readonly threads: number;
  readonly grid: Dim;
  /** Columns of a share, how many shares they make, and into how many ranges the places are cut. */
  readonly width: number;
  readonly columns: Dim;
  readonly ranges: number;
  readonly vector: number;
  /** All that a share adds up to stays in a cache of its own. */
  readonly near?: true;
}
/** Shares of a result of `batch` times `size` rows of `rest` elements, to which an index of so many places sends. */
function sharesOf(
  target: Target,
  [batch, size, rest, places]: readonly [Dim, Dim, Dim, Dim],
  dtypes: readonly DType[],
  counting: boolean,
): Share {
  const [b, n, r] = [Math.max(1, hi(batch)), Math.max(1, hi(size)), Math.max(1, hi(rest))];
  if (target.threads > 1) {
    // Rows that are put where they are known to go have as many threads as maps have, beside which they may stand.
    const threads = Math.min(target.threads, counting ? 256 : 128);
    // A thread has whole accesses of a row: so few threads as look at all of the index need many bytes on their way.
    const vector = lanesFor(target, rest, dtypes);
    const columns = div(rest, vector);
    const most = Math.ceil(counting ? (n * vector) / 4 : 64 * vector);
    const wanted = Math.ceil(((counting ? 4 : 2) * target.parallel * threads) / (b * Math.max(1, hi(columns))));
    const ranges = Math.max(1, Math.min(n, wanted, most));
    return { threads, grid: ceilDiv(mul(batch, mul(ranges, columns)), threads), width: vector, columns, ranges, vector };
  }
  const vector = lanesFor(target, rest, dtypes);
  const near = counting ? undefined : nearRanges(target, n, r, hi(places));
  if (near) return { threads: 1, grid: mul(batch, near), width: r, columns: 1, ranges: near, vector, near: true };
  const wanted = 4 * target.parallel;
  const small = b * n * r < 1 << 12;
  const width = small ? r : Math.min(r, Math.ceil(Math.max(64, r / Math.ceil(wanted / b)) / vector) * vector);
  const columns = width >= r ? 1 : ceilDiv(rest, width);
  const ranges = small ? 1 : Math.max(1, Math.min(n, Math.ceil(wanted / (b * Math.max(1, hi(columns))))));
  return { threads: 1, grid: mul(batch, mul(ranges, columns)), width, columns, ranges, vector };
}
