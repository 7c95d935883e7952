import { describe, expect, it } from "vitest";
import { interpret } from "../backends/interp/interpret.js";
import type { DType } from "../core/dtype.js";
import { NdArray } from "../core/ndarray.js";
import type { Node } from "../ir/node.js";
import * as ops from "./index.js";

const state = ops.input({ shape: [4], dtype: "u32" }, "state");
const feeds = new Map([[state, NdArray.of("u32", [4], (_, i) => [123456789, 42, 7, 0][i]!)]]);
const values = (x: Node): readonly number[] => Array.from(interpret([x], feeds)[0]!.data, Number);
const mean = (x: readonly number[]): number => x.reduce((a, b) => a + b, 0) / x.length;
const deviation = (x: readonly number[]): number => Math.sqrt(mean(x.map((v) => (v - mean(x)) ** 2)));

describe("random numbers", () => {
  it("depend on an element's place, not on the shape", () => {
    const flat = values(ops.randomBits(state, [30], 3));
    expect(values(ops.randomBits(state, [5, 6], 3))).toEqual(flat);
    expect(values(ops.randomBits(state, [7], 3))).toEqual(flat.slice(0, 7));
    expect(values(ops.normal(state, [5, 6], 3))).toEqual(values(ops.normal(state, [30], 3)));
  });
  it("differ from stream to stream and from offset to offset", () => {
    const one = values(ops.randomBits(state, [64], 3));
    const other = new Map([[state, NdArray.of("u32", [4], (_, i) => [123456789, 42, 8, 0][i]!)]]);
    const second = Array.from(interpret([ops.randomBits(state, [64], 3)], other)[0]!.data, Number);
    const stream = values(ops.randomBits(state, [64], 4));
    expect(one.filter((v, i) => v === stream[i] || v === second[i] || stream[i] === second[i])).toEqual([]);
  });
  it.each(["f16", "bf16", "f32", "f64"] as const)("uniform in %s lies in [0, 1) and is even", (dtype: DType) => {
    const u = values(ops.uniform(state, [4096], 1, { dtype }));
    expect(u.every((v) => v >= 0 && v < 1)).toBe(true);
    expect(Math.abs(mean(u) - 0.5)).toBeLessThan(0.02);
    expect(Math.abs(deviation(u) - Math.sqrt(1 / 12))).toBeLessThan(0.01);
  });
  it.each(["bf16", "f32", "f64"] as const)("normal in %s has mean 0 and deviation 1", (dtype: DType) => {
    const x = values(ops.normal(state, [8192], 2, { dtype }));
    expect(x.every((v) => Number.isFinite(v))).toBe(true);
    expect(Math.abs(mean(x))).toBeLessThan(0.03);
    expect(Math.abs(deviation(x) - 1)).toBeLessThan(0.03);
    expect(x.filter((v) => Math.abs(v) > 2).length / x.length).toBeCloseTo(0.0455, 1);
  });
  it("randint covers its range, beyond 32 bits too", () => {
    const x = values(ops.randint(state, -2, 3, [500], 5));
    expect([...new Set(x)].sort((a, b) => a - b)).toEqual([-2, -1, 0, 1, 2]);
    const wide = values(ops.randint(state, 0, 2 ** 40, [500], 5));
    expect(wide.every((v) => Number.isInteger(v) && v >= 0 && v < 2 ** 40)).toBe(true);
    expect(Math.max(...wide)).toBeGreaterThan(2 ** 39);
    expect(() => ops.randint(state, 3, 3, [2], 5)).toThrow("no range of whole numbers");
  });
  it("bernoulli follows its probabilities, 0 and 1 exactly", () => {
    const p = ops.cat([ops.full([1000], 0), ops.full([1000], 0.25), ops.full([1000], 1)]);
    const x = values(ops.bernoulli(p, state, 6));
    expect(mean(x.slice(0, 1000))).toBe(0);
    expect(Math.abs(mean(x.slice(1000, 2000)) - 0.25)).toBeLessThan(0.05);
    expect(mean(x.slice(2000))).toBe(1);
  });
  it("dropout scales what it keeps; 0 keeps all, 1 nothing", () => {
    const x = ops.full([2000], 3);
    const at = (p: number): readonly number[] => values(ops.dropout(x, ops.scalar(p, "f32"), state, 9));
    expect(new Set(at(0))).toEqual(new Set([3]));
    expect(new Set(at(1))).toEqual(new Set([0]));
    expect(new Set(at(0.25))).toEqual(new Set([0, 4]));
    expect(Math.abs(mean(at(0.25)) - 3)).toBeLessThan(0.2);
    const channels = values(ops.featureDropout(ops.full([4, 8, 5], 1), ops.scalar(0.5, "f32"), state, 9));
    for (let i = 0; i < channels.length; i += 5) expect(new Set(channels.slice(i, i + 5)).size).toBe(1);
  });
  it("alphaDropout keeps mean and deviation of normal numbers", () => {
    const x = values(ops.alphaDropout(ops.normal(state, [8192], 2), ops.scalar(0.3, "f32"), state, 10));
    expect(Math.abs(mean(x))).toBeLessThan(0.05);
    expect(Math.abs(deviation(x) - 1)).toBeLessThan(0.05);
  });
  it("sorting random bits permutes", () => {
    const order = values(ops.argsort(ops.randomBits(state, [100], 11)));
    expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => i));
    expect(order).not.toEqual([...order].sort((a, b) => a - b));
  });
});
