/**
 * Views: a handle that shows a part or another shape of a cell, as a chain of movement steps from its base. A write through it
 * runs the chain backwards, so every other handle of the cell sees it.
 */
import { ArgumentError, InternalError } from "../core/errors.js";
import { type Shape, sameShape, showShape } from "../core/type.js";
import { make, type Node } from "../ir/node.js";
import { where } from "../ops/comparison.js";
import { expandOp, permute, permuteOp, reshape, reshapeOp, sliceOp, unslice } from "../ops/movement.js";
import { full } from "../ops/source.js";

/** One movement node of a chain, without its input. */
export interface ViewStep {
  readonly kind: "reshape" | "expand" | "permute" | "slice";
  readonly node: Node;
}

const kinds = new Map<unknown, ViewStep["kind"]>([
  [reshapeOp, "reshape"],
  [expandOp, "expand"],
  [permuteOp, "permute"],
  [sliceOp, "slice"],
]);

/** The steps from `base` to `result`, or undefined where `result` is not a view of it. */
export function stepsBetween(base: Node, result: Node): ViewStep[] | undefined {
  const steps: ViewStep[] = [];
  for (let n = result; n !== base; n = n.inputs[0]!) {
    const kind = kinds.get(n.op);
    if (!kind) return undefined;
    steps.unshift({ kind, node: n });
  }
  return steps;
}

/** The same steps on another value of the same type. */
export function replay(steps: readonly ViewStep[], x: Node): Node {
  let n = x;
  for (const s of steps) n = s.node.inputs[0] === n ? s.node : make(s.node.op, [n], s.node.attrs);
  return n;
}

/** The base's new value after `value` was written through the steps. */
export function writeThrough(steps: readonly ViewStep[], base: Node, value: Node): Node {
  const before: Node[] = [base];
  for (const s of steps.slice(0, -1)) before.push(replay([s], before[before.length - 1]!));
  let v = value;
  for (let i = steps.length - 1; i >= 0; i--) v = undo(steps[i]!, before[i]!, v);
  return v;
}
function undo(step: ViewStep, x: Node, value: Node): Node {
  switch (step.kind) {
    case "reshape":
      return reshape(value, x.type.shape);
    case "permute": {
      const axes = step.node.attrs["axes"] as readonly number[];
      return permute(
        value,
        axes.map((_, i) => axes.indexOf(i)),
      );
    }
    case "slice":
      return put(x, value, step.node.attrs["start"] as Shape, step.node.attrs["step"] as readonly number[]);
    case "expand":
      if (sameShape(x.type.shape, value.type.shape)) return value;
      throw new ArgumentError(
        `an expanded view of ${showShape(x.type.shape)} is written in place, where several of its elements are one; clone() it first`,
      );
    default:
      return step.kind satisfies never;
  }
}
/** x with `value` at `start + i * step`. */
function put(x: Node, value: Node, start: Shape, step: readonly number[]): Node {
  const inside = unslice(full(value.type.shape, 1, "bool"), x.type.shape, start, step);
  return inside === x ? value : where(inside, unslice(value, x.type.shape, start, step), x);
}

/** Distances in elements between neighbours along each axis; undefined where sizes are symbolic. */
export type Strides = readonly number[] | undefined;
/** Strides of a dense array. */
export function denseStrides(shape: Shape): Strides {
  const out = new Array<number>(shape.length);
  let s = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    const d = shape[i]!;
    if (typeof d !== "number") return undefined;
    out[i] = s;
    s *= Math.max(d, 1);
  }
  return out;
}
/** Strides after the steps; null where PyTorch would have to copy. */
export function stridesAfter(strides: Strides, from: Shape, steps: readonly ViewStep[]): Strides | null {
  let now: Strides | null = strides;
  let shape = from;
  for (const { kind, node } of steps) {
    const to = node.type.shape;
    if (now === undefined) return undefined;
    if (kind === "permute") now = (node.attrs["axes"] as readonly number[]).map((a) => (now as number[])[a]!);
    else if (kind === "slice") {
      const step = node.attrs["step"] as readonly number[];
      now = now.map((s, i) => s * step[i]!);
    } else if (kind === "expand") {
      const pad = to.length - shape.length;
      now = to.map((d, i) => (i < pad || (shape[i - pad] === 1 && d !== 1) ? 0 : (now as number[])[i - pad]!));
    } else now = reshaped(now, shape, to);
    if (now === null) return null;
    shape = to;
  }
  return now;
}
/** Strides of a reshape that moves nothing, or null where there are none (PyTorch's rule for `view`). */
function reshaped(strides: readonly number[], from: Shape, to: Shape): Strides | null {
  if (![...from, ...to].every((d) => typeof d === "number")) return undefined;
  const [a, b] = [from as readonly number[], to as readonly number[]];
  if (a.includes(0)) return denseStrides(to);
  const out = new Array<number>(b.length);
  let at = b.length - 1;
  let run = 1;
  let seen = 1;
  let inner = strides[strides.length - 1] ?? 1;
  for (let i = a.length - 1; i >= 0; i--) {
    run *= a[i]!;
    if (i > 0 && (a[i - 1] === 1 || strides[i - 1] === run * inner)) continue;
    while (at >= 0 && (seen < run || b[at] === 1)) {
      out[at] = seen * inner;
      seen *= b[at]!;
      at--;
    }
    if (seen !== run) return null;
    if (i > 0) {
      inner = strides[i - 1]!;
      run = 1;
      seen = 1;
    }
  }
  while (at >= 0) {
    if (b[at] !== 1) throw new InternalError(`reshape of ${showShape(from)} to ${showShape(to)}`);
    out[at--] = 1;
  }
  return out;
}

/** Whether a handle with these strides holds its elements densely and in order. */
export function isDense(strides: Strides, shape: Shape): boolean {
  if (strides === undefined) return true;
  let s = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    if (shape[i] === 0) return true;
    if (shape[i] !== 1 && strides[i] !== s) return false;
    s *= shape[i] as number;
  }
  return true;
}
