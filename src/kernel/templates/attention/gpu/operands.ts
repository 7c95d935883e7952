/** Operands of a unit's second product: what is in accumulators, and rows of a tile turned into columns. */
import { type DType, isHalf } from "../../../../core/dtype.js";
import { add, type Dim, div, mod, mul } from "../../../../core/expr.js";
import {
  type Axis,
  apply,
  at,
  axis,
  type Buffer,
  load,
  loops,
  type MatrixUnit,
  ref,
  type Stmt,
  store,
  type Value,
} from "../../../kernel.js";
import { rounded } from "../../contract/feed.js";
import { pitch } from "./tile.js";

/** Two neighbouring registers as one word of half floats. */
export function pairOf(dtype: DType, s: Buffer, place: Dim): Value {
  const half = (i: number): Value => apply("cast", dtype, load(s, add(place, i)));
  return apply("pair", "u32", half(0), half(1));
}

/**
 * Accumulators of `s` as a fragment of a in `into`, from the first register of step `k` on. Half floats: two neighbouring fragments, row by
 * row. Words: one fragment, whose columns 2i and 2i + 1 are the unit's k = i and i + 4.
 */
export function fromAccumulators(
  name: (stem: string) => string,
  unit: MatrixUnit,
  s: Buffer,
  first: Dim,
  into: Buffer,
  to: Dim,
): readonly Stmt[] {
  const [two, h] = [axis(name("fa_two"), 2, "unroll"), axis(name("fa_h"), 2, "unroll")];
  const place = add(to, mul(at(two), 2), at(h));
  const value = isHalf(unit.input)
    ? pairOf(unit.input, s, add(first, mul(at(two), 4), mul(at(h), 2)))
    : apply("bitcast", "u32", rounded(load(s, add(first, mul(at(h), 2), at(two)))));
  return loops([two, h], [store(into, place, value)]);
}

/** Fragments of b for two neighbouring 8 columns (`pair`) of a tile whose rows run along n: rows from `row` on, one step of k. */
export function fromRows(
  name: (stem: string) => string,
  unit: MatrixUnit,
  tile: { readonly buffer: Buffer; readonly from: Dim; readonly row: Dim; readonly columns: number; readonly lane: Dim },
  pair: Axis,
  into: Buffer,
): readonly Stmt[] {
  const { buffer, from, row, columns, lane } = tile;
  const step = pitch(columns, buffer.dtype);
  if (isHalf(unit.input)) {
    const start = add(from, mul(add(row, mod(lane, 16)), step), mul(at(pair), 16), mul(div(lane, 16), 8));
    return [{ kind: "fetch", unit, into: ref(into, mul(at(pair), 4)), from: ref(buffer, start), stride: 0, count: 4, transposed: true }];
  }
  const [side, second] = [axis(name("fr_side"), 2, "unroll"), axis(name("fr_second"), 2, "unroll")];
  const place = add(from, mul(add(row, mul(mod(lane, 4), 2), at(second)), step), mul(add(mul(at(pair), 2), at(side)), 8), div(lane, 4));
  return loops(
    [side, second],
    [store(into, add(mul(at(pair), 4), mul(at(side), 2), at(second)), apply("bitcast", "u32", load(buffer, place)))],
  );
}
