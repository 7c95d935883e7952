/** A graph of cuDNN's operations, made one after the other; every one gives the tensor that it writes. */
import type { DType } from "../../../core/dtype.js";
import { type Functions, kinds, types } from "./functions.js";

const dtypes: Readonly<Partial<Record<DType, number>>> = { f32: 0, f16: 2, i32: 4, bf16: 9, bool: 11 };
const pointwise = { add: 0, mul: 1, div: 6, sub: 9, exp: 13, log: 15, greaterEqual: 303, index: 501, select: 601 } as const;
const reductions = { sum: 0, max: 3 } as const;
/** Bytes that every place in memory is a multiple of. */
const alignment = 16;

export interface Tensor {
  readonly descriptor: bigint;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
}
interface Made {
  readonly dtype?: DType;
  readonly strides?: readonly number[];
}

const dense = (shape: readonly number[]): number[] => shape.map((_, i) => shape.slice(i + 1).reduce((x, y) => x * y, 1));
const longs = (numbers: readonly number[]): BigInt64Array => BigInt64Array.from(numbers, BigInt);

export class GraphMaker {
  readonly #f: Functions;
  /** Everything made for the graph. */
  readonly #made: bigint[] = [];
  readonly #operations: bigint[] = [];
  /** Tensors that lie in memory, in the order in which a call gives their addresses. */
  readonly memories: number[] = [];
  /** Those that are a number. */
  readonly values: { readonly id: number; readonly value: number }[] = [];
  #next = 1;

  constructor(f: Functions) {
    this.#f = f;
  }

  /** A tensor in memory: the next of those that a call gives addresses of. */
  memory(dtype: DType, shape: readonly number[], strides: readonly number[] = dense(shape)): Tensor {
    this.memories.push(this.#next);
    return this.#tensor(dtype, shape, strides, false);
  }
  /** A number that a call reads in the host's memory. */
  value(value: number): Tensor {
    this.values.push({ id: this.#next, value });
    return this.#tensor("f32", [1, 1, 1, 1], [1, 1, 1, 1], false, true);
  }
  product(a: Tensor, b: Tensor, to: Tensor): Tensor {
    const how = this.#make(kinds.product);
    this.#set(how, 1500, "f32");
    this.#operation(kinds.productOperation, { 1520: a, 1521: b, 1522: to, 1523: this.#f.finish(how) });
    return to;
  }
  /** A tensor that is in no memory. */
  virtual(shape: readonly number[], { dtype = "f32", strides = dense(shape) }: Made = {}): Tensor {
    return this.#tensor(dtype, shape, strides, true);
  }
  pointwise(op: "add" | "mul" | "div" | "sub" | "exp" | "log", x: Tensor, y?: Tensor, to: Tensor = this.virtual(x.shape)): Tensor {
    return this.#pointwise(op, [x, y], to);
  }
  /** `x` where the position on axis 2 is not below that on axis 3, `otherwise` elsewhere. */
  below(x: Tensor, otherwise: Tensor): Tensor {
    const at = (axis: number): Tensor => this.#pointwise("index", [x], this.virtual(x.shape, { dtype: "i32" }), { axis });
    const seen = this.#pointwise("greaterEqual", [at(2), at(3)], this.virtual(x.shape, { dtype: "bool" }), { dtype: "bool" });
    return this.#pointwise("select", [x, otherwise, seen], this.virtual(x.shape));
  }
  /** Reduces the axes along which `to` has size 1, or runs of heads to fewer. */
  reduce(op: keyof typeof reductions, x: Tensor, to: Tensor): Tensor {
    const how = this.#make(kinds.reduction);
    this.#f.set(how, 1600, types.reduction, Int32Array.of(reductions[op]));
    this.#set(how, 1601, "f32");
    this.#operation(kinds.reductionOperation, { 1610: x, 1611: to, 1612: this.#f.finish(how) });
    return to;
  }
  /** The last two axes exchanged, as a view; perhaps rounded. */
  turned(x: Tensor, dtype: DType = x.dtype): Tensor {
    const swap = ([a, b, c, d]: readonly number[]): number[] => [a!, b!, d!, c!];
    const to = this.virtual(swap(x.shape), { dtype, strides: swap(x.strides) });
    this.#operation(kinds.reshapeOperation, { 2200: x, 2201: to });
    return to;
  }

  /** The graph, finished. */
  finish(handle: bigint): bigint {
    const graph = this.#make(kinds.graph);
    this.#f.set(graph, 800, types.handle, BigInt64Array.of(handle));
    this.#f.set(graph, 801, types.descriptor, BigInt64Array.from(this.#operations));
    return this.#f.finish(graph);
  }
  free(): void {
    for (const descriptor of this.#made.splice(0).reverse()) this.#f.free(descriptor);
  }

  #make(kind: number): bigint {
    const descriptor = this.#f.make(kind);
    this.#made.push(descriptor);
    return descriptor;
  }
  #set(descriptor: bigint, name: number, dtype: DType): void {
    this.#f.set(descriptor, name, types.dtype, Int32Array.of(dtypes[dtype]!));
  }
  #tensor(dtype: DType, shape: readonly number[], strides: readonly number[], virtual: boolean, byValue?: true): Tensor {
    const descriptor = this.#make(kinds.tensor);
    const set = (name: number, numbers: readonly number[]): void => this.#f.set(descriptor, name, types.i64, longs(numbers));
    this.#set(descriptor, 901, dtype);
    set(902, shape);
    set(903, strides);
    set(906, [this.#next++]);
    set(900, [alignment]);
    this.#f.set(descriptor, 907, types.boolean, Uint8Array.of(virtual ? 1 : 0));
    if (byValue) this.#f.set(descriptor, 908, types.boolean, Uint8Array.of(1));
    return { descriptor: this.#f.finish(descriptor), dtype, shape, strides };
  }
  #pointwise(
    op: keyof typeof pointwise,
    [x, y, mask]: readonly (Tensor | undefined)[],
    to: Tensor,
    { dtype = "f32", axis }: { readonly dtype?: DType; readonly axis?: number } = {},
  ): Tensor {
    const how = this.#make(kinds.pointwise);
    this.#f.set(how, 0, types.pointwise, Int32Array.of(pointwise[op]));
    this.#set(how, 1, dtype);
    if (axis !== undefined) this.#f.set(how, 9, types.i64, longs([axis]));
    const operands = { 751: x!, ...(y && { 752: y }), 753: to, ...(mask && { 758: mask }) };
    this.#operation(kinds.pointwiseOperation, { 750: this.#f.finish(how), ...operands });
    return to;
  }
  #operation(kind: number, parts: Readonly<Record<number, Tensor | bigint>>): void {
    const operation = this.#make(kind);
    for (const [name, part] of Object.entries(parts))
      this.#f.set(operation, Number(name), types.descriptor, BigInt64Array.of(typeof part === "bigint" ? part : part.descriptor));
    this.#operations.push(this.#f.finish(operation));
  }
}
