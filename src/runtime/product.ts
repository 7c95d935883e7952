/** A library's product: its sizes in one call, and whether it stays inside its buffers. */
import type { DType } from "../core/dtype.js";
import { DeviceError } from "../core/errors.js";
import { type Dim, evaluate } from "../core/expr.js";
import type { CallKind, Library } from "./choices.js";
import { type Sizes, valueOf } from "./encode.js";
import type { Matrix, Product } from "./program.js";

/** What the libraries are called. */
export const libraryNames: Readonly<Record<Product["library"], string>> = { cublaslt: "cuBLASLt", blas: "BLAS" };

/** dtypes of a product's matrices. */
export interface ProductTypes {
  readonly input: DType;
  readonly output: DType;
}

/** A matrix with numbers for sizes. */
export interface SizedMatrix {
  readonly argument: number;
  readonly offset: number;
  readonly row: number;
  readonly each: number;
  readonly turned: boolean;
  /** Elements of a row in memory, and rows. */
  readonly columns: number;
  readonly rows: number;
}
/** A product with numbers for sizes. */
export interface SizedProduct {
  readonly batch: number;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly a: SizedMatrix;
  readonly b: SizedMatrix;
  readonly d: SizedMatrix;
  readonly c?: SizedMatrix;
  readonly bias?: { readonly argument: number; readonly offset: number };
  readonly gelu: boolean;
  readonly tf32: boolean;
}

/** A product in a call of these sizes. */
export function sizedProduct(p: Product, sizes: Sizes): SizedProduct {
  const value = (d: Dim): number => evaluate(d, sizes);
  const [m, n, k] = [value(p.m), value(p.n), value(p.k)];
  const matrix = (x: Matrix, rows: number, columns: number): SizedMatrix => {
    const turned = x.turned === true;
    const [outer, inner] = turned ? [columns, rows] : [rows, columns];
    return {
      argument: x.argument,
      offset: value(x.offset),
      row: value(x.row),
      each: value(x.each),
      turned,
      rows: outer,
      columns: inner,
    };
  };
  return {
    batch: value(p.batch),
    m,
    n,
    k,
    a: matrix(p.a, m, k),
    b: matrix(p.b, k, n),
    d: matrix(p.d, m, n),
    ...(p.c && { c: matrix(p.c, m, n) }),
    ...(p.bias && { bias: { argument: p.bias.argument, offset: value(p.bias.offset) } }),
    gelu: p.gelu === true,
    tf32: p.tf32 === true,
  };
}

/** Why a product does not stay inside its buffers, which have so many elements, or undefined. */
export function outside(p: SizedProduct, elements: (argument: number) => number): string | undefined {
  const all = { a: p.a, b: p.b, c: p.c, d: p.d };
  for (const [name, x] of Object.entries(all)) {
    if (!x) continue;
    const numbers = [x.offset, x.row, x.each];
    if (!numbers.every((i) => Number.isSafeInteger(i) && i >= 0) || (x.rows > 1 && x.row < x.columns)) return `${name} has wrong strides`;
    const end = x.offset + Math.max(0, p.batch - 1) * x.each + Math.max(0, x.rows - 1) * x.row + x.columns;
    if (p.batch * x.rows * x.columns > 0 && end > elements(x.argument)) return `${name} ends behind its buffer`;
  }
  if (p.bias && p.bias.offset + p.n > elements(p.bias.argument)) return "bias ends behind its buffer";
  return undefined;
}

/** A product of one call. */
export interface ProductCall {
  readonly sized: SizedProduct;
  readonly types: ProductTypes;
}
/** Products that steps hold. */
export const products: CallKind<ProductCall> = {
  name: "product",
  libraryOf: (s) => s.product?.library,
  also: () => [],
  isFixed(p, s) {
    const x = s.product!;
    const sizes = [x.batch, x.m, x.n, x.k, s.grid, ...s.dims, ...s.buffers.map((b) => p.buffers[b]!.size)];
    return sizes.every((d) => typeof d === "number");
  },
  sized(p, i, sizes) {
    const { product, buffers } = p.steps[i] as Extract<(typeof p.steps)[number], { kind: "launch" }>;
    const buffer = (argument: number) => p.buffers[buffers[argument]!]!;
    const sized = sizedProduct(product!, sizes);
    const why = outside(sized, (argument) => valueOf(buffer(argument).size, sizes, "a buffer's size"));
    if (why) throw new DeviceError(`${p.name}: the product of step ${i}: ${why}`);
    return { sized, types: { input: buffer(product!.a.argument).dtype, output: buffer(product!.d.argument).dtype } };
  },
};
/** A library of products on a device. */
export type Multiplier<W> = Library<ProductCall, W>;
