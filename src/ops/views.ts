/** Shapes in PyTorch's words, made of the movement primitives. */
import { ArgumentError, ShapeError } from "../core/errors.js";
import { add, ceilDiv, type Dim, min, mul, sub } from "../core/expr.js";
import { numel, type Shape, sameShape, showShape } from "../core/type.js";
import type { Node } from "../ir/node.js";
import { normalizeDim } from "./dims.js";
import { cat, expand, narrow, permute, reshape, slice, window } from "./movement.js";

const rankOf = (x: Node): number => x.type.shape.length;

/** Exchanges two axes (torch.transpose). */
export function transpose(x: Node, dim0: number, dim1: number): Node {
  const a = normalizeDim(dim0, rankOf(x), "transpose");
  const b = normalizeDim(dim1, rankOf(x), "transpose");
  if (rankOf(x) === 0) return x;
  return permute(
    x,
    x.type.shape.map((_, i) => (i === a ? b : i === b ? a : i)),
  );
}
/** Exchanges two axes (torch.swapaxes). */
export const swapaxes = (x: Node, dim0: number, dim1: number): Node => transpose(x, dim0, dim1);
/** A matrix with its axes exchanged (torch.t). */
export function t(x: Node): Node {
  if (rankOf(x) > 2) throw new ShapeError(`t: ${showShape(x.type.shape)} has more than two axes; use transpose`);
  return rankOf(x) < 2 ? x : transpose(x, 0, 1);
}
/** Moves axes to other places; the rest keep their order (torch.movedim). */
export function movedim(x: Node, source: number | readonly number[], destination: number | readonly number[]): Node {
  const rank = rankOf(x);
  const list = (d: number | readonly number[]): number[] => (typeof d === "number" ? [d] : d).map((v) => normalizeDim(v, rank, "movedim"));
  const [from, to] = [list(source), list(destination)];
  if (from.length !== to.length || new Set(from).size !== from.length || new Set(to).size !== to.length)
    throw new ArgumentError(`movedim: [${source}] to [${destination}] is not a one-to-one move`);
  const rest = x.type.shape.map((_, i) => i).filter((i) => !from.includes(i));
  const axes: number[] = new Array(rank);
  to.forEach((d, i) => {
    axes[d] = from[i]!;
  });
  for (let d = 0; d < rank; d++) if (axes[d] === undefined) axes[d] = rest.shift()!;
  return permute(x, axes);
}

/** Axes `start` to `end` as one (torch.flatten). */
export function flatten(x: Node, start = 0, end = -1): Node {
  const { shape } = x.type;
  if (!shape.length) return reshape(x, [1]);
  const a = normalizeDim(start, shape.length, "flatten");
  const b = normalizeDim(end, shape.length, "flatten");
  if (a > b) throw new ArgumentError(`flatten: dim ${start} comes after dim ${end}`);
  return reshape(x, [...shape.slice(0, a), numel(shape.slice(a, b + 1)), ...shape.slice(b + 1)]);
}
/** One axis as several; one of `sizes` may be -1 (torch.unflatten). */
export function unflatten(x: Node, dim: number, sizes: Shape): Node {
  const { shape } = x.type;
  const a = normalizeDim(dim, shape.length, "unflatten");
  const known = numel(sizes.filter((d) => d !== -1));
  const rest = ceilDiv(shape[a]!, known);
  return reshape(x, [...shape.slice(0, a), ...sizes.map((d) => (d === -1 ? rest : d)), ...shape.slice(a + 1)]);
}
/** Without the axes of size 1, or without those of `dim` that have size 1 (torch.squeeze). */
export function squeeze(x: Node, dim?: number | readonly number[]): Node {
  const { shape } = x.type;
  const drop =
    dim === undefined
      ? shape.map((_, i) => i)
      : (typeof dim === "number" ? [dim] : dim).map((d) => normalizeDim(d, shape.length, "squeeze"));
  return reshape(
    x,
    shape.filter((d, i) => !(d === 1 && drop.includes(i))),
  );
}
/** With a new axis of size 1 (torch.unsqueeze). */
export function unsqueeze(x: Node, dim: number): Node {
  const a = normalizeDim(dim, rankOf(x) + 1, "unsqueeze");
  return reshape(x, [...x.type.shape.slice(0, a), 1, ...x.type.shape.slice(a)]);
}
/** Size-1 and missing leading axes repeated up to `shape` (torch.broadcast_to). */
export const broadcastTo = (x: Node, shape: Shape): Node => expand(x, shape);

