/** Values outside a device: what goes into and comes out of sessions and files. */
import { fromBytes, type NaturalArray, naturalView, toBytes } from "../core/convert.js";
import { bytesOf, type DType } from "../core/dtype.js";
import { ArgumentError, ShapeError } from "../core/errors.js";

/** An array on the host: little-endian, row-major bytes with a type. */
export class HostTensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;

  constructor(dtype: DType, shape: readonly number[], bytes: Uint8Array) {
    const expected = shape.reduce((a, b) => a * b, bytesOf(dtype));
    if (!shape.every((n) => Number.isSafeInteger(n) && n >= 0)) throw new ShapeError(`[${shape.join(", ")}] is not a shape`);
    if (bytes.length !== expected)
      throw new ShapeError(`${dtype}[${shape.join(", ")}] has ${expected} bytes and was given ${bytes.length}`);
    this.dtype = dtype;
    this.shape = shape;
    this.bytes = bytes;
  }

  /** From elements in row-major order, rounded or wrapped to the dtype. */
  static of(dtype: DType, shape: readonly number[], values: ArrayLike<number | bigint | boolean>): HostTensor {
    return new HostTensor(dtype, shape, toBytes(dtype, values));
  }

  /** Elements as the natural typed array: f16 and bf16 as Float32Array, 64-bit integers as bigint arrays, bool as Uint8Array. */
  get data(): NaturalArray {
    return naturalView(this.dtype, this.bytes);
  }
  /** The only element: a number, or a bigint beyond 2^53. */
  item(): number | bigint {
    const data = fromBytes(this.dtype, this.bytes);
    if (data.length !== 1) throw new ArgumentError(`item() needs one element, and this is ${this.dtype}[${this.shape.join(", ")}]`);
    const x = data[0]!;
    return typeof x === "bigint" && Number.isSafeInteger(Number(x)) ? Number(x) : x;
  }
}

/** What a caller may pass for an input: a tensor, a number for shape [], a list or a typed array for one dim. */
export type HostValue = HostTensor | number | bigint | boolean | ArrayLike<number | bigint | boolean>;

/** The value as an input of that dtype; a HostTensor's own dtype stays, so that a mismatch is reported. */
export function hostTensor(value: HostValue, dtype: DType): HostTensor {
  if (value instanceof HostTensor) return value;
  if (typeof value === "object") return HostTensor.of(dtype, [value.length], value);
  return HostTensor.of(dtype, [], [value]);
}
