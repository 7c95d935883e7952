/** Tensors from values on the host, and from nothing. */
import { type NaturalArray, toBytes } from "../core/convert.js";
import { type DType, dtypes, isWide } from "../core/dtype.js";
import { ArgumentError, ShapeError } from "../core/errors.js";
import type { Dim } from "../core/expr.js";
import type { Shape } from "../core/type.js";
import type { Node } from "../ir/node.js";
import { cast } from "../ops/cast.js";
import { add, eq, mul } from "../ops/elementwise.js";
import { reshape } from "../ops/movement.js";
import { defaultDType } from "../ops/promotion.js";
import { full as fullNode, input, iota } from "../ops/source.js";
import { Cell } from "./cell.js";
import { currentDevice, deviceGiven } from "./device.js";
import { dtypeGiven, shapeGiven } from "./given.js";
import { mode } from "./mode.js";
import { literalNode, newTensor } from "./record.js";
import { Storage, setStorage } from "./storage.js";
import { Tensor } from "./tensor.js";

/** Options of functions that make tensors. */
export interface CreateOptions {
  readonly dtype?: DType;
  readonly requiresGrad?: boolean;
  readonly device?: string;
}
/** Numbers, nested arrays of numbers, or a typed array. */
export type NestedArray = number | bigint | boolean | NaturalArray | readonly NestedArray[];

function made(n: Node, options: CreateOptions, constant = false): Tensor {
  const device = options.device ? deviceGiven(options.device) : currentDevice();
  // A constant is never worth running for its own sake.
  const t = constant ? new Tensor(new Cell(n, device)) : newTensor(n, device);
  return options.requiresGrad ? t.requiresGrad_() : t;
}

const typedDTypes: readonly (readonly [new (n: number) => NaturalArray, DType])[] = [
  [Float32Array, "f32"],
  [Float64Array, "f64"],
  [Int32Array, "i32"],
  [Uint8Array, "u8"],
  [Int8Array, "i8"],
  [Int16Array, "i16"],
  [Uint16Array, "u16"],
  [Uint32Array, "u32"],
  [BigInt64Array, "i64"],
  [BigUint64Array, "u64"],
];
const dtypeOfTyped = (a: NaturalArray): DType => typedDTypes.find(([c]) => a instanceof c)![1];

/**
 * A tensor of the given values (torch.tensor). The dtype is that of a typed array, the default float where a number has a
 * fraction, i64 for whole numbers and bigints, bool for booleans. A flat array takes a shape as second argument.
 */
export function tensor(values: NestedArray, options?: CreateOptions): Tensor;
export function tensor(values: NestedArray, shape: readonly number[], options?: CreateOptions): Tensor;
export function tensor(values: NestedArray, second?: readonly number[] | CreateOptions, third?: CreateOptions): Tensor {
  const options = (Array.isArray(second) ? third : (second as CreateOptions | undefined)) ?? {};
  let found: { readonly flat: ArrayLike<number | bigint | boolean>; readonly shape: readonly number[]; readonly dtype: DType };
  if (ArrayBuffer.isView(values))
    found = { flat: values as NaturalArray, shape: [(values as NaturalArray).length], dtype: dtypeOfTyped(values as NaturalArray) };
  else found = flatten(values as Exclude<NestedArray, NaturalArray>);
  const dtype = dtypeGiven(options.dtype ?? found.dtype);
  const shape = Array.isArray(second) ? (second as readonly number[]) : found.shape;
  const n = shape.reduce((a, b) => a * b, 1);
  if (n !== found.flat.length) throw new ShapeError(`tensor: ${found.flat.length} values do not fill a shape of [${shape.join(", ")}]`);
  return fromBytes(toBytes(dtype, found.flat), shape, { ...options, dtype });
}
/** A tensor of raw little-endian bytes; the bytes are not copied. */
export function fromBytes(bytes: Uint8Array, shape: readonly number[], options: CreateOptions & { readonly dtype: DType }): Tensor {
  const { dtype } = options;
  const size = shape.reduce((a, b) => a * b, dtypes[dtype].bytes);
  if (bytes.length !== size) throw new ShapeError(`fromBytes: ${bytes.length} bytes for ${dtype}[${shape.join(", ")}], which has ${size}`);
  const leaf = input({ shape, dtype });
  setStorage(leaf, new Storage({ shape, dtype }, bytes));
  return made(leaf, options);
}

