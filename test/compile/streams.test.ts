/** Memory that is streamed: results that bypass the caches, and weights that are asked for ahead. */
import { describe, expect, test } from "vitest";
import { compile } from "../../src/compile/index.js";
import type { Node } from "../../src/ir/node.js";
import { add, input, linear, matmul, mul, softmax } from "../../src/ops/index.js";
import { arange, compile as compiled, evaluate, noGrad, type Tensor } from "../../src/tensor/index.js";
import { codegens } from "../replay/programs.js";
import { useDevice } from "../support/devices.js";
import { hasCompiler } from "../support/kernels-in-c.js";

const leaf = (name: string, shape: readonly number[], dtype: "f32" | "bf16" = "f32"): Node => input({ shape, dtype }, name);
const source = (inputs: readonly Node[], y: Node): string =>
  compile({ inputs, state: [], outputs: [y], updates: [] }, codegens["c-avx512"]!())
    .kernels.map((k) => String(k.source))
    .join("\n");

describe("results of 32 MiB and more bypass the caches", () => {
  test.each([
    ["a map", (x: Node): Node => add(mul(x, x), x)],
    ["rows", (x: Node): Node => softmax(x, 1)],
  ])("%s", (_, f) => {
    const [small, large] = [leaf("x", [1024, 1024]), leaf("x", [8192, 1024])];
    expect(source([large], f(large))).toContain("stream_f32x16(");
    expect(source([large], f(large))).toContain("stream_endx1();");
    expect(source([small], f(small))).not.toContain("stream_");
  });
  test.skipIf(!hasCompiler())("and hold the right numbers, at every position", async () => {
    useDevice("c");
    const y = arange(8192 * 1024 + 5, { dtype: "f32" })
      .mul(0.5)
      .add(1);
    await evaluate(y);
    const data = (await y.data()) as Float32Array;
    let wrong = 0;
    for (let i = 0; i < data.length; i++) if (data[i] !== Math.fround(Math.fround(i * 0.5) + 1)) wrong++;
    expect(wrong).toBe(0);
  });
});

test("a vector times a large matrix asks for the rows ahead, a small one does not", () => {
  const product = (rows: number, dtype: "f32" | "bf16"): string => {
    const [x, w] = [leaf("x", [1, 2048], dtype), leaf("w", [rows, 2048], dtype)];
    return source([x, w], linear(x, w));
  };
  for (const dtype of ["f32", "bf16"] as const) {
    expect(product(32768, dtype)).toContain("__builtin_prefetch(");
    expect(product(64, dtype)).not.toContain("__builtin_prefetch(");
  }
});

describe("a vector times a matrix whose rows are its inputs", () => {
  const product = (cols: number, dtype: "f32" | "bf16"): string => {
    const [x, w] = [leaf("x", [1, 2048], dtype), leaf("w", [2048, cols], dtype)];
    return source([x, w], matmul(x, w));
  };
  test("reads whole rows of what no cache holds, into the second cache", () => {
    for (const dtype of ["f32", "bf16"] as const) {
      // The widest sums that the nearest cache holds, and wider ones.
      expect(product(3072, dtype)).toContain(", 0, 2);");
      expect(product(30720, dtype)).not.toContain(", 0, 2);");
      expect(product(64, dtype)).not.toContain("__builtin_prefetch(");
    }
  });
  test.skipIf(!hasCompiler()).each([
    [1024, 1024],
    [1531, 1045],
  ])("has the right numbers: %d x %d", async (rows, cols) => {
    const run = async (name: string): Promise<number[][]> => {
      useDevice(name);
      const grid = (n: number): Tensor => arange(n, { dtype: "f32" }).remainder(16).sub(7).mul(0.125);
      const [x, w] = [grid(rows), grid(rows * cols).reshape([rows, cols])];
      const state = arange(cols, { dtype: "f32" }).mul(0.5);
      await evaluate(x, w, state);
      const step = compiled((a: Tensor, b: Tensor): Tensor => {
        const y = a.reshape([1, rows]).matmul(b).reshape([cols]).add(state).relu();
        state.copy_(y);
        return y.mul(2);
      });
      const out: number[][] = [];
      for (let i = 0; i < 2; i++) out.push([...((await noGrad(() => step(x, w)).data()) as Float32Array)]);
      for (const dtype of ["bf16", "f16"] as const)
        out.push([...((await x.to(dtype).reshape([1, rows]).matmul(w.to(dtype)).data()) as Float32Array)]);
      return out;
    };
    expect(await run("c")).toEqual(await run("interp"));
  });
});
