/** Running sums, products and extremes of few long lines: parts of a line side by side, and then what stands before each part. */
import { isHalf } from "../../core/dtype.js";
import { hi } from "../../core/expr.js";
import { numel } from "../../core/type.js";
import { make, type Node } from "../../ir/node.js";
import { mapGraph, type Pass } from "../../ir/rewrite.js";
import type { Target } from "../../kernel/codegen.js";
import { add, maximum, minimum, mul } from "../../ops/arithmetic.js";
import { cast } from "../../ops/cast.js";
import { narrow, reshape, unslice } from "../../ops/movement.js";
import { broadcastBack, highest, lowest } from "../../ops/reduce.js";
import type { Scan } from "../../ops/scan.js";

/** Elements of a part, and of a line that is worth its parts. */
const part = 32;
const worth = 256;
/** Lines for each grid point that runs at once, from which on a thread for each is enough. */
const enough = 16;

const joins = { add, mul, max: maximum, min: minimum };

/** Cuts long scans where a target has many threads and few lines. */
export function scansInParts(target: Target): Pass {
  const inParts = (y: Node): Node => {
    if (y.op.kind !== "scan") return y;
    const n = y.type.shape[(y.attrs as Scan).axis]!;
    if (typeof n !== "number" || n < worth || hi(numel(y.type.shape)) / n > enough * target.parallel) return y;
    // Sums of half floats are rounded once.
    const x = y.inputs[0]!;
    return isHalf(x.type.dtype) ? cast(cut(y, cast(x, "f32")), x.type.dtype) : cut(y, x);
  };
  return { name: "scans-in-parts", run: (g) => (target.kernels && target.threads > 1 ? mapGraph(g, inParts) : g) };
}

/** The scan `y` of `x` instead of its operand. */
function cut(y: Node, x: Node): Node {
  const { axis, combine, reverse } = y.attrs as Scan;
  const { shape, dtype } = x.type;
  const n = shape[axis] as number;
  if (n <= 2 * part) return make(y.op, [x], y.attrs);
  const parts = Math.ceil(n / part);
  const big = dtype === "i64" || dtype === "u64";
  const one = combine === "mul" ? 1 : 0;
  const neutral = combine === "max" ? lowest(dtype) : combine === "min" ? highest(dtype) : big ? BigInt(one) : one;
  const along = (size: number): Node["type"]["shape"] => shape.map((d, i) => (i === axis ? size : d));
  /** `from` in a longer axis of what changes nothing, `at` places behind its begin. */
  const padded = (from: Node, size: number, at: number): Node =>
    unslice(
      from,
      along(size),
      shape.map((_, i) => (i === axis ? at : 0)),
      shape.map(() => 1),
      neutral,
    );
  const whole = parts * part === n ? x : padded(x, parts * part, 0);
  const pieces = reshape(whole, [...shape.slice(0, axis), parts, part, ...shape.slice(axis + 1)]);
  const inside = make(y.op, [pieces], { ...y.attrs, axis: axis + 1 });
  const totals = reshape(narrow(inside, axis + 1, reverse ? 0 : part - 1, 1), along(parts));
  const done = cut(y, totals);
  const before = reverse ? padded(narrow(done, axis, 1, parts - 1), parts, 0) : padded(narrow(done, axis, 0, parts - 1), parts, 1);
  const joined = joins[combine](broadcastBack(before, inside, [axis + 1]), inside);
  return narrow(reshape(joined, along(parts * part)), axis, 0, n);
}
