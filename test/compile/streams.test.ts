/** Memory that is streamed: results that bypass the caches, and weights that are asked for ahead. */
import { describe, expect, test } from "vitest";
import { compile } from "../../src/compile/index.js";
import type { Node } from "../../src/ir/node.js";
import { add, input, linear, mul, softmax } from "../../src/ops/index.js";
import { arange, evaluate } from "../../src/tensor/index.js";
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
