/** Products of few tiles and a long k: grid points take parts of k, and a second kernel adds up what they found. */
import { add, ceilDiv, type Dim, div, divides, indexOn, mod, mul, variable } from "../../../core/expr.js";
import { apply, at, axis, type Buffer, below, type Kernel, load, loops, type Stmt, store, type Value } from "../../kernel.js";
import { finishKernel } from "../../walk.js";
import type { Contract, Product } from "./contract.js";
import { leave } from "./leave.js";
import type { Level } from "./tiling.js";

const threads = 128;
const level = (x: Contract): Level | undefined => x.t.levels.find((l) => l.axis === "k" && l.on === "grid");
/** In how many parts k is cut. */
export const partsOfK = (x: Contract): number => {
  const l = level(x);
  return l && typeof x.total.k === "number" ? Math.ceil(x.total.k / l.tile) : 1;
};
/** Sums of one product's parts, each a whole result. */
const sumsOf = (x: Contract, p: Product): Buffer => ({
  name: `tmp${p.index}`,
  dtype: "f32",
  space: "global",
  size: mul(mul(x.total.m, x.total.n), partsOfK(x)),
});

/** Stores a part's sums at (m, n). */
export function keepPart(x: Contract, m: Dim, n: Dim, values: readonly Value[], into: Stmt[]): void {
  const part = x.digits.get(level(x)!)!;
  for (const p of x.products) into.push(store(sumsOf(x, p), add(mul(add(mul(part, x.total.m), m), x.total.n), n), values[p.index]!));
}
export const partBuffers = (x: Contract): readonly Buffer[] => x.products.map((p) => ({ ...sumsOf(x, p), writes: true }));

/** The kernel that adds the parts up and computes what follows. */
export function addParts(x: Contract, name: string): Kernel {
  const { m: rows, n: columns } = x.total;
  const lanes = divides(4, columns) ? 4 : 1;
  const count = div(mul(rows, columns), lanes);
  const grid = ceilDiv(count, threads);
  const piece = add(mul(indexOn("pid", grid), threads), variable("tid", 0, threads - 1));
  const l = axis("l", lanes, "vector");
  const wide = div(columns, lanes);
  const [m, n] = [div(piece, wide), add(mul(mod(piece, wide), lanes), at(l))];
  const sums = x.products.map((p): Value => {
    const part = (i: number): Value => load(sumsOf(x, p), add(mul(add(mul(i, rows), m), columns), n));
    return Array.from({ length: partsOfK(x) }, (_, i) => part(i)).reduce((a, b) => apply("add", "f32", a, b));
  });
  const body: Stmt[] = [];
  leave(x, sums, m, n, body);
  const all = loops([l], body);
  const inside: readonly Stmt[] = divides(threads, count) ? all : [{ kind: "if", test: below(piece, count), body: all }];
  const buffers = [...x.buffers.values(), ...x.products.map((p) => sumsOf(x, p)), ...x.registers()];
  return finishKernel(`${name}_whole`, buffers, grid, threads, inside);
}
