/** `x.at(...)` and `x.setAt([...], value)`: Python's brackets. */
import { isInt } from "../core/dtype.js";
import { ArgumentError, ShapeError } from "../core/errors.js";
import { type Dim, lo, sub } from "../core/expr.js";
import { showShape } from "../core/type.js";
import type { Node } from "../ir/node.js";
import { cast } from "../ops/cast.js";
import { where } from "../ops/comparison.js";
import { index as gatherAt, indexPut } from "../ops/indexing.js";
import { flip, reshape, slice } from "../ops/movement.js";
import { tensor } from "./create.js";
import { mode } from "./mode.js";
import { literalNode, newTensor } from "./record.js";
import { type Index, Tensor } from "./tensor.js";
import { carries, markCarrier } from "./track.js";

/** An index, taken apart: what plain views do first, and which axes of that view tensors index. */
interface Parsed {
  readonly view: Tensor;
  readonly tensors: readonly (Tensor | null)[] | undefined;
}

/** A `"1:3"` or `"::2"` range as `[start, stop, step]`. */
function range(text: string): readonly (number | null)[] {
  const parts = text.split(":").map((p) => p.trim());
  if (parts.length < 2 || parts.length > 3 || !parts.every((p) => /^-?\d*$/.test(p)))
    throw new ArgumentError(`at: "${text}" is no range; write ":", "1:3", "::2" or "..."`);
  return parts.map((p) => (p === "" ? null : Number(p)));
}
/** Start, size and step of a range on an axis, as Python clips it; a negative step is one of a flipped axis. */
function clip(r: readonly (number | null)[], size: Dim): { start: Dim; size: Dim; step: number; flipped: boolean } {
  const step = r[2] ?? 1;
  if (!Number.isInteger(step) || step === 0) throw new ArgumentError(`at: a step of ${step}`);
  const [from, to] = [r[0] ?? null, r[1] ?? null];
  if (typeof size !== "number") {
    if (from === null && to === null && step === 1) return { start: 0, size, step: 1, flipped: false };
    if (step === 1 && to === null && from !== null && from >= 0 && lo(size) >= from)
      return { start: from, size: sub(size, from), step: 1, flipped: false };
    if (step === 1 && to === null && from !== null && from < 0 && lo(size) >= -from)
      return { start: sub(size, -from), size: -from, step: 1, flipped: false };
    size = +(size as unknown as number);
  }
  const n = size as number;
  const place = (x: number, low: number, high: number): number => Math.min(Math.max(x < 0 ? x + n : x, low), high);
  if (step > 0) {
    const a = from === null ? 0 : place(from, 0, n);
    const b = to === null ? n : place(to, 0, n);
    return { start: a, size: Math.max(0, Math.ceil((b - a) / step)), step, flipped: false };
  }
  const a = from === null ? n - 1 : place(from, -1, n - 1);
  const b = to === null ? -1 : place(to, -1, n - 1);
  return { start: n - 1 - a, size: Math.max(0, Math.ceil((b - a) / step)), step: -step, flipped: true };
}

