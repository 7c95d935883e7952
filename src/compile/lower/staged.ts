/** Operands whose first elements are on their way while what they meet is still computed. */
import { add, type Dim, hi, mul, stride, substitute, variable } from "../../core/expr.js";
import { numel } from "../../core/type.js";
import { type Axis, at, type Buffer, loops, type Stmt } from "../../kernel/kernel.js";
import { eachValue, rewriteStmts } from "../../kernel/walk.js";
import type { Plan } from "./space.js";

/** The first elements of a sweep's operands, in shared memory. */
export interface Staged {
  readonly buffers: readonly Buffer[];
  /** Brings them there in the background; each thread copies what it reads itself, so it waits for nobody else. */
  readonly copies: readonly Stmt[];
  /** The sweep's first turn, reading them there. */
  readonly first: readonly Stmt[];
}

/**
 * Stages what a turn of a sweep loads: `body` stands in the unrolled loops `axes` around lanes `v`, at the turn's own position. Undefined where no
 * operand has every element of the plan, read once with lanes side by side.
 */
export function staged(p: Plan, body: readonly Stmt[], axes: readonly Axis[], v: Axis, threads: number): Staged | undefined {
  const elements = numel(p.axes.map((a) => a.size));
  const whole = new Map<string, Buffer>();
  for (const n of p.group.inputs) {
    const b = p.buffers.get(n)!;
    if (b.space === "global" && !b.writes && numel(n.type.shape) === elements) whole.set(b.name, b);
  }
  const found = new Map<string, Dim>();
  let once = true;
  eachValue(body, (x) => {
    if (x.kind !== "load" || !whole.has(x.buffer)) return;
    if (stride(x.index, v.name) !== 1 || (found.get(x.buffer) ?? x.index) !== x.index) once = false;
    found.set(x.buffer, x.index);
  });
  if (!once || !found.size) return undefined;
  const turns = axes.reduce<Dim>((flat, a) => add(mul(flat, a.size), at(a)), 0);
  const lanes = hi(v.size);
  const slot = mul(add(mul(turns, threads), variable("tid", 0, threads - 1)), lanes);
  const nameOf = (b: string): string => `first${b}`;
  const size = mul(numel(axes.map((a) => a.size)), threads * lanes);
  return {
    buffers: [...found.keys()].map((b) => ({ name: nameOf(b), dtype: whole.get(b)!.dtype, space: "shared", size })),
    copies: [...found].flatMap(([b, index]): readonly Stmt[] => {
      const from = { buffer: b, index: substitute(index, new Map([[v.name, 0]])) };
      return loops(axes, [{ kind: "copy", to: { buffer: nameOf(b), index: slot }, from, count: lanes }]);
    }),
    first: rewriteStmts(body, {
      buffer: (b) => (found.has(b) ? nameOf(b) : b),
      place: (b, index) => (found.has(b) ? add(slot, at(v)) : index),
    }),
  };
}