/** One element of an axis, which vanishes; negative indices count from the end (torch.select). */
export function select(x: Node, dim: number, index: Dim): Node {
  const { shape } = x.type;
  if (!shape.length) throw new ShapeError("select: a rank-0 tensor has no axis to select from");
  const a = normalizeDim(dim, shape.length, "select");
  const size = shape[a]!;
  if (typeof index === "number" && typeof size === "number" && (index < -size || index >= size))
    throw new ShapeError(`select: index ${index} is out of range for axis ${a} of ${showShape(shape)}`);
  return reshape(
    narrow(x, a, index, 1),
    shape.filter((_, i) => i !== a),
  );
}
/** Elements start, start + step, ... before `end` of one axis; negative bounds count from the end, and what is outside is cut off (x[start:end:step]). */
export function sliceDim(x: Node, dim: number, start: Dim | null = 0, end: Dim | null = null, step = 1): Node {
  const { shape } = x.type;
  const a = normalizeDim(dim, shape.length, "slice");
  if (!(Number.isInteger(step) && step > 0)) throw new ArgumentError(`slice: step ${step} must be a positive integer; use flip to reverse`);
  const size = shape[a]!;
  const bound = (v: Dim): Dim => {
    const from = typeof v === "number" && v < 0 ? add(size, v) : v;
    return typeof from === "number" && from < 0 ? 0 : min(from, size);
  };
  const first = bound(start ?? 0);
  const last = end === null ? size : bound(end);
  const span = sub(last, first);
  const count = typeof span === "number" ? Math.max(0, Math.ceil(span / step)) : ceilDiv(span, step);
  return slice(
    x,
    shape.map((_, i) => (i === a ? first : 0)),
    shape.map((d, i) => (i === a ? count : d)),
    shape.map((_, i) => (i === a ? step : 1)),
  );
}

