import { bytesOf, type DType, isWide } from "./dtype.js";

/** Elements on the host: bigint for 64-bit integers, numbers otherwise (bool as 0 and 1). */
export type HostData = Float64Array | BigInt64Array | BigUint64Array;

/** Reference arrays: slow, obvious, dense row-major. Only `reference` rules, literals and tests use them. */
export class NdArray {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: HostData;
  constructor(dtype: DType, shape: readonly number[], data: HostData) {
    this.dtype = dtype;
    this.shape = shape;
    this.data = data;
  }

  /** An array whose element at each index is `f(index)`. */
  static of(dtype: DType, shape: readonly number[], f: (index: number[], flat: number) => number | bigint): NdArray {
    const n = shape.reduce((a, b) => a * b, 1);
    const data = hostData(dtype, n);
    const index = new Array<number>(shape.length).fill(0);
    for (let i = 0; i < n; i++) {
      const x = f(index.slice(), i);
      data[i] = isWide(dtype) ? BigInt(x) : Number(x);
      for (let d = shape.length - 1; d >= 0 && ++index[d]! === shape[d]; d--) index[d] = 0;
    }
    return new NdArray(dtype, shape, data);
  }
  /** The element at `index`. */
  at(index: readonly number[]): number | bigint {
    return this.data[ravel(index, this.shape)]!;
  }
}
export function hostData(dtype: DType, n: number): HostData {
  return dtype === "i64" ? new BigInt64Array(n) : dtype === "u64" ? new BigUint64Array(n) : new Float64Array(n);
}
const ravel = (index: readonly number[], shape: readonly number[]): number => index.reduce((acc, x, d) => acc * shape[d]! + x, 0);
export const byteLength = (dtype: DType, shape: readonly number[]): number => shape.reduce((a, b) => a * b, bytesOf(dtype));
