/** Kernels that walk along one axis: each line is one thread's work, neighbouring lines are lanes. */

import type { DType } from "../../core/dtype.js";
import { add, ceilDiv, type Dim, div, divides, hi, indexOn, mod, mul, sub, variable } from "../../core/expr.js";
import { numel, type Shape } from "../../core/type.js";
import { unflatten } from "../../ops/movement.js";
import type { Target } from "../codegen.js";
import { type Axis, at, axis, below, loops, type Stmt } from "../kernel.js";
import { lanesFor } from "../tiling.js";

/** Where a line is: the element of the line at a position, for the lanes of `lane`. */
export interface Line {
  readonly at: (position: Dim) => Dim[];
  readonly lane: Axis;
  /** Number of the line (of its first lane). */
  readonly number: Dim;
}
export interface Lines {
  readonly grid: Dim;
  readonly threads: number;
  readonly body: readonly Stmt[];
}
/** Elements that one grid point of a CPU should have. */
const worth = 1 << 14;

/** Walks all lines along `along` of `shape`. `body` makes the statements of a line, or of as many lines as the lane axis has. */
export function overLines(
  target: Target,
  shape: Shape,
  along: number,
  dtypes: readonly DType[],
  lanes: boolean,
  body: (line: Line, suffix: string) => readonly Stmt[],
  name: (stem: string) => string,
): Lines {
  const before = shape.slice(0, along);
  const after = shape.slice(along + 1);
  const [outer, inner] = [numel(before), numel(after)];
  const length = Math.max(1, hi(shape[along]!));
  const place =
    (o: Dim, i: Dim) =>
    (position: Dim): Dim[] => [...unflatten(o, before), position, ...unflatten(i, after)];
  if (target.threads > 1) {
    const threads = Math.min(target.threads, 128);
    const lines = mul(outer, inner);
    const grid = ceilDiv(lines, threads);
    const line = add(mul(indexOn("pid", grid), threads), variable("tid", 0, threads - 1));
    const made = body({ at: place(div(line, inner), mod(line, inner)), lane: axis(name("lane"), 1, "vector"), number: line }, "");
    return { grid, threads, body: divides(threads, lines) ? made : [{ kind: "if", test: below(line, lines), body: made }] };
  }
  const vector = lanes ? lanesFor(target, inner, dtypes) : 1;
  const full = div(inner, vector);
  const each = add(full, vector > 1 ? mod(inner, vector) : 0);
  const units = mul(outer, each);
  const turn = Math.max(1, Math.min(hi(units), Math.floor(worth / (length * vector))));
  const grid = ceilDiv(units, turn);
  const turns = axis(name("turn"), turn, "loop");
  const unit = add(mul(indexOn("pid", grid), turn), at(turns));
  const [o, block] = [div(unit, each), mod(unit, each)];
  const lane = axis(name("lane"), vector, "vector");
  const wide = body({ at: place(o, add(mul(block, vector), at(lane))), lane, number: unit }, "");
  let made = wide;
  if (vector > 1 && !divides(vector, inner)) {
    const single = add(mul(full, vector), sub(block, full));
    const narrow = body({ at: place(o, single), lane: axis(name("lane"), 1, "vector"), number: unit }, "t");
    made = [{ kind: "if", test: below(block, full), body: wide, else: narrow }];
  }
  const guarded: readonly Stmt[] = divides(turn, units) ? made : [{ kind: "if", test: below(unit, units), body: made }];
  return { grid, threads: 1, body: loops(turn > 1 ? [turns] : [], guarded) };
}
