/**
 * Elements between bytes and the host. Bytes are little-endian, as every machine that Treepie runs on is. f16 and bf16 round to
 * nearest even from f32, as kernels do: a wider value is rounded to f32 first.
 */
import { bytesOf, type DType, isWide } from "./dtype.js";
import { UnsupportedError } from "./errors.js";
import { type HostData, hostData } from "./ndarray.js";

/** What users get from `data()`: f16 and bf16 as Float32Array, bool as Uint8Array, 64-bit integers as bigint arrays. */
export type NaturalArray =
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigUint64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Float32Array
  | Float64Array;

const f32 = new Float32Array(1);
const u32 = new Uint32Array(f32.buffer);

/** Bits of the nearest f16. */
export function toF16(x: number): number {
  f32[0] = x;
  const bits = u32[0]!;
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude >= 0x7f800000) return sign | (magnitude > 0x7f800000 ? 0x7e00 | ((magnitude >>> 13) & 0x1ff) : 0x7c00);
  if (magnitude >= 0x477ff000) return sign | 0x7c00; // rounds to 2^16
  if (magnitude >= 0x38800000) {
    const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1);
    return sign | ((rounded - 0x38000000) >>> 13);
  }
  // Subnormal: the result counts steps of 2^-24. Adding 0.5 leaves exactly those steps in the mantissa, rounded to even.
  f32[0] = Math.abs(f32[0]!) + 0.5;
  return sign | (u32[0]! - 0x3f000000);
}
/** Bits of the nearest bf16. */
export function toBf16(x: number): number {
  f32[0] = x;
  const bits = u32[0]!;
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}
/** The value of an f16. */
export function fromF16(bits: number): number {
  return halves()[bits]!;
}
/** The value of a bf16. */
export function fromBf16(bits: number): number {
  u32[0] = bits << 16;
  return f32[0]!;
}
let halfTable: Float32Array | undefined;
function halves(): Float32Array {
  if (!halfTable) {
    halfTable = new Float32Array(65536);
    const words = new Uint32Array(halfTable.buffer);
    for (let h = 0; h < 65536; h++) {
      const exponent = (h >>> 10) & 31;
      const mantissa = h & 0x3ff;
      if (exponent === 0) halfTable[h] = mantissa * 2 ** -24 * (h & 0x8000 ? -1 : 1);
      else words[h] = ((h & 0x8000) << 16) | ((exponent === 31 ? 255 : exponent + 112) << 23) | (mantissa << 13);
    }
  }
  return halfTable;
}

/** Truncates towards zero and keeps the low 64 bits; NaN and infinities give 0. */
const toBig = (x: number | bigint): bigint => (typeof x === "bigint" ? x : Number.isFinite(x) ? BigInt(Math.trunc(x)) : 0n);
/** Truncates towards zero and keeps the low 32 bits, also beyond 2^53. */
const toInt = (x: number): number => x | 0;

/** One value as a dtype holds it: rounded, wrapped or tested for zero. */
export function roundValue(dtype: DType, x: number | bigint): number | bigint {
  if (dtype === "i64") return BigInt.asIntN(64, toBig(x));
  if (dtype === "u64") return BigInt.asUintN(64, toBig(x));
  const v = typeof x === "bigint" ? narrow(dtype, x) : x;
  switch (dtype) {
    case "f64":
      return v;
    case "f32":
      return Math.fround(v);
    case "f16":
      return fromF16(toF16(v));
    case "bf16":
      return fromBf16(toBf16(v));
    case "bool":
      return v !== 0 ? 1 : 0;
    case "i32":
      return toInt(v);
    case "u32":
      return toInt(v) >>> 0;
    case "i16":
      return (toInt(v) << 16) >> 16;
    case "u16":
      return toInt(v) & 0xffff;
    case "i8":
      return (toInt(v) << 24) >> 24;
    case "u8":
      return toInt(v) & 0xff;
    case "complex64":
      throw unsupported();
    default:
      return dtype satisfies never;
  }
}
/** A bigint as a number that loses nothing the dtype keeps. */
function narrow(dtype: DType, x: bigint): number {
  if (dtype === "bool") return x === 0n ? 0 : 1;
  if (dtype === "f64") return Number(x);
  return dtype === "f32" || dtype === "f16" || dtype === "bf16" ? toF32(x) : Number(BigInt.asIntN(32, x));
}
/** The nearest f32 of an integer, rounded once: the bits that a double cannot hold leave a sticky bit behind. */
function toF32(x: bigint): number {
  const magnitude = x < 0n ? -x : x;
  if (magnitude < 1n << 53n) return Math.fround(Number(x));
  const shift = BigInt(magnitude.toString(2).length - 40);
  const top = magnitude >> shift;
  const sticky = top << shift === magnitude ? top : top | 1n;
  return Math.fround((x < 0n ? -1 : 1) * Number(sticky) * 2 ** Number(shift));
}
const unsupported = (): UnsupportedError =>
  new UnsupportedError("complex64 can be stored but not computed with; keep real and imaginary parts as two f32 tensors");

