/** Positions of extremes in few long rows, in two steps, so that no grid point goes over a whole row. */
import { hi } from "../../core/expr.js";
import { numel } from "../../core/type.js";
import { is, type Node } from "../../ir/node.js";
import { mapGraph, type Pass } from "../../ir/rewrite.js";
import type { Target } from "../../kernel/codegen.js";
import { cast } from "../../ops/cast.js";
import { reshape, unslice } from "../../ops/movement.js";
import { alongAxis, firstPlace } from "../../ops/positions.js";
import { amax, amin, highest, lowest } from "../../ops/reduce.js";
import { iota } from "../../ops/source.js";
import { argmaxOp, argminOp } from "../../ops/statistics.js";

/** Elements of a row that are worth a second kernel, and of a part of it at least. */
const worth = 1 << 15;
const leastPart = 1 << 11;

/** How many elements a part of a row of `n` has, where up to `most` parts may be at work: equal parts and whole accesses where `n` has them. */
export function partOfRow(n: number, most: number): number {
  const parts = Math.min(most, Math.floor(n / leastPart));
  for (const unit of [8, 4]) for (let p = parts; 2 * p > parts; p--) if (n % (p * unit) === 0) return n / p;
  return 8 * Math.ceil(n / parts / 8);
}

/** Finds extremes part by part, and then the first part that has the row's, where a target has many grid points and few rows. */
export function extremesInParts(target: Target): Pass {
  const inParts = (y: Node): Node => {
    if (!is(y, argmaxOp) && !is(y, argminOp)) return y;
    const { axis } = y.attrs as { axis: number };
    const x = y.inputs[0]!.type.dtype === "bool" ? cast(y.inputs[0]!, "u8") : y.inputs[0]!;
    const { shape, dtype } = x.type;
    const n = shape[axis]!;
    const most = Math.floor(target.parallel / Math.max(1, hi(numel(y.type.shape))));
    if (typeof n !== "number" || n < worth || n >= 2 ** 31 || most < 2) return y;
    const greatest = is(y, argmaxOp);
    const extreme = greatest ? amax : amin;
    const length = partOfRow(n, most);
    const parts = Math.ceil(n / length);
    const whole = shape.map((d, i) => (i === axis ? parts * length : d));
    const none = shape.map(() => 0);
    // What is added stands behind all that is there, so it is never first.
    const padded =
      parts * length === n
        ? x
        : unslice(
            x,
            whole,
            none,
            shape.map(() => 1),
            greatest ? lowest(dtype) : highest(dtype),
          );
    const cut = reshape(padded, [...shape.slice(0, axis), parts, length, ...shape.slice(axis + 1)]);
    const places = reshape(alongAxis(iota(parts * length, "i32"), axis, padded), cut.type.shape);
    const tops = extreme(cut, [axis + 1]);
    const firsts = firstPlace(cut, axis + 1, tops, places, parts * length);
    return cast(firstPlace(tops, axis, extreme(tops, [axis]), firsts, parts * length), "i64");
  };
  return { name: "extremes-in-parts", run: (g) => (target.kernels && target.threads > 1 ? mapGraph(g, inParts) : g) };
}
