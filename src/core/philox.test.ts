import { expect, test } from "vitest";
import { advance, normals, philox, randomWords, uniforms } from "./philox.js";

const hex = (words: Uint32Array): string => [...words].map((w) => w.toString(16).padStart(8, "0")).join(" ");

test("known answers of Random123", () => {
  expect(hex(philox([0, 0, 0, 0], [0, 0]))).toBe("6627e8d5 e169c58d bc57ac4c 9b00dbd8");
  const ones = 0xffffffff;
  expect(hex(philox([ones, ones, ones, ones], [ones, ones]))).toBe("408f276d 41c83b0e a20bc7c6 6d5451fd");
  expect(hex(philox([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0]))).toBe(
    "d16cfe09 94fdcceb 5001e420 24126ea1",
  );
});

test("words come from blocks, whatever the length", () => {
  const state = [1, 2, 3, 4];
  const ten = randomWords(state, 7, 10);
  expect(hex(ten.slice(4, 8))).toBe(hex(philox([1, 7, 3, 4], [1, 2])));
  expect([...randomWords(state, 7, 3)]).toEqual([...ten.slice(0, 3)]);
  expect([...randomWords(state, 8, 3)]).not.toEqual([...ten.slice(0, 3)]);
  expect([...advance([1, 2, 0xffffffff, 4], 2)]).toEqual([1, 2, 1, 5]);
});

test("uniform and normal have the moments they should", () => {
  const n = 100000;
  const u = uniforms([5, 0, 0, 0], 0, n);
  expect(Math.min(...u.subarray(0, 5000))).toBeGreaterThanOrEqual(0);
  expect(Math.max(...u.subarray(0, 5000))).toBeLessThan(1);
  expect(u.every((x) => Number.isInteger(x * 2 ** 24))).toBe(true);
  const mean = (x: Float64Array, f: (v: number) => number): number => x.reduce((a, v) => a + f(v), 0) / x.length;
  expect(mean(u, (x) => x)).toBeCloseTo(0.5, 2);
  expect(mean(u, (x) => (x - 0.5) ** 2)).toBeCloseTo(1 / 12, 2);
  const z = normals([5, 0, 0, 0], 1, n);
  expect(mean(z, (x) => x)).toBeCloseTo(0, 1);
  expect(mean(z, (x) => x * x)).toBeCloseTo(1, 1);
  expect(mean(z, (x) => x ** 4)).toBeCloseTo(3, 0);
});
