/** What training steps keep in memory and how many kernels they are: counted, with lists. */
import { describe, expect, test } from "vitest";
import { grad } from "../../src/autodiff/grad.js";
import { compile } from "../../src/compile/index.js";
import { bytesOf, type DType } from "../../src/core/dtype.js";
import type { Graph } from "../../src/ir/graph.js";
import { Bert, bertConfig } from "../../src/models/index.js";
import * as ops from "../../src/ops/index.js";
import type { Program } from "../../src/runtime/program.js";
import { regionsOf } from "../../src/runtime/steps.js";
import { type Tensor, traceFunction, zeros } from "../../src/tensor/index.js";
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

/** Launches of BERT's loss and gradients: the steps that run side by side, joined. */
function bertLaunches(layers: number): string[] {
  const model = new Bert(
    bertConfig({
      vocab_size: 512,
      hidden_size: 768,
      num_hidden_layers: layers,
      num_attention_heads: 12,
      intermediate_size: 3072,
      max_position_embeddings: 128,
      hidden_dropout_prob: 0,
      attention_probs_dropout_prob: 0,
    }),
  );
  const run = (tokens: Tensor): Tensor => {
    const loss = model.loss(tokens, tokens);
    loss.backward();
    return loss.detach();
  };
  const { recording } = traceFunction(run, [zeros([4, 128], { dtype: "i64" })]);
  const p = compile(recording.graph, codegens["c-avx512"]!());
  return regionsOf(p.steps).map(([from, to]) => labels(p).slice(from, to).join(" | "));
}

const forward = ["dot_add | dot_add | dot_add", "attention", "dot_add", "sum_mul", "dot_mul", "dot_add", "sum_mul"];
const backward = [
  "sum_mul",
  "sum | dot_mul | dot",
  "dot_add | sum | dot",
  "sum_mul",
  "sum | dot | dot",
  "sum",
  "attentionBackward",
  "dot | dot | dot | dot | dot",
  "dot_add",
];
test("a layer of BERT is 16 launches forward and backward", () => {
  const [two, three] = [bertLaunches(2), bertLaunches(3)];
  expect(three.length - two.length).toBe(forward.length + backward.length);
  expect(three.slice(8, 15)).toEqual(forward);
  expect(three.slice(41, 50)).toEqual(backward);
});
