import { computeDType, isFloat } from "../../core/dtype.js";
import { InternalError } from "../../core/errors.js";
import { ceilDiv, type Dim, min, mul, sub, variable } from "../../core/expr.js";
import { numel } from "../../core/type.js";
import type { Node } from "../../ir/node.js";
import { type Given, type LoopScope, makeEvaluator } from "../../kernel/evaluate.js";
import { placeIn } from "../../kernel/group.js";
import { type Axis, apply, at, type Buffer, type Combiner, load, type Stmt, store, type Value } from "../../kernel/kernel.js";
import { reindex } from "../../kernel/positions.js";
import { startOf } from "../../kernel/start.js";

import { type ScalarOp, scalarOps } from "../../ops/scalar.js";
import type { Base, Pair } from "./pairs.js";
import type { MergedAxis, Plan, Reduction } from "./space.js";

/** Which loops surround which statements, outermost first. */
export interface Levels {
  /** Loops outside of the rows that are computed together; what depends on none of them is computed once per grid point. */
  readonly outer: readonly Axis[];
  readonly row: readonly Axis[];
  /** Loops over one row's columns. */
  readonly element: readonly Axis[];
  /** Where row values live when rows are computed together. */
  readonly slot?: number;
  readonly hold: "shared" | "registers" | "nothing";
  /** Elements that leave are not read again soon. */
  readonly stream?: boolean;
  /** Elements leave in the pass that knows them, whatever is written in place: nothing reads them again. */
  readonly early?: boolean;
  /** The plan's maximum and sum that threads take below their own maximum. */
  readonly pair?: Pair | undefined;
}

/** The statements of one sweep over a row: `before` once per row, `body` per element. */
export interface Pass {
  readonly before: readonly Stmt[];
  readonly body: readonly Stmt[];
  readonly sums: readonly Sum[];
}
/** A reduction's accumulator (at `cell`) and the register of its result (at `row`). */
export interface Sum {
  readonly reduction: Reduction;
  readonly op: Combiner;
  readonly accumulator: Buffer;
  readonly result: Buffer;
  readonly start: Value;
}
/** Everything that a group computes, one variable per axis, ready to be put into loops. */
export interface Evaluated {
  readonly top: readonly Stmt[];
  readonly outer: readonly Stmt[];
  readonly passes: readonly Pass[];
  readonly end: readonly Stmt[];
  readonly sums: readonly Sum[];
  /** Registers of values, with sizes set; held values, whose size the loops decide. */
  readonly locals: readonly Buffer[];
  readonly held: readonly Buffer[];
  /** Of the pair, once both have met. */
  readonly base?: Base | undefined;
  readonly cell: string;
  readonly row: string;
  readonly keep: string;
}

/** Part of the columns at a time: a reduced axis cut into chunks, and where each reduction's partial results go ([chunk, row]). */
export interface Window {
  readonly axis: MergedAxis;
  readonly chunks: number;
  readonly into: readonly Buffer[];
}
/** Where a chunk begins and how long it is; all but the last are multiples of `step`. */
export function partOf(w: Window, chunk: Dim, step: number): { readonly begin: Dim; readonly length: Dim } {
  const { size } = w.axis;
  const each = mul(ceilDiv(size, w.chunks * step), step);
  const begin = min(mul(chunk, each), size);
  return { begin, length: min(each, sub(size, begin)) };
}

/** Whether a scalar operation is worth a place of its own rather than being computed again. */
const isCostly = (op: string): boolean => scalarOps[op as ScalarOp].heavy === true || op === "rem";

