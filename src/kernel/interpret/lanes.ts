/** What one lane of a matrix unit holds: registers, and its accumulators of a product. */
import type { MatrixUnit, Ref, Stmt } from "../kernel.js";
import { fragmentAt } from "../units.js";
import type { Code } from "./code.js";
import type { Scalar } from "./scalar.js";
import type { Thread } from "./thread.js";

/** A thread's registers from a place on. */
export function registers(code: Code, r: Ref, count: number): (t: Thread) => Scalar[] {
  const [n, index] = [code.buffer(r.buffer), code.index(r.index)];
  return (t) => {
    const start = index(t);
    return Array.from({ length: count }, (_, i) => code.around(t, n, start + i)[start + i]!);
  };
}

/** The different rows and columns of a lane's accumulators, and which of them each accumulator has. */
interface Places {
  readonly rows: readonly number[];
  readonly columns: readonly number[];
  readonly of: readonly (readonly [row: number, column: number])[];
}
const known = new WeakMap<MatrixUnit, Places[]>();
function placesOf(unit: MatrixUnit, lane: number): Places {
  let lanes = known.get(unit);
  if (!lanes) known.set(unit, (lanes = []));
  let found = lanes[lane];
  if (!found) {
    const all = Array.from({ length: unit.regs.acc }, (_, i) => fragmentAt(unit.layout!, lane, i) as [number, number]);
    const [rows, columns] = [[...new Set(all.map(([row]) => row))], [...new Set(all.map(([, column]) => column))]];
    lanes[lane] = found = { rows, columns, of: all.map(([row, column]) => [rows.indexOf(row), columns.indexOf(column)]) };
  }
  return found;
}

/** An element along k of a row of a, or of a column of b. */
export type Along = (outer: number, k: number) => number;
/** Adds the products of rows of a and columns of b to a lane's accumulators. Each row and column is read once. */
export function accumulate(code: Code, s: Extract<Stmt, { kind: "mma" }>): (t: Thread, a: Along, b: Along) => void {
  const { unit } = s;
  const { k, regs } = unit;
  const [n, index] = [code.buffer(s.acc.buffer), code.index(s.acc.index)];
  const [x, y] = [new Float64Array(regs.acc * k), new Float64Array(regs.acc * k)];
  const read = (into: Float64Array, outer: readonly number[], element: Along): void => {
    for (let o = 0; o < outer.length; o++) for (let i = 0; i < k; i++) into[o * k + i] = element(outer[o]!, i);
  };
  return (t, a, b) => {
    const { rows, columns, of } = placesOf(unit, t.tid % unit.lanes);
    read(x, rows, a);
    read(y, columns, b);
    const start = index(t);
    code.around(t, n, start);
    const acc = code.around(t, n, start + regs.acc - 1) as Float64Array;
    for (let i = 0; i < regs.acc; i++) {
      const row = of[i]![0] * k;
      const column = of[i]![1] * k;
      let sum = s.fresh ? 0 : acc[start + i]!;
      for (let j = 0; j < k; j++) sum = Math.fround(sum + x[row + j]! * y[column + j]!);
      acc[start + i] = sum;
    }
  };
}