/** Values of nested arrays, with their shape and the dtype that they suggest. */
function flatten(values: Exclude<NestedArray, NaturalArray>): { flat: (number | bigint | boolean)[]; shape: number[]; dtype: DType } {
  const flat: (number | bigint | boolean)[] = [];
  const shape: number[] = [];
  let leafDepth = -1;
  let kind = 0;
  let inner: DType | undefined;
  const walk = (x: NestedArray, depth: number): void => {
    if (Array.isArray(x) || ArrayBuffer.isView(x)) {
      const list = x as ArrayLike<NestedArray>;
      if (shape.length === depth) {
        if (leafDepth >= 0) throw ragged(depth);
        shape.push(list.length);
      } else if (shape[depth] !== list.length) throw ragged(depth);
      if (ArrayBuffer.isView(x)) inner = dtypeOfTyped(x as NaturalArray);
      for (let i = 0; i < list.length; i++) walk(list[i]!, depth + 1);
      return;
    }
    if (leafDepth < 0) leafDepth = depth;
    if (leafDepth !== depth || shape.length !== depth) throw ragged(depth);
    if (typeof x === "number") kind = Math.max(kind, Number.isInteger(x) ? 2 : 3);
    else if (typeof x === "bigint") kind = Math.max(kind, 2);
    else if (typeof x === "boolean") kind = Math.max(kind, 1);
    else throw new ArgumentError(`tensor: ${String(x)} is not a number, a boolean or an array of them`);
    flat.push(x as number | bigint | boolean);
  };
  walk(values, 0);
  const dtype = inner ?? (kind === 1 ? "bool" : kind === 2 ? "i64" : defaultDType());
  return { flat, shape, dtype };
}
const ragged = (depth: number): ShapeError =>
  new ShapeError(`tensor: the arrays at depth ${depth} differ in length; all rows need the same one`);

const valueFor = (dtype: DType, value: number | bigint | boolean): number | bigint => (isWide(dtype) ? BigInt(value) : Number(value));

/** A tensor of one repeated number (torch.full). */
export function full(shape: Shape, value: number | bigint | boolean, options: CreateOptions = {}): Tensor {
  shapeGiven("full", shape);
  const guess: DType = typeof value === "boolean" ? "bool" : typeof value === "bigint" || Number.isInteger(value) ? "i64" : defaultDType();
  const dtype = dtypeGiven(options.dtype ?? guess);
  const v = valueFor(dtype, value);
  const constant = mode.trace !== undefined || [0, 1, -1, 2, 0.5].includes(Number(v));
  if (constant) return made(fullNode(shape, v, dtype), options, true);
  return made(add(fullNode(shape, isWide(dtype) ? 0n : 0, dtype), literalNode(v, dtype)), options);
}
/** Zeros (torch.zeros). */
export const zeros = (shape: Shape, options: CreateOptions = {}): Tensor => full(shape, 0, { dtype: defaultDType(), ...options });
/** Ones (torch.ones). */
export const ones = (shape: Shape, options: CreateOptions = {}): Tensor => full(shape, 1, { dtype: defaultDType(), ...options });
/** Memory whose contents do not matter; here zeros (torch.empty). */
export const empty = (shape: Shape, options: CreateOptions = {}): Tensor => zeros(shape, options);
/** Zeros of the shape, dtype and device of x (torch.zeros_like). */
export const zerosLike = (x: Tensor, options: CreateOptions = {}): Tensor =>
  zeros(x.shape, { dtype: x.dtype, device: x.cell.device, ...options });
