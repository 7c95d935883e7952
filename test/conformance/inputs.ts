import { roundTo } from "../../src/core/convert.js";
import { type DType, dtypes, isFloat, isWide } from "../../src/core/dtype.js";
import { hostData, NdArray } from "../../src/core/ndarray.js";

/** A stream of numbers in [0, 1) that depends on `seed` alone. */
export function stream(seed: string): () => number {
  let a = 0x811c9dc5;
  for (let i = 0; i < seed.length; i++) a = Math.imul(a ^ seed.charCodeAt(i), 0x01000193);
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The range of an integer dtype. */
function limits(dtype: DType): readonly [number, number] {
  const bits = dtypes[dtype].bytes * 8;
  return dtypes[dtype].kind === "uint" ? [0, 2 ** bits - 1] : [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1];
}
/** Elements of a dtype drawn from [low, high]: whole numbers for integers, multiples of `grid` for floats that ask for it. */
export function draw(next: () => number, dtype: DType, shape: readonly number[], range: readonly [number, number], grid?: number): NdArray {
  const n = shape.reduce((a, b) => a * b, 1);
  const data = hostData(dtype, n);
  const { kind } = dtypes[dtype];
  const [least, most] = kind === "int" || kind === "uint" ? limits(dtype) : range;
  const low = Math.max(least, range[0]);
  const high = Math.max(low, Math.min(most, range[1]));
  const whole = (a: number, b: number): number => Math.ceil(a) + Math.floor(next() * (Math.floor(b) - Math.ceil(a) + 1));
  for (let i = 0; i < n; i++) {
    if (kind === "bool") data[i] = next() < 0.5 ? 0 : 1;
    else if (isFloat(dtype)) data[i] = grid ? whole(low / grid, high / grid) * grid : low + next() * (high - low);
    else data[i] = isWide(dtype) ? BigInt(whole(low, high)) + (high > 2 ** 52 ? BigInt(Math.floor(next() * 1000)) : 0n) : whole(low, high);
  }
  return new NdArray(dtype, shape, roundTo(dtype, data));
}

/** Floats as `draw` gives them, but evenly spaced and shuffled: no two are close, so that small steps change no order. */
export function drawApart(next: () => number, dtype: DType, shape: readonly number[], range: readonly [number, number]): NdArray {
  const n = shape.reduce((a, b) => a * b, 1);
  const places = Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    const j = Math.floor(next() * (i + 1));
    [places[i], places[j]] = [places[j]!, places[i]!];
  }
  const data = Float64Array.from(places, (k) => range[0] + ((k + 0.25 + 0.1 * next()) / n) * (range[1] - range[0]));
  return new NdArray(dtype, shape, roundTo(dtype, data));
}