/** Evaluates a group's passes at symbolic positions. */
export function evaluatePasses(p: Plan, levels: Levels): Evaluated {
  const { group } = p;
  const many = 1 << 24;
  const [cell, row, keep] = [p.fresh("cell"), p.fresh("row"), p.fresh("keep")];
  const sums = p.reductions.map((reduction, i): Sum => {
    const dtype = computeDType(reduction.node.type.dtype);
    const buffer = (name: string): Buffer => ({ name, dtype, space: "reg", size: 1 });
    const op = reduction.node.op.combine;
    if (!op) throw new InternalError(`${group.name}: ${reduction.node.op.name} does not say how it combines`);
    return { reduction, op, accumulator: buffer(`acc${i}`), result: buffer(`sum${i}`), start: startOf(op, dtype) };
  });
  let current = 0;
  const held = heldNodes(p, levels.hold);
  const kept = new Map<Node, { buffer: Buffer; first: number; index: readonly Dim[]; now: Value | undefined }>();
  for (const [node, first] of held) {
    const buffer: Buffer = {
      name: `kept${kept.size}`,
      dtype: computeDType(node.type.dtype),
      space: levels.hold === "registers" ? "reg" : "shared",
      size: 1,
    };
    kept.set(node, {
      buffer,
      first,
      index: reindex(
        p.axes.map(at),
        p.axes.map((a) => a.size),
        node.type.shape,
      ),
      now: undefined,
    });
  }
  const rowAt = variable(row, 0, many);
  const given: Given = new Map<Node, (index: readonly Dim[]) => Value | undefined>([
    ...sums.map((s): [Node, () => Value] => [
      s.reduction.node,
      () => {
        if (s.reduction.depth > current) throw new InternalError(`${group.name}: ${s.reduction.node.op.name} is read before it is reduced`);
        return load(s.result, rowAt);
      },
    ]),
    ...[...kept].map(([node, k]): [Node, (index: readonly Dim[]) => Value | undefined] => [
      node,
      (index) => {
        if (current < k.first || !index.every((d, i) => d === k.index[i])) return undefined;
        return current === k.first ? k.now : load(k.buffer, variable(keep, 0, many));
      },
    ]),
    ...[...(levels.pair?.leaves ?? [])].map(([node, b]): [Node, () => Value] => [node, () => load(b, 0)]),
  ]);

  const top: Stmt[] = [];
  const outer: Stmt[] = [];
  const slot: Pick<LoopScope, "slot"> = levels.slot === undefined ? {} : { slot: { size: levels.slot, index: rowAt } };
  const whole = makeEvaluator(group, p.buffers, given);
  const around = levels.outer.length ? whole.scope({ axes: levels.outer, before: top }) : whole;
  const rows = around.scope({ axes: levels.row, before: levels.outer.length ? outer : top, fence: true, ...slot });
  const uses = new Map<Node, number>();
  for (const n of group.nodes) for (const x of n.inputs) uses.set(x, (uses.get(x) ?? 0) + 1);
  const inPlace = group.inPlace?.length;
  const cellAt = variable(cell, 0, many);
  const perElement = p.passes > 0 || levels.element.length > 0;

  let base: Base | undefined;
  const passes: Pass[] = [];
  for (current = 0; current <= p.passes; current++) {
    const before: Stmt[] = [];
    const body: Stmt[] = [];
    const e = perElement ? rows.scope({ axes: levels.element, before }) : rows;
    for (const [node, k] of kept) {
      if (k.first !== current) continue;
      const v = named(p, e.value(node, k.index, body), body);
      k.now = v;
      body.push(store(k.buffer, variable(keep, 0, many), v));
    }
    const mine = sums.filter((s) => s.reduction.depth === current + 1);
    for (const s of mine) {
      const { argument: x, index } = s.reduction;
      const old = load(s.accumulator, cellAt);
      const product =
        s.op === "add" &&
        x.op.scalar === "mul" &&
        (uses.get(x) ?? 0) === 1 &&
        isFloat(x.type.dtype) &&
        group.nodes.includes(x) &&
        !kept.has(x);
      const dtype = computeDType(s.reduction.node.type.dtype);
      const next = product
        ? apply("fma", dtype, ...x.inputs.map((y) => e.value(y, index, body)), old)
        : apply(s.op, dtype, old, e.value(x, index, body));
      body.push(store(s.accumulator, cellAt, next));
    }
    const leaving = p.outputs.filter((o) => !o.perRow && (inPlace && !levels.early ? p.passes : o.depth) === current);
    const values = leaving.map((o) => {
      const v = e.value(o.node, o.index, body);
      return inPlace ? named(p, v, body) : v;
    });
    const hint = levels.stream && !inPlace ? "stream" : undefined;
    for (const [i, o] of leaving.entries()) body.push(store(o.buffer, placeIn(p.group, o.node, o.index), values[i]!, hint));
    passes.push({ before, body, sums: mine });
    if (levels.pair && current === 1) {
      const late: Stmt[] = [];
      base = { value: named(p, rows.value(levels.pair.base, levels.pair.sum.index, late), late), before: late };
    }
  }
  current = p.passes;
  const end: Stmt[] = [];
  const last = p.outputs.filter((o) => o.perRow);
  const values = last.map((o) => {
    const v = rows.value(o.node, o.index, end);
    return inPlace ? named(p, v, end) : v;
  });
  for (const [i, o] of last.entries()) end.push(store(o.buffer, placeIn(p.group, o.node, o.index), values[i]!));
  return { top, outer, passes, end, sums, locals: whole.locals, held: [...kept.values()].map((k) => k.buffer), base, cell, row, keep };
}

/** A value that is computed here and now. */
function named(p: Plan, v: Value, into: Stmt[]): Value {
  if (v.kind === "const" || v.kind === "ref") return v;
  const name = p.fresh("w");
  into.push({ kind: "let", name, value: v });
  return { kind: "ref", dtype: computeDType(v.dtype), name };
}

/** Values worth keeping between passes, with the pass that computes them: the last ones before passes differ. */
function heldNodes(p: Plan, hold: Levels["hold"]): Map<Node, number> {
  const held = new Map<Node, number>();
  if (hold === "nothing" || p.passes === 0) return held;
  const inside = new Set(p.group.nodes);
  const inputs = new Set(p.group.inputs);
  const size = numel(p.axes.map((a) => a.size));
  const costly = new Set<Node>();
  for (const n of p.group.nodes) {
    if (n.op.kind === "reduce" || numel(n.type.shape) !== size) continue;
    if ((n.op.scalar && isCostly(n.op.scalar)) || n.inputs.some((x) => costly.has(x))) costly.add(n);
  }
  const holdable = (n: Node): boolean =>
    numel(n.type.shape) === size &&
    (hold === "registers" ? n.op.kind !== "movement" && n.op.name !== "constant" : costly.has(n) && n.op.kind === "elementwise");
  const first = new Map<Node, number>();
  for (let pass = 0; pass <= p.passes; pass++) {
    const roots = p.reductions.filter((r) => r.depth === pass + 1).map((r) => r.argument);
    for (const o of p.outputs) if (!o.perRow && (p.group.inPlace?.length ? p.passes : o.depth) === pass) roots.push(o.node);
    const seen = new Set<Node>();
    const stack = [...roots];
    while (stack.length) {
      const n = stack.pop()!;
      if (seen.has(n) || n.op.kind === "reduce" || (!inside.has(n) && !inputs.has(n))) continue;
      seen.add(n);
      const made = first.get(n);
      if (made === undefined) first.set(n, pass);
      else if (made < pass && holdable(n)) {
        held.set(n, made);
        continue;
      }
      if (!inputs.has(n)) stack.push(...n.inputs);
    }
  }
  return held;
}
