/** Scatters of long rows on targets with threads: the index is put in order first, and each element takes what is sent to its row. */
import { expect, test } from "vitest";
import { errorOf, fill, interpretKernels, lowerCase, runCases, tolerance } from "../../../test/support/groups.js";
import { cudaTarget } from "../../backends/cuda/target.js";
import { webgpuCodegen } from "../../backends/webgpu/codegen.js";
import type { DType } from "../../core/dtype.js";
import { NdArray } from "../../core/ndarray.js";
import { add, input, mul, type ScatterCombine, scatterInto } from "../../ops/index.js";
import { verifyKernel } from "../verify.js";
import { eachStmt } from "../walk.js";
import { scatterTemplate } from "./scatter.js";

const target = cudaTarget({ sm: 90, multiprocessors: 4 });

/** Every third row is named by nobody, some rows by many places. */
const rowOf = (n: number, rows: number): number => Math.min(rows - 1, 3 * ((n * n * 7 + (n >> 2)) % Math.ceil(rows / 3)));

test.each<{ name: string; base: number[]; at: number[]; axis?: number; combine?: ScatterCombine; dtype?: DType; shares?: boolean }>([
  { name: "rows", base: [301, 40], at: [67] },
  { name: "an index of two axes", base: [50, 36], at: [9, 7] },
  { name: "rows of an odd length", base: [33, 37], at: [40] },
  { name: "batches", base: [3, 40, 5, 8], at: [3, 35], axis: 1 },
  { name: "few rows, whose places neighbouring threads share", base: [2, 48], at: [150], shares: true },
  { name: "few rows and batches that fill no grid point", base: [3, 3, 40], at: [3, 90], axis: 1, shares: true },
  { name: "what is only replaced", base: [20, 64], at: [70], combine: "set" },
  { name: "greatest", base: [20, 64], at: [70], combine: "max" },
  { name: "sums of bf16, two threads a row", base: [20, 64], at: [70], dtype: "bf16", shares: true },
  { name: "few rows of bf16", base: [2, 64], at: [70], dtype: "bf16", shares: true },
  { name: "sums of i32, two threads a row", base: [20, 64], at: [70], dtype: "i32", shares: true },
])("$name", ({ base, at, axis = 0, combine = "add", dtype = "f32", shares = false }) => {
  const [x, index, other] = [input({ shape: base, dtype }), input({ shape: at, dtype: "i64" }), input({ shape: base, dtype })];
  const source = input({ shape: [...at, ...base.slice(axis + 1)], dtype });
  const scattered = scatterInto(x, index, mul(source, source), axis, combine);
  const lowered = lowerCase(
    {
      name: "rows",
      inputs: [x, index, source, other],
      outputs: [scattered, mul(add(scattered, other), other)],
      fill: (n, shape) => (n === index ? NdArray.of("i64", shape, (_, nth) => BigInt(rowOf(Number(nth), base[axis]!))) : fill(n, shape)),
    },
    [scatterTemplate],
    target,
  );
  const kernels = lowered.groups.filter((g) => g.group.kind === "claimed").flatMap((g) => g.kernels);
  expect(kernels.map((k) => k.buffers.filter((b) => b.name === "tmp0").length)).toEqual([1, 1]);
  let combines = false;
  eachStmt(kernels[1]!.body, (x) => (combines ||= x.kind === "combine"));
  expect(combines).toBe(shares);
  for (const k of kernels) verifyKernel(k, target);
  for (const { got, want } of runCases([lowered], interpretKernels))
    for (const [i, g] of got.entries()) expect(errorOf(g, want[i]!)).toBeLessThanOrEqual(tolerance(dtype));
});

test("an index of few places is looked at by every thread", () => {
  const [x, index, source] = [
    input({ shape: [64, 64], dtype: "f32" }),
    input({ shape: [4], dtype: "i64" }),
    input({ shape: [4, 64], dtype: "f32" }),
  ];
  const lowered = lowerCase(
    { name: "few", inputs: [x, index, source], outputs: [scatterInto(x, index, source, 0, "add")] },
    [scatterTemplate],
    target,
  );
  expect(lowered.groups.flatMap((g) => g.kernels)).toHaveLength(1);
});

test("terms of one turn are a branch each in WGSL, whatever lanes they have", () => {
  const [x, index, source] = [
    input({ shape: [64, 32], dtype: "f32" }),
    input({ shape: [64], dtype: "i64" }),
    input({ shape: [64, 32], dtype: "f32" }),
  ];
  const webgpu = webgpuCodegen();
  const lowered = lowerCase(
    { name: "branches", inputs: [x, index, source], outputs: [scatterInto(x, index, source, 0, "add")] },
    [scatterTemplate],
    webgpu.target,
  );
  const texts = lowered.groups.flatMap((g) => g.kernels.map((k) => String(webgpu.render(k).source)));
  expect(texts.map((t) => t.split("} else {").length - 1)).toEqual([3, 8]);
});
