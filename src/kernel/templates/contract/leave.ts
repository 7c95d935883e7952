/** Where results go: the epilogue at an element of the product, at once or in a sweep over a tile that waited in scratch. */
import { add, type Dim, div, divides, min, mod, mul, sub } from "../../../core/expr.js";
import type { Shape } from "../../../core/type.js";
import { beforeStores } from "../../group.js";
import { at, axis, below, load, loops, type Stmt, store, type Value } from "../../kernel.js";
import { type Contract, type Product, pieces, type State } from "./contract.js";

/** Where an element of the register block waits in scratch. */
export const waiting = (x: Contract, p: Product, st: State, i: Dim, j: Dim): Dim =>
  add(mul(add(x.inWaiting(st, "m"), i), x.partialWidth), x.inWaiting(st, "n"), j, p.index * x.partialSize);

/** Computes every output at an element (m, n) of the tiling, given the products' elements there, and stores it. */
export function leave(x: Contract, products: readonly Value[], m: Dim, n: Dim, into: Stmt[]): void {
  const [row, column] = x.position(m, n);
  const e = x.epilogue(products);
  const computed = x.group.outputs.map((o) => e.value(o, outputIndex(x, o.type.shape, row, column), into));
  const values = beforeStores(x.group, computed, into);
  into.push(...values.map((value, i) => store(x.outs[i]!, flat(x, row, column, x.group.pitches?.get(x.group.outputs[i]!)), value)));
}

/** Row-major number of an element of the product, or where it lies if rows lie further apart than they are long. */
export function flat(x: Contract, row: Dim, column: Dim, pitch?: number): Dim {
  const [rows, columns] = x.position(x.total.m, x.total.n);
  return add(mul(add(mul(x.batchFlat, rows), row), pitch ?? columns), column);
}
/** The index of an output that has the product's elements in the product's order, though perhaps with other leading dims. */
export function outputIndex(x: Contract, shape: Shape, row: Dim, column: Dim): Dim[] {
  const [rows, columns] = x.position(x.total.m, x.total.n);
  const split = (value: Dim, dims: Shape): Dim[] => {
    const out: Dim[] = [];
    let rest = value;
    for (let i = dims.length - 1; i >= 0; i--) {
      out.unshift(i === 0 ? rest : mod(rest, dims[i]!));
      rest = div(rest, dims[i]!);
    }
    return out;
  };
  const last = shape.length - 1;
  if (shape[last] !== columns) return split(flat(x, row, column), shape);
  if (last > 0 && shape[last - 1] === rows) return [...split(x.batchFlat, shape.slice(0, -2)), row, column];
  return [...split(add(mul(x.batchFlat, rows), row), shape.slice(0, -1)), column];
}

/** The epilogue of a whole tile that waited: lanes lie along the product's columns, whatever the register blocks looked like. */
export function sweep(x: Contract, st: State, lanes: number): readonly Stmt[] {
  // A register block's rows are whole, though the product may end before.
  const height = divides(x.mr, x.total.m) ? st.size.m : min(st.size.m, sub(x.total.m, st.off.m));
  const [rows, columns] = x.position(height, st.size.n);
  const [, ofColumns] = x.position(x.total.m, x.total.n);
  const r = axis("row", rows, "loop");
  const c = axis("column", pieces(columns, lanes), "loop");
  const l = axis("l", lanes, "vector");
  const across = add(mul(at(c), lanes), at(l));
  const [i, j] = x.position(at(r), across);
  const [m, n] = [add(st.off.m, i), add(st.off.n, j)];
  const body: Stmt[] = [];
  leave(
    x,
    x.products.map((p) => load(x.partial, waiting(x, p, st, i, j))),
    m,
    n,
    body,
  );
  const column = x.position(m, n)[1];
  return loops([r, c, l], divides(lanes, ofColumns) ? body : [{ kind: "if", test: below(column, ofColumns), body }]);
}
