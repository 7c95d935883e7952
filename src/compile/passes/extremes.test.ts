/** Positions of extremes in long rows on GPUs: how many grid points look for them, and which position of several is found. */
import { describe, expect, test } from "vitest";
import { type Case, interpretKernels, lowerCase, runCases } from "../../../test/support/groups.js";
import { cudaTarget } from "../../backends/cuda/target.js";
import { webgpuTarget } from "../../backends/webgpu/target.js";
import type { DType } from "../../core/dtype.js";
import { NdArray } from "../../core/ndarray.js";
import type { Target } from "../../kernel/codegen.js";
import { verifyKernel } from "../../kernel/verify.js";
import { add, amax, argmax, argmin, input, mul, sum } from "../../ops/index.js";
import { partOfRow } from "./extremes.js";

const h200 = cudaTarget({ sm: 90, multiprocessors: 132 });
const dawn = webgpuTarget({ maxComputeInvocationsPerWorkgroup: 1024, subgroup: 32 });
const least = webgpuTarget();
const gpus = { h200, dawn, least };

/** Grid points of each kernel. */
const grids = (c: Case, target: Target): unknown[] => lowerCase(c, undefined, target).groups.flatMap((g) => g.kernels.map((k) => k.grid));
const row = (n: number, dtype: DType = "f32"): Case => {
  const x = input({ shape: [1, n], dtype });
  return { name: `${n} ${dtype}`, inputs: [x], outputs: [argmax(x, -1)] };
};

describe("the likeliest token", () => {
  test("is found by many grid points, and one that puts together what they found", () => {
    for (const [name, target] of Object.entries(gpus)) {
      expect(grids(row(128256, "bf16"), target), name).toEqual([48, 1]);
      expect(grids(row(50257), target), name).toEqual([24, 1]);
      expect(grids(row(32767), target), name).toEqual([1]);
    }
  });
  test("parts are equal and whole accesses where the row has such", () => {
    expect(partOfRow(128256, 264)).toBe(128256 / 48);
    expect(partOfRow(151936, 264)).toBe(2056);
    expect(partOfRow(50257, 264)).toBe(2096);
    expect(partOfRow(50257, 4)).toBe(12568);
  });
  test("rows that keep a device busy stay whole", () => {
    const x = input({ shape: [200, 40000], dtype: "f32" });
    expect(grids({ name: "rows", inputs: [x], outputs: [argmax(x, -1)] }, h200)).toEqual([200]);
  });
});

describe("one long row", () => {
  test("is summed in chunks, and so is its extreme found", () => {
    for (const reduce of [sum, amax]) {
      const x = input({ shape: [1, 1 << 16], dtype: "f32" });
      const c: Case = { name: "row", inputs: [x], outputs: [mul(reduce(x, [1]), 3)] };
      for (const [name, target] of Object.entries(gpus)) expect(grids(c, target), name).toEqual([16, 1]);
    }
  });
});

test("rows that a few threads sum fast enough stay whole, however many they are", () => {
  const x = input({ shape: [32, 2048], dtype: "f32" });
  expect(grids({ name: "rows", inputs: [x], outputs: [sum(x, [1])] }, h200)).toHaveLength(1);
  const y = input({ shape: [8, 40000], dtype: "f32" });
  expect(grids({ name: "rows", inputs: [y], outputs: [sum(y, [1])] }, h200)[0]).toBe(8 * 9);
});

describe("the first of several equal extremes, or the first NaN", () => {
  /** A row of few different values in which `put` changes some. */
  const given = (n: number, shape: readonly number[], dtype: DType, put: (i: number) => number | undefined): Case["fill"] => {
    const wrap = dtype === "i64" ? BigInt : Number;
    const values = Array.from({ length: n }, (_, i) => put(i) ?? ((i * 7919) % 13) - 6);
    return () => new NdArray(dtype, shape, NdArray.of(dtype, [n], ([i]) => wrap(values[i!]!) as never).data);
  };
  const cases: Case[] = [];
  const of = (
    n: number,
    dtype: DType,
    f: typeof argmax,
    put: (i: number) => number | undefined,
    shape: readonly number[] = [1, n],
    axis = 1,
  ) => {
    const x = input({ shape, dtype });
    cases.push({
      name: `${f.name} ${n} ${dtype} ${cases.length}`,
      inputs: [x],
      outputs: [f(x, axis)],
      fill: given(
        shape.reduce((a, b) => a * b),
        shape,
        dtype,
        put,
      )!,
    });
  };
  const at =
    (value: number, ...places: number[]) =>
    (i: number) =>
      places.includes(i) ? value : undefined;
  of(32768, "f32", argmax, () => undefined);
  of(32768, "f32", argmin, at(-99, 20001, 20002, 32767));
  of(32768, "bf16", argmax, at(Number.NaN, 31000, 17000));
  of(32768, "bf16", argmin, at(Number.NaN, 16000, 32767));
  of(33001, "f32", argmax, () => Number.NEGATIVE_INFINITY);
  of(33001, "f32", argmax, at(9, 33000));
  of(33001, "i32", argmin, () => 2 ** 31 - 1);
  of(33001, "i64", argmax, at(7, 30000, 30001));
  of(33001, "bool", argmax, (i) => (i > 25000 ? 1 : 0));
  of(32768, "f32", argmax, (i) => (i === 5 ? 0 : -0));
  of(32769, "f32", argmax, at(9, 40000, 40002, 50001), [32769, 2], 0);
  test.each(Object.keys(gpus) as (keyof typeof gpus)[])("%s", { timeout: 120_000 }, (name) => {
    const target = gpus[name];
    // Thread by thread it takes long: some of them on the other two.
    const known = target === h200 ? cases : cases.filter((_, i) => i % 3 === 1);
    const lowered = known.map((c) => lowerCase(c, undefined, target));
    for (const l of lowered) {
      expect(l.groups.flatMap((g) => g.kernels).length, l.case.name).toBe(2);
      for (const k of l.groups.flatMap((g) => g.kernels)) verifyKernel(k, target);
    }
    for (const r of runCases(lowered, interpretKernels)) expect(r.got[0]!.data, r.name).toEqual(r.want[0]!.data);
  });
  test("also where noise is added to what is searched", () => {
    const [x, y] = [input({ shape: [40000], dtype: "bf16" }), input({ shape: [40000], dtype: "f32" })];
    const c = { name: "noise", inputs: [x, y], outputs: [argmax(add(x, y))] };
    expect(grids(c, h200)).toEqual([10, 1]);
    for (const r of runCases([lowerCase(c, undefined, h200)], interpretKernels)) expect(r.got[0]!.data).toEqual(r.want[0]!.data);
  });
});
