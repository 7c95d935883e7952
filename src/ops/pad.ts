import { ArgumentError } from "../core/errors.js";
import { add, type Dim } from "../core/expr.js";
import { showShape } from "../core/type.js";
import type { Node } from "../ir/node.js";
import { cat, expand, flip, narrow, slice, unslice } from "./movement.js";

/** How `pad` fills what it adds. */
export interface PadOptions {
  /** constant: `value`. reflect: mirrored at the outermost element. replicate: that element. circular: from the other end. */
  readonly mode?: "constant" | "reflect" | "replicate" | "circular";
  readonly value?: number;
}
/**
 * Adds elements before and after axes; `pads` lists pairs from the last axis backwards, and a negative one cuts elements off
 * (torch.nn.functional.pad).
 */
export function pad(x: Node, pads: readonly Dim[], { mode = "constant", value = 0 }: PadOptions = {}): Node {
  const { shape, dtype } = x.type;
  if (pads.length % 2 || pads.length > 2 * shape.length)
    throw new ArgumentError(`pad: [${pads.map(String)}] must be pairs for at most the ${shape.length} axes of ${showShape(shape)}`);
  const before = shape.map((_, i) => pads[2 * (shape.length - 1 - i)] ?? 0);
  const after = shape.map((_, i) => pads[2 * (shape.length - 1 - i) + 1] ?? 0);
  const cut = (d: Dim): number => (typeof d === "number" && d < 0 ? -d : 0);
  const grow = (d: Dim): Dim => (typeof d === "number" && d < 0 ? 0 : d);
  const inner = shape.map((d, i) => add(d, -cut(before[i]!), -cut(after[i]!)));
  const kept = slice(x, before.map(cut), inner);
  if (mode === "constant") {
    const fill = dtype === "i64" || dtype === "u64" ? BigInt(value) : value;
    const whole = inner.map((d, i) => add(d, grow(before[i]!), grow(after[i]!)));
    return unslice(
      kept,
      whole,
      before.map(grow),
      shape.map(() => 1),
      fill,
    );
  }
  // Copies are taken before anything is cut off.
  const grown = shape.reduce<Node>((y, _, axis) => edges(y, axis, grow(before[axis]!), grow(after[axis]!), mode), x);
  const whole = inner.map((d, i) => add(d, grow(before[i]!), grow(after[i]!)));
  return slice(grown, before.map(cut), whole);
}
/** One axis with copies of its own elements on both sides. */
function edges(x: Node, axis: number, before: Dim, after: Dim, mode: "reflect" | "replicate" | "circular"): Node {
  if (before === 0 && after === 0) return x;
  const n = x.type.shape[axis]!;
  if (typeof n !== "number" || typeof before !== "number" || typeof after !== "number")
    throw new ArgumentError(`pad: mode ${mode} needs axis ${axis} and its padding to have known sizes`);
  const most = mode === "reflect" ? n - 1 : mode === "circular" ? n : n > 0 ? Number.POSITIVE_INFINITY : 0;
  if (before > most || after > most) throw new ArgumentError(`pad: ${mode} cannot add ${before} and ${after} elements to an axis of ${n}`);
  const part = (start: number, size: number): Node => narrow(x, axis, start, size);
  const repeated = (at: number, size: number): Node =>
    expand(
      part(at, 1),
      x.type.shape.map((d, i) => (i === axis ? size : d)),
    );
  const parts: Record<typeof mode, () => [Node, Node]> = {
    reflect: () => [flip(part(1, before), axis), flip(part(n - 1 - after, after), axis)],
    replicate: () => [repeated(0, before), repeated(n - 1, after)],
    circular: () => [part(n - before, before), part(0, after)],
  };
  const [low, high] = parts[mode]();
  return cat([...(before ? [low] : []), x, ...(after ? [high] : [])], axis);
}
