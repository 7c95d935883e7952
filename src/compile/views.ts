import { type Dim, hi, indexOn, mul, variable } from "../core/expr.js";
import { numel, type Shape } from "../core/type.js";
import type { Node } from "../ir/node.js";
import { flatten, reshapeOp } from "../ops/movement.js";

/**
 * What a movement node does to the positions of its input: `flat` keeps the row-major order (a reshape), so that the result can
 * share the input's storage; `broadcast` repeats the input along `axes` of the result; anything else is a `view`.
 */
export type View = { readonly kind: "flat" } | { readonly kind: "broadcast"; readonly axes: readonly number[] } | { readonly kind: "view" };

const known = new WeakMap<Node, View>();

/** Classifies a movement node by its index map. */
export function viewOf(n: Node): View {
  let v = known.get(n);
  if (!v) known.set(n, (v = classify(n)));
  return v;
}

function classify(n: Node): View {
  if ((n.op as unknown) === reshapeOp) return { kind: "flat" };
  if (n.inputs.length !== 1 || !n.op.source) return { kind: "view" };
  const to = n.type.shape;
  const from = n.inputs[0]!.type.shape;
  const index = to.map((d, i) => indexOn(`i${i}`, d));
  const sources = n.op.source(index, n, (_input, _index, _min, max) => variable("read", 0, Math.max(0, hi(max))));
  const s = sources[0];
  if (sources.length !== 1 || !s || s.when?.length) return { kind: "view" };
  if (numel(from) === numel(to)) return flatten(s.index, from) === flatten(index, to) ? { kind: "flat" } : { kind: "view" };
  return broadcastAxes(index, s.index, from, to) ?? { kind: "view" };
}

function broadcastAxes(index: readonly Dim[], source: readonly Dim[], from: Shape, to: Shape): View | undefined {
  const used: number[] = [];
  let next = 0;
  for (let k = 0; k < source.length; k++) {
    if (from[k] === 1) continue;
    let at = next;
    while (at < index.length && !(index[at] === source[k] && to[at] === from[k])) at++;
    if (at === index.length) return undefined;
    used.push(at);
    next = at + 1;
  }
  return { kind: "broadcast", axes: to.flatMap((d, i) => (used.includes(i) || d === 1 ? [] : [i])) };
}

/** The node whose storage holds the elements of `n`: itself, or what is below its reshapes. */
export function storageOf(n: Node): Node {
  let x = n;
  while (x.op.kind === "movement" && viewOf(x).kind === "flat") x = x.inputs[0]!;
  return x;
}

/**
 * Kept and reduced (or repeated) axes of a shape as one comparable text: neighbours of one sort are merged and axes of size 1
 * dropped, so that equal patterns mean the same rows in the same row-major order.
 */
export function rowPattern(shape: Shape, axes: readonly number[]): string {
  const parts: { reduced: boolean; size: Dim }[] = [];
  shape.forEach((size, i) => {
    if (size === 1) return;
    const reduced = axes.includes(i);
    const last = parts.at(-1);
    if (last?.reduced === reduced) last.size = mul(last.size, size);
    else parts.push({ reduced, size });
  });
  return parts.map((p) => `${p.reduced ? "r" : "k"}${typeof p.size === "number" ? p.size : p.size.key}`).join("|");
}

/** The node whose elements `n` is made of by index maps alone, one source for each position: itself, or what is below its views. */
export function mappedFrom(n: Node): Node {
  let x = n;
  while (isIndexMap(x)) x = x.inputs[0]!;
  return x;
}
function isIndexMap(n: Node): boolean {
  if (n.op.kind !== "movement" || n.inputs.length !== 1 || !n.op.source) return false;
  let reads = false;
  const index = n.type.shape.map((d, i) => indexOn(`i${i}`, d));
  const sources = n.op.source(index, n, (_input, _index, _min, max) => {
    reads = true;
    return variable("read", 0, Math.max(0, hi(max)));
  });
  return !reads && sources.length === 1 && !sources[0]!.when?.length;
}