/** Every element rounded, wrapped or tested for zero as `dtype` holds it. May return `data` itself. */
export function roundTo(dtype: DType, data: HostData): HostData {
  if (data instanceof Float64Array && !isWide(dtype)) {
    if (dtype === "f64") return data;
    return fromBytes(dtype, toBytes(dtype, data));
  }
  if ((dtype === "i64" && data instanceof BigInt64Array) || (dtype === "u64" && data instanceof BigUint64Array)) return data;
  const out = hostData(dtype, data.length);
  for (let i = 0; i < data.length; i++) out[i] = roundValue(dtype, data[i]!);
  return out;
}

/** Elements on the host from little-endian bytes. */
export function fromBytes(dtype: DType, bytes: Uint8Array): HostData {
  const view = naturalView(dtype, bytes);
  if (view instanceof BigInt64Array || view instanceof BigUint64Array) return view.slice();
  return Float64Array.from(view as Float64Array);
}

/** Bytes of elements on the host, rounded or wrapped to `dtype`. Takes any array of numbers, bigints or booleans. */
export function toBytes(dtype: DType, values: ArrayLike<number | bigint | boolean>): Uint8Array {
  const n = values.length;
  const bytes = new Uint8Array(n * bytesOf(dtype));
  const big = values instanceof BigInt64Array || values instanceof BigUint64Array;
  if (ArrayBuffer.isView(values) && !big && !isWide(dtype)) {
    const list = values as unknown as Float64Array;
    if (dtype === "f16" || dtype === "bf16") {
      const words = new Uint16Array(bytes.buffer);
      const round = dtype === "f16" ? toF16 : toBf16;
      for (let i = 0; i < n; i++) words[i] = round(list[i]!);
    } else if (dtype === "bool") for (let i = 0; i < n; i++) bytes[i] = list[i] !== 0 ? 1 : 0;
    else (typed(dtype, bytes) as Float64Array).set(list); // ToInt32 wraps; Float32Array rounds
    return bytes;
  }
  if (dtype === "f16" || dtype === "bf16") {
    const words = new Uint16Array(bytes.buffer);
    const round = dtype === "f16" ? toF16 : toBf16;
    for (let i = 0; i < n; i++) {
      const x = values[i]!;
      words[i] = round(typeof x === "bigint" ? narrow(dtype, x) : Number(x));
    }
    return bytes;
  }
  const out = typed(dtype, bytes) as { [i: number]: number | bigint };
  for (let i = 0; i < n; i++) {
    const x = values[i]!;
    out[i] = roundValue(dtype, typeof x === "boolean" ? (x ? 1 : 0) : x);
  }
  return bytes;
}

/** The typed array of a storage dtype over `bytes`, copied first where it is not aligned. f16 and bf16 are their bits. */
function typed(dtype: DType, bytes: Uint8Array): NaturalArray {
  const size = bytesOf(dtype);
  const at = bytes.byteOffset % size ? bytes.slice() : bytes;
  const n = Math.floor(at.byteLength / size);
  switch (dtype) {
    case "bool":
    case "u8":
      return new Uint8Array(at.buffer, at.byteOffset, n);
    case "u16":
    case "f16":
    case "bf16":
      return new Uint16Array(at.buffer, at.byteOffset, n);
    case "u32":
      return new Uint32Array(at.buffer, at.byteOffset, n);
    case "u64":
      return new BigUint64Array(at.buffer, at.byteOffset, n);
    case "i8":
      return new Int8Array(at.buffer, at.byteOffset, n);
    case "i16":
      return new Int16Array(at.buffer, at.byteOffset, n);
    case "i32":
      return new Int32Array(at.buffer, at.byteOffset, n);
    case "i64":
      return new BigInt64Array(at.buffer, at.byteOffset, n);
    case "f32":
      return new Float32Array(at.buffer, at.byteOffset, n);
    case "f64":
      return new Float64Array(at.buffer, at.byteOffset, n);
    case "complex64":
      throw unsupported();
    default:
      return dtype satisfies never;
  }
}

/** The natural typed array of `bytes`: a view of them where the dtype has an array type and they are aligned, else a copy. */
export function naturalView(dtype: DType, bytes: Uint8Array): NaturalArray {
  const raw = typed(dtype, bytes);
  if (dtype !== "f16" && dtype !== "bf16") return raw;
  const n = raw.length;
  const out = new Float32Array(n);
  if (dtype === "f16") {
    const table = halves();
    for (let i = 0; i < n; i++) out[i] = table[raw[i] as number]!;
  } else {
    const words = new Uint32Array(out.buffer);
    for (let i = 0; i < n; i++) words[i] = (raw[i] as number) << 16;
  }
  return out;
}
/** The natural typed array, never sharing memory with `bytes`. */
export const natural = (dtype: DType, bytes: Uint8Array): NaturalArray => {
  const view = naturalView(dtype, bytes);
  return view.buffer === bytes.buffer ? view.slice() : view;
};