function parse(x: Tensor, given: readonly Index[]): Parsed {
  const index: Index[] = given.map((i) =>
    typeof i === "object" && i !== null && !(i instanceof Tensor) && i.every((v) => typeof v === "number") && i.length > 3
      ? tensor(i as number[])
      : i,
  );
  const takes = (i: Index): number =>
    i === null || i === "..." || typeof i === "boolean" ? 0 : i instanceof Tensor && i.dtype === "bool" ? i.ndim : 1;
  const used = index.reduce<number>((n, i) => n + takes(i), 0);
  if (used > x.ndim) throw new ShapeError(`at: ${used} indices for ${showShape(x.shape)}`);
  const dots = index.indexOf("...");
  if (dots !== index.lastIndexOf("...")) throw new ArgumentError('at: "..." stands twice');
  const rest = new Array<Index>(x.ndim - used).fill(":");
  const full = dots < 0 ? [...index, ...rest] : [...index.slice(0, dots), ...rest, ...index.slice(dots + 1)];
  const start: Dim[] = [];
  const size: Dim[] = [];
  const step: number[] = [];
  const flips: number[] = [];
  const shape: Dim[] = [];
  const tensors: (Tensor | null)[] = [];
  let axis = 0;
  for (const i of full) {
    const n: Dim = x.shape[axis] ?? 0;
    if (i === null) {
      shape.push(1);
      tensors.push(null);
    } else if (typeof i === "boolean") throw new ArgumentError("at: index with a bool tensor, not with true or false");
    else if (typeof i === "number") {
      if (!Number.isInteger(i)) throw new ArgumentError(`at: index ${i} is not an integer`);
      if (typeof n === "number" && (i >= n || i < -n))
        throw new ShapeError(`at: index ${i} is out of range for axis ${axis} of ${showShape(x.shape)}`);
      start.push(i < 0 ? (typeof n === "number" ? n + i : sub(n, -i)) : i);
      size.push(1);
      step.push(1);
      axis++;
    } else if (i instanceof Tensor) {
      if (i.dtype === "bool")
        throw new ArgumentError(
          "at: how many elements a bool mask selects is known only when it has run; use where, maskedFill or await x.nonzero() instead",
        );
      if (!isInt(i.dtype)) throw new ArgumentError(`at: an index tensor holds integers, not ${i.dtype}`);
      start.push(0);
      size.push(n);
      step.push(1);
      shape.push(n);
      tensors.push(i);
      axis++;
    } else {
      const c = clip(typeof i === "string" ? range(i) : i, n);
      if (c.flipped) flips.push(axis);
      start.push(c.start);
      size.push(c.size);
      step.push(c.step);
      shape.push(c.size);
      tensors.push(null);
      axis++;
    }
  }
  const base = x.read();
  const turned = flips.length ? flip(base, flips) : base;
  const node = reshape(slice(turned, start, size, step), shape);
  let view: Tensor | undefined;
  if (flips.length === 0) view = x.viewTo(base, node);
  if (!view) {
    if (mode.grad && carries(base)) markCarrier(node);
    view = newTensor(node);
  }
  return { view, tensors: tensors.some((t) => t) ? tensors : undefined };
}

/** The selected part: a view where only integers and ranges select, else a new tensor. */
export function at(x: Tensor, ...index: readonly Index[]): Tensor {
  const { view, tensors } = parse(x, index);
  if (!tensors) return view;
  const n = view.read();
  const out = gatherAt(
    n,
    tensors.map((t) => t?.read(false) ?? null),
  );
  if (mode.grad && carries(n)) markCarrier(out);
  return newTensor(out);
}

/** Writes a value where `at` reads. A bool mask writes where it is true. */
export function setAt(x: Tensor, index: readonly Index[], value: Tensor | number): Tensor {
  x.checkInPlace("setAt");
  const only = index.length === 1 ? index[0] : undefined;
  if (only instanceof Tensor && only.dtype === "bool") {
    const mask = only.ndim < x.ndim ? only.reshape([...only.shape, ...x.shape.slice(only.ndim).map(() => 1)]) : only;
    if (value instanceof Tensor && value.ndim > 0)
      throw new ArgumentError("setAt: a mask takes a number or a rank-0 tensor; use where() for others");
    const given = valueNode(x, value);
    const before = x.read();
    const after = where(mask.read(false), given, before);
    if (mode.grad && (carries(before) || carries(given))) markCarrier(after);
    x.write(after);
    return x;
  }
  const { view, tensors } = parse(x, index);
  if (!tensors) {
    if (view.cell !== x.cell) throw new ArgumentError("setAt: a range with a negative step cannot be written; flip the value instead");
    view.copy_(value);
    return x;
  }
  if (view.cell !== x.cell) throw new ArgumentError("setAt: a range with a negative step cannot be written; flip the value instead");
  const before = view.read();
  const given = valueNode(x, value);
  const after = indexPut(
    before,
    tensors.map((t) => t?.read(false) ?? null),
    given,
  );
  if (mode.grad && (carries(before) || carries(given))) markCarrier(after);
  view.write(after);
  return x;
}
/** A value in x's dtype. */
const valueNode = (x: Tensor, value: Tensor | number): Node =>
  value instanceof Tensor
    ? cast(value.read(), x.dtype)
    : literalNode(x.dtype === "i64" || x.dtype === "u64" ? BigInt(value) : value, x.dtype);
