/** A library's product as JSON and back. */
import { FormatError } from "../core/errors.js";
import { type Dim, show } from "../core/expr.js";
import { asInteger, asObject, type Json, onlyNames } from "./json.js";
import { libraryNames } from "./product.js";
import type { Matrix, Product } from "./program.js";

const names = {
  product: ["library", "batch", "m", "n", "k", "a", "b", "c", "d", "bias", "gelu", "tf32"],
  matrix: ["argument", "offset", "row", "each", "turned"],
};
const text = (d: Dim): number | string => (typeof d === "number" ? d : show(d));

export function writeProduct(p: Product): Json {
  const matrix = (x: Matrix): Json => ({ ...x, offset: text(x.offset), row: text(x.row), each: text(x.each) });
  const { batch, m, n, k, a, b, c, d, bias, ...rest } = p;
  return {
    ...rest,
    ...{ batch: text(batch), m: text(m), n: text(n), k: text(k) },
    ...{ a: matrix(a), b: matrix(b), d: matrix(d) },
    ...(c && { c: matrix(c) }),
    ...(bias && { bias: { ...bias, offset: text(bias.offset) } }),
  };
}

/** Reads what `writeProduct` wrote; `dim` reads a size over the program's dims. */
export function readProduct(x: unknown, dim: (x: unknown) => Dim, what: string): Product {
  const o = asObject(x, what);
  onlyNames(o, names.product, what);
  const library = Object.keys(libraryNames).find((name) => name === o["library"]) as Product["library"] | undefined;
  if (!library) throw new FormatError(`${what} is a product of the library ${JSON.stringify(o["library"])?.slice(0, 40)}`);
  const mark = <K extends string>(object: Json, name: K): Partial<Record<K, true>> => {
    const value = object[name];
    if (value !== undefined && value !== true) throw new FormatError(`${what} has a wrong mark ${name}`);
    return value ? ({ [name]: true } as Record<K, true>) : {};
  };
  const matrix = (y: unknown): Matrix => {
    const p = asObject(y, what);
    onlyNames(p, names.matrix, what);
    return {
      argument: asInteger(p["argument"], what),
      offset: dim(p["offset"]),
      row: dim(p["row"]),
      each: dim(p["each"]),
      ...mark(p, "turned"),
    };
  };
  const vector = (y: unknown): NonNullable<Product["bias"]> => {
    const p = asObject(y, what);
    onlyNames(p, ["argument", "offset"], what);
    return { argument: asInteger(p["argument"], what), offset: dim(p["offset"]) };
  };
  return {
    library,
    ...{ batch: dim(o["batch"]), m: dim(o["m"]), n: dim(o["n"]), k: dim(o["k"]) },
    ...{ a: matrix(o["a"]), b: matrix(o["b"]), d: matrix(o["d"]) },
    ...(o["c"] !== undefined && { c: matrix(o["c"]) }),
    ...(o["bias"] !== undefined && { bias: vector(o["bias"]) }),
    ...mark(o, "gelu"),
    ...mark(o, "tf32"),
  };
}
