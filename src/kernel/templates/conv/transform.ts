/** Small constant matrices applied to values: what neighbouring rows or columns share is computed once. */
import type { WinogradForms } from "../../../ops/winograd.js";
import { constant, type Stmt, type Value } from "../../kernel.js";
import type { Conv } from "./setup.js";

type Matrix = WinogradForms["input"];
interface Term {
  readonly value: Value;
  readonly by: number;
}
/** Statements of one transform, which name what they compute. */
interface Names {
  readonly x: Conv;
  readonly into: Stmt[];
  count: number;
}
function named(n: Names, value: Value): Value {
  const name = n.x.name(`w${n.count++}`);
  n.into.push({ kind: "let", name, value });
  return { kind: "ref", dtype: value.dtype, name };
}
function sum(n: Names, terms: readonly Term[]): Value {
  const { op, dtype } = n.x;
  const number = (by: number): Value => constant(by, dtype);
  const [first, ...rest] = [...terms].sort((a, b) => Number(b.by === 1) - Number(a.by === 1));
  const start = first!.by === 1 ? first!.value : op("mul", first!.value, number(first!.by));
  return rest.reduce((acc, t) => {
    if (t.by === 1) return op("add", acc, t.value);
    return t.by === -1 ? op("sub", acc, t.value) : op("fma", t.value, number(t.by), acc);
  }, start);
}

/** matrix x tile x matrix^T, for square tiles: columns first, then rows. */
export function transformed(
  x: Conv,
  matrix: Matrix,
  o: { read(i: number, j: number): Value; write(i: number, j: number, v: Value): Stmt },
): readonly Stmt[] {
  const n: Names = { x, into: [], count: 0 };
  const size = matrix[0]!.length;
  const all = Array.from({ length: size }, (_, i) => i);
  const columns = all.map((j) =>
    applied(
      n,
      matrix,
      all.map((i) => named(n, o.read(i, j))),
    ),
  );
  for (const i of matrix.keys()) {
    const row = applied(
      n,
      matrix,
      columns.map((c) => c[i]!),
    );
    for (const [j, v] of row.entries()) n.into.push(o.write(i, j, v));
  }
  return n.into;
}

/** matrix x values. */
function applied(n: Names, matrix: Matrix, values: readonly Value[]): Value[] {
  const { x } = n;
  const partner = opposite(matrix[0]!.map((_, k) => matrix.map((row) => row[k]!)));
  const rows: Term[][] = matrix.map(() => []);
  for (const [k, value] of values.entries()) {
    const other = partner[k];
    if (other === undefined) for (const [i, row] of matrix.entries()) if (row[k] !== 0) rows[i]!.push({ value, by: row[k]! });
    if (other === undefined || other < k) continue;
    // Two columns that differ in signs: their sum and their difference are all that is needed of them.
    const [both, apart] = [named(n, x.op("add", value, values[other]!)), named(n, x.op("sub", value, values[other]!))];
    for (const [i, row] of matrix.entries()) if (row[k] !== 0) rows[i]!.push({ value: row[k] === row[other] ? both : apart, by: row[k]! });
  }
  const pairs = opposite(rows.map((r) => values.map((v) => r.find((t) => t.value === v)?.by ?? 0)));
  const out: Value[] = [];
  for (const [i, row] of rows.entries()) {
    const other = pairs[i];
    if (other === undefined) out[i] = named(n, sum(n, row));
    if (other === undefined || other < i) continue;
    const by = (v: Value): number => rows[other]!.find((t) => t.value === v)!.by;
    const [even, odd] = [row.filter((t) => by(t.value) === t.by), row.filter((t) => by(t.value) !== t.by)];
    const [e, d] = [named(n, sum(n, even)), named(n, sum(n, odd))];
    out[i] = named(n, x.op("add", e, d));
    out[other] = named(n, x.op("sub", e, d));
  }
  return out;
}
/** For each list the other one that has the same magnitudes, some signs equal and some not. */
function opposite(lists: readonly (readonly number[])[]): (number | undefined)[] {
  const out: (number | undefined)[] = lists.map(() => undefined);
  for (const [i, a] of lists.entries())
    for (const [j, b] of lists.entries()) {
      if (j <= i || out[i] !== undefined || out[j] !== undefined) continue;
      const alike = a.every((v, k) => Math.abs(v) === Math.abs(b[k]!));
      if (alike && a.some((v, k) => v !== 0 && v === b[k]) && a.some((v, k) => v !== 0 && v !== b[k])) {
        out[i] = j;
        out[j] = i;
      }
    }
  return out;
}