/** Parts of `size` elements along an axis, the last one smaller, or parts of the sizes listed (torch.split). */
export function split(x: Node, size: number | readonly Dim[], dim = 0): Node[] {
  const a = normalizeDim(dim, rankOf(x), "split");
  const n = x.type.shape[a];
  if (n === undefined) throw new ShapeError("split: a rank-0 tensor cannot be split");
  let sizes = size as readonly Dim[];
  if (typeof size === "number") {
    if (typeof n !== "number") throw new ArgumentError("split: a symbolic axis needs the list of sizes, since their number must be known");
    if (!(size > 0)) throw new ArgumentError(`split: size ${size} must be positive`);
    sizes = Array.from({ length: Math.max(1, Math.ceil(n / size)) }, (_, i) => Math.min(size, n - i * size));
  } else if (add(...sizes) !== n)
    throw new ArgumentError(`split: sizes [${sizes}] do not add up to axis ${a} of ${showShape(x.type.shape)}`);
  let start: Dim = 0;
  return sizes.map((s) => {
    const part = narrow(x, a, start, s);
    start = add(start, s);
    return part;
  });
}
/** At most `chunks` parts of equal size, the last one smaller (torch.chunk). */
export function chunk(x: Node, chunks: number, dim = 0): Node[] {
  const n = x.type.shape[normalizeDim(dim, rankOf(x), "chunk")];
  if (!(chunks > 0)) throw new ArgumentError(`chunk: ${chunks} chunks`);
  if (typeof n !== "number") {
    const part = ceilDiv(n!, chunks);
    if (mul(part, chunks) !== n) throw new ArgumentError(`chunk: a symbolic axis must be a multiple of ${chunks}; use split with sizes`);
    return split(x, new Array<Dim>(chunks).fill(part), dim);
  }
  return split(x, Math.max(1, Math.ceil(n / chunks)), dim);
}
/** Every slice along an axis, which vanishes (torch.unbind). */
export function unbind(x: Node, dim = 0): Node[] {
  const n = x.type.shape[normalizeDim(dim, rankOf(x), "unbind")];
  if (typeof n !== "number") throw new ArgumentError("unbind: a symbolic axis has no fixed number of slices");
  return Array.from({ length: n }, (_, i) => select(x, dim, i));
}
/** Tensors of one shape along a new axis (torch.stack). */
export function stack(xs: readonly Node[], dim = 0): Node {
  if (!xs.length) throw new ArgumentError("stack: expected at least one tensor");
  const odd = xs.find((x) => !sameShape(x.type.shape, xs[0]!.type.shape));
  if (odd) throw new ShapeError(`stack: ${showShape(xs[0]!.type.shape)} and ${showShape(odd.type.shape)} differ; all must have one shape`);
  const a = normalizeDim(dim, rankOf(xs[0]!) + 1, "stack");
  return cat(
    xs.map((x) => unsqueeze(x, a)),
    a,
  );
}
/** Shifts elements along axes; what leaves at one end comes back at the other (torch.roll). */
export function roll(x: Node, shifts: number | readonly number[], dims?: number | readonly number[]): Node {
  if (dims === undefined) return reshape(roll(reshape(x, [numel(x.type.shape)]), shifts, 0), x.type.shape);
  const by = typeof shifts === "number" ? [shifts] : shifts;
  const axes = typeof dims === "number" ? [dims] : dims;
  if (by.length !== axes.length) throw new ArgumentError(`roll: ${by.length} shifts for ${axes.length} dims`);
  return by.reduce((y, shift, i) => {
    const a = normalizeDim(axes[i]!, rankOf(x), "roll");
    const n = x.type.shape[a]!;
    if (typeof n !== "number") throw new ArgumentError("roll: the axis must have a known size");
    const s = n ? ((shift % n) + n) % n : 0;
    return s ? cat([narrow(y, a, n - s, s), narrow(y, a, 0, n - s)], a) : y;
  }, x);
}
/** The whole tensor repeated along each axis (torch.Tensor.repeat). */
export function repeat(x: Node, times: readonly number[]): Node {
  const extra = times.length - rankOf(x);
  if (extra < 0) throw new ShapeError(`repeat: [${times}] has fewer entries than ${showShape(x.type.shape)} has axes`);
  const shape = [...new Array<Dim>(extra).fill(1), ...x.type.shape];
  const wide = expand(
    reshape(
      x,
      shape.flatMap((d) => [1, d]),
    ),
    shape.flatMap((d, i) => [times[i]!, d]),
  );
  return reshape(
    wide,
    shape.map((d, i) => mul(d, times[i]!)),
  );
}
/** The whole tensor repeated; missing leading counts are 1 (torch.tile). */
export const tile = (x: Node, times: readonly number[]): Node =>
  repeat(x, [...new Array<number>(Math.max(0, rankOf(x) - times.length)).fill(1), ...times]);
/** Each element repeated in its place; without `dim` the tensor is flattened (torch.repeat_interleave with a number). */
export function repeatInterleave(x: Node, repeats: number, dim?: number): Node {
  if (dim === undefined) return repeatInterleave(reshape(x, [numel(x.type.shape)]), repeats, 0);
  const { shape } = x.type;
  const a = normalizeDim(dim, shape.length, "repeatInterleave");
  const wide = expand(reshape(x, [...shape.slice(0, a + 1), 1, ...shape.slice(a + 1)]), [
    ...shape.slice(0, a + 1),
    repeats,
    ...shape.slice(a + 1),
  ]);
  return reshape(
    wide,
    shape.map((d, i) => (i === a ? mul(d, repeats) : d)),
  );
}
/** Windows of `size` elements every `step` along an axis; the window's own axis comes last (torch.Tensor.unfold). */
export const unfold = (x: Node, dim: number, size: number, step: number): Node =>
  window(x, [normalizeDim(dim, rankOf(x), "unfold")], [size], [step]);
/** Coordinate grids of several rank-1 tensors; "xy" exchanges the first two axes (torch.meshgrid). */
export function meshgrid(xs: readonly Node[], { indexing = "ij" }: { indexing?: "ij" | "xy" } = {}): Node[] {
  const shape = xs.map((x) => numel(x.type.shape));
  const out = xs.map((x, i) =>
    expand(
      reshape(
        x,
        shape.map((d, k) => (k === i ? d : 1)),
      ),
      shape,
    ),
  );
  return indexing === "xy" && xs.length > 1 ? out.map((x) => transpose(x, 0, 1)) : out;
}
