/** What training steps keep in memory and how many kernels they are: counted, with lists. */
import { describe, expect, test } from "vitest";
import { grad } from "../../src/autodiff/grad.js";
import { compile } from "../../src/compile/index.js";
import { bytesOf, type DType } from "../../src/core/dtype.js";
import type { Graph } from "../../src/ir/graph.js";
import * as ops from "../../src/ops/index.js";
import type { Program } from "../../src/runtime/program.js";
import { codegens } from "../replay/programs.js";

/** The gradients of a head of many classes: those of its input and of its weight. */
function head(dtype: DType, rows: number, width: number, classes: number): Graph {
  const x = ops.input({ shape: [rows, width], dtype }, "x");
  const w = ops.input({ shape: [classes, width], dtype }, "w");
  const t = ops.input({ shape: [rows], dtype: "i64" }, "t");
  const loss = ops.crossEntropy(ops.linear(x, w), t);
  return { inputs: [x, w, t], state: [], outputs: [ops.cast(loss, "f32"), ...grad(loss, [x, w])], updates: [] };
}
const labels = (p: Program): string[] => p.steps.map((s) => s.note!.label);

describe("cross-entropy over a large vocabulary", () => {
  const [rows, width, classes] = [64, 48, 5003];
  test.each(["f32", "bf16"] as const)("in %s keeps the logits and a few numbers for each row", (dtype) => {
    const p = compile(head(dtype, rows, width, classes), codegens["c-avx512"]!());
    // Logits; their greatest, their sums and the target's own in one pass; the loss; the logits' derivative, written over them; both products.
    expect(labels(p)).toEqual(["dot", "amax_sum_log", "sum_mul", dtype === "f32" ? "mul" : "cast", "dot", "dot"]);
    // Four numbers for each row.
    expect(p.arena).toBe(rows * classes * bytesOf(dtype) + 4 * rows * 4);
  });
});
