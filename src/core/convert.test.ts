import { expect, test } from "vitest";
import { fromBf16, fromBytes, fromF16, natural, naturalView, roundTo, roundValue, toBf16, toBytes, toF16 } from "./convert.js";
import { type DType, dtypes } from "./dtype.js";
import { hostData } from "./ndarray.js";

/** Nearest of all values by search, ties to the even bit pattern: slow and obviously right. */
function nearest(x: number, decode: (bits: number) => number, count: number): number {
  if (Number.isNaN(x)) return x;
  const f = Math.fround(x);
  const a = Math.abs(f);
  let lo = 0;
  let hi = count; // bits of +infinity
  while (hi - lo > 1) {
    const mid = (lo + hi) >> 1;
    if (decode(mid) <= a) lo = mid;
    else hi = mid;
  }
  if (a === Infinity) return f;
  const top = hi === count ? 2 * decode(count - 1) - decode(count - 2) : decode(hi);
  const down = a - decode(lo);
  const up = top - a;
  const bits = down < up ? lo : down > up ? hi : lo % 2 === 0 ? lo : hi;
  return Object.is(f, -0) || f < 0 ? -decode(bits) : decode(bits);
}

const probes = (): number[] => {
  const list = [
    0,
    -0,
    1,
    -1,
    0.1,
    Infinity,
    -Infinity,
    Number.NaN,
    65504,
    65519,
    65520,
    65536,
    -70000,
    2 ** -24,
    2 ** -25,
    1.5 * 2 ** -25,
    2 ** -14,
    3.4e38,
    -3.5e38,
    1e-45,
    2 ** -133,
  ];
  let seed = 1;
  const words = new Uint32Array(1);
  const floats = new Float32Array(words.buffer);
  for (let i = 0; i < 20000; i++) {
    seed = (Math.imul(seed, 1664525) + 1013904223) | 0;
    words[0] = seed;
    list.push(floats[0]!);
    list.push((seed / 2 ** 31) * 2 ** -13);
  }
  return list;
};

test("f16 and bf16 hold every value they have", () => {
  for (let bits = 0; bits < 65536; bits++) {
    const h = fromF16(bits);
    if (Number.isNaN(h)) expect(fromF16(toF16(h))).toBeNaN();
    else if (toF16(h) !== bits) expect(toF16(h)).toBe(bits);
    const b = fromBf16(bits);
    if (Number.isNaN(b)) expect(fromBf16(toBf16(b))).toBeNaN();
    else if (toBf16(b) !== bits) expect(toBf16(b)).toBe(bits);
  }
});

test("f16 and bf16 round to the nearest, ties to even", () => {
  for (const x of probes()) {
    const h = fromF16(toF16(x));
    const wantH = nearest(x, fromF16, 0x7c00);
    if (!Object.is(h, wantH)) expect(h, `f16 of ${x}`).toBe(wantH);
    const b = fromBf16(toBf16(x));
    const wantB = nearest(x, fromBf16, 0x7f80);
    if (!Object.is(b, wantB)) expect(b, `bf16 of ${x}`).toBe(wantB);
  }
});

test("integers wrap, bool tests for zero, floats truncate", () => {
  expect(roundValue("i8", 200)).toBe(-56);
  expect(roundValue("u8", -1)).toBe(255);
  expect(roundValue("i16", 2 ** 15)).toBe(-(2 ** 15));
  expect(roundValue("u16", 65537.9)).toBe(1);
  expect(roundValue("i32", 2 ** 31)).toBe(-(2 ** 31));
  expect(roundValue("u32", -1)).toBe(2 ** 32 - 1);
  expect(roundValue("i64", 2n ** 63n)).toBe(-(2n ** 63n));
  expect(roundValue("u64", -1)).toBe(2n ** 64n - 1n);
  expect(roundValue("i64", -2.7)).toBe(-2n);
  expect(roundValue("i32", Number.NaN)).toBe(0);
  expect(roundValue("bool", Number.NaN)).toBe(1);
  expect(roundValue("bool", -0)).toBe(0);
  expect(roundValue("u8", 2n ** 40n + 3n)).toBe(3);
  expect(roundValue("f64", 2n ** 53n)).toBe(2 ** 53);
});

test("bytes and back, for every dtype and from every kind of array", () => {
  for (const dtype of Object.keys(dtypes) as DType[]) {
    if (dtype === "complex64") {
      expect(() => toBytes(dtype, [1])).toThrow("complex64");
      continue;
    }
    const values = [0, 1, -1, 2, 127, 300, -70000, 0.5, 1e10];
    const wide = dtype === "i64" || dtype === "u64";
    const want = values.map((x) => roundValue(dtype, x));
    const bytes = toBytes(dtype, values);
    expect([...fromBytes(dtype, bytes)]).toEqual(want);
    expect([...(roundTo(dtype, Float64Array.from(values)) as Float64Array)]).toEqual(want);
    expect(toBytes(dtype, Float64Array.from(values))).toEqual(bytes);
    expect(toBytes(dtype, fromBytes(dtype, bytes))).toEqual(bytes);
    expect(toBytes(dtype, natural(dtype, bytes))).toEqual(bytes);
    expect(fromBytes(dtype, bytes)).toBeInstanceOf(hostData(dtype, 0).constructor);
    const shifted = new Uint8Array(bytes.length + 1);
    shifted.set(bytes, 1);
    expect([...fromBytes(dtype, shifted.subarray(1))]).toEqual(want);
    expect(typeof naturalView(dtype, bytes)[0]).toBe(wide ? "bigint" : "number");
    const copy = natural(dtype, bytes);
    expect(copy.buffer).not.toBe(bytes.buffer);
    expect([...toBytes(dtype, [true, false])]).toEqual([...toBytes(dtype, [1, 0])]);
    expect([...toBytes(dtype, [3n, 1n])]).toEqual([...toBytes(dtype, [3, 1])]);
  }
});

test("a result of 64-bit integers becomes floats, and the other way round", () => {
  expect([...roundTo("f32", BigInt64Array.from([1n, 2n ** 24n + 1n]))]).toEqual([1, 2 ** 24]);
  // A double would drop the last bit first and then see a tie.
  expect(roundValue("f32", 2n ** 60n + 2n ** 36n + 1n)).toBe(2 ** 60 + 2 ** 37);
  expect(roundValue("f32", -(2n ** 60n) - 2n ** 36n)).toBe(-(2 ** 60));
  expect([...roundTo("i64", Float64Array.from([1.9, -1.9]))]).toEqual([1n, -1n]);
  expect([...roundTo("u64", BigInt64Array.from([-1n]))]).toEqual([2n ** 64n - 1n]);
  expect([...roundTo("bool", BigInt64Array.from([2n ** 32n, 0n]))]).toEqual([1, 0]);
});
