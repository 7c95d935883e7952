import { InternalError } from "../core/errors.js";
import { type Dim, hi, mul } from "../core/expr.js";
import { type Shape, sameShape, showShape } from "../core/type.js";
import { flatten, unflatten } from "../ops/movement.js";

/** Positions in `to` of the element at `index` of `from`, where both hold the same elements in row-major order. */
export function reindex(index: readonly Dim[], from: Shape, to: Shape): Dim[] {
  if (sameShape(from, to)) return [...index];
  const out: Dim[] = [];
  let i = 0;
  let j = 0;
  // Runs of axes with equal products, as short as possible; axes of size 1 hold position 0.
  while (i < from.length || j < to.length) {
    if (i < from.length && from[i] === 1) i++;
    else if (j < to.length && to[j] === 1) {
      out.push(0);
      j++;
    } else {
      const [a, b] = [i, j];
      let p: Dim = from[i++] ?? 1;
      let q: Dim = to[j++] ?? 1;
      while (p !== q) {
        if (i < from.length && (j >= to.length || hi(p) <= hi(q))) p = mul(p, from[i++]!);
        else if (j < to.length) q = mul(q, to[j++]!);
        else throw new InternalError(`reindex: ${showShape(from)} and ${showShape(to)} hold different elements`);
      }
      if (i - a === 1 && j - b === 1) out.push(index[a]!);
      else out.push(...unflatten(flatten(index.slice(a, i), from.slice(a, i)), to.slice(b, j)));
    }
  }
  return out;
}