/** Ones of the shape, dtype and device of x (torch.ones_like). */
export const onesLike = (x: Tensor, options: CreateOptions = {}): Tensor =>
  ones(x.shape, { dtype: x.dtype, device: x.cell.device, ...options });
/** One value in the shape, dtype and device of x (torch.full_like). */
export const fullLike = (x: Tensor, value: number | bigint | boolean, options: CreateOptions = {}): Tensor =>
  full(x.shape, value, { dtype: x.dtype, device: x.cell.device, ...options });
/** Zeros of the shape, dtype and device of x: nothing is ever uninitialised (torch.empty_like). */
export const emptyLike = (x: Tensor, options: CreateOptions = {}): Tensor => zerosLike(x, options);

/** start, start + step, ... below end (torch.arange). One argument counts from 0. */
export function arange(end: number, options?: CreateOptions): Tensor;
export function arange(start: number, end: number, options?: CreateOptions): Tensor;
export function arange(start: number, end: number, step: number, options?: CreateOptions): Tensor;
export function arange(...args: (number | CreateOptions | undefined)[]): Tensor {
  const options = (args.find((a) => typeof a === "object" && a !== null && !("terms" in a)) as CreateOptions | undefined) ?? {};
  const numbers = args.filter((a) => typeof a === "number" || (typeof a === "object" && a !== null && "terms" in a)) as number[];
  const [start, end, step] = numbers.length === 1 ? [0, numbers[0]!, 1] : [numbers[0]!, numbers[1]!, numbers[2] ?? 1];
  if (typeof end !== "number" && start === 0 && step === 1) return made(iota(end as Dim, options.dtype ?? "i64"), options);
  if (step === 0 || !numbers.every((x) => Number.isFinite(+x)))
    throw new ArgumentError(`arange: from ${start} to ${end} by ${step} is no range`);
  if (step > 0 ? start > end : start < end) throw new ArgumentError(`arange: from ${start} to ${end}, a step of ${step} leads away`);
  const dtype = dtypeGiven(options.dtype ?? (numbers.every(Number.isInteger) ? "i64" : defaultDType()));
  const size = Math.ceil((end - start) / step);
  const wide = Number.isInteger(start) && Number.isInteger(step) ? "i64" : "f64";
  const at = iota(size, wide);
  const number = (x: number): Node => literalNode(valueFor(wide, x), wide);
  const scaled = step === 1 ? at : mul(at, number(step));
  return made(cast(start === 0 ? scaled : add(scaled, number(start)), dtype), options);
}
/** `steps` numbers from start to end, both included (torch.linspace). */
export function linspace(start: number, end: number, steps: number, options: CreateOptions = {}): Tensor {
  if (!Number.isInteger(steps) || steps < 0) throw new ArgumentError(`linspace: ${steps} steps`);
  const dtype = dtypeGiven(options.dtype ?? defaultDType());
  const values = Float64Array.from({ length: steps }, (_, i) => {
    const step = (end - start) / Math.max(steps - 1, 1);
    return i < steps / 2 ? start + step * i : end - step * (steps - 1 - i);
  });
  return tensor(values, { ...options, dtype });
}
/** Ones on the diagonal, zeros elsewhere (torch.eye). */
export function eye(n: number, m: number = n, options: CreateOptions = {}): Tensor {
  const dtype = dtypeGiven(options.dtype ?? defaultDType());
  const rows = reshape(iota(n, "i32"), [n, 1]);
  return made(cast(eq(rows, iota(m, "i32")), dtype), options);
}
/** A rank-0 tensor whose number is kept in memory of its own, so that a compiled function reads its current value. */
export const scalarTensor = (value: number | bigint | boolean, options: CreateOptions = {}): Tensor => tensor(value, options);

/** Wraps a node that other parts of the framework recorded. */
export const fromNode = (n: Node): Tensor => newTensor(n);
