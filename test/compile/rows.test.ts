/** Products of a symbolic number of rows: kernels for few rows and for many, of which one runs. */
import { beforeAll, expect, test } from "vitest";
import { compile as compileGraph } from "../../src/compile/index.js";
import { evaluate as valueOf } from "../../src/core/expr.js";
import type { Program } from "../../src/runtime/program.js";
import { compile, type Tensor, tensor, traceFunction } from "../../src/tensor/index.js";
import { codegens } from "../replay/programs.js";
import { useDevice } from "../support/devices.js";

beforeAll(() => useDevice(""));

const [k, n, most] = [192, 160, 300];
const grid = (count: number, by: number): Float32Array => Float32Array.from({ length: count }, (_, i) => (((i * by) % 33) - 16) / 8);
const dynamic = [{ 0: { min: 0, max: most } }];

test("each number of rows has exactly one kernel", () => {
  const w = tensor(grid(n * k, 7), [n, k]);
  const { recording } = traceFunction((x: Tensor) => x.matmul(w.transpose(0, 1)), [tensor(grid(2 * k, 5), [2, k])], { dynamic });
  const p: Program = compileGraph(recording.graph, codegens["c-avx512"]!());
  const launches = p.steps.flatMap((s) => (s.kind === "launch" ? [s] : []));
  expect(launches.length).toBe(p.steps.length);
  expect(launches.length).toBeGreaterThan(1);
  expect(new Set(launches.map((s) => s.kernel)).size).toBe(launches.length);
  const running = (rows: number): number[] => launches.flatMap((s, i) => (valueOf(s.grid, { [p.dims[0]!.name]: rows }) > 0 ? [i] : []));
  expect(running(0)).toEqual([]);
  const chosen = Array.from({ length: most }, (_, i) => running(i + 1));
  for (const [i, list] of chosen.entries()) expect(list, `${i + 1} rows`).toHaveLength(1);
  // Few rows come first, and each kernel has its turn.
  const order = chosen.map(([i]) => i!);
  expect(order).toEqual([...order].sort((a, b) => a - b));
  expect(new Set(order).size).toBe(launches.length);
});

test("results are those of the product, with whatever is fused", async () => {
  const w = tensor(grid(n * k, 7), [n, k]);
  const f = compile((x: Tensor) => x.add(1).matmul(w.transpose(0, 1)).relu(), { dynamic });
  for (const rows of [1, 2, 31, 32, 33, 127, 128, 129, most]) {
    const x = grid(rows * k, 5);
    const got = (await f(tensor(x, [rows, k])).data()) as Float32Array;
    const wanted = new Float32Array(rows * n);
    const b = grid(n * k, 7);
    for (let r = 0; r < rows; r++)
      for (let c = 0; c < n; c++) {
        let sum = 0;
        for (let i = 0; i < k; i++) sum += (x[r * k + i]! + 1) * b[c * k + i]!;
        wanted[r * n + c] = Math.max(0, sum);
      }
    expect(got, `${rows} rows`).toEqual(wanted);
  }
  expect(f.traces).toBe(1);
});
