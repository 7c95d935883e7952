/** What training steps keep in memory and how many kernels they are: counted, with lists. */
import { describe, expect, test } from "vitest";
import { grad } from "../../src/autodiff/grad.js";
import { keepDerived } from "../../src/compile/derived.js";
import { compile } from "../../src/compile/index.js";
import { bytesOf, type DType } from "../../src/core/dtype.js";
import { numel } from "../../src/core/type.js";
import type { Graph } from "../../src/ir/graph.js";
import { Bert, bertConfig } from "../../src/models/index.js";
import { Embedding, Linear } from "../../src/nn/index.js";
import * as ops from "../../src/ops/index.js";
import { AdamW } from "../../src/optim/index.js";
import type { Program } from "../../src/runtime/program.js";
import { regionsOf } from "../../src/runtime/steps.js";
import { autocast, type Tensor, traceFunction, zeros } from "../../src/tensor/index.js";
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

/** A training step of BERT in bf16 with AdamW on f32 weights, with copies of the weights kept or not. */
function bertStep(target: string, keep: boolean): { readonly program: Program; readonly kept: number } {
  const model = new Bert(
    bertConfig({
      vocab_size: 512,
      hidden_size: 768,
      num_hidden_layers: 1,
      num_attention_heads: 12,
      intermediate_size: 3072,
      max_position_embeddings: 128,
      hidden_dropout_prob: 0,
      attention_probs_dropout_prob: 0,
    }),
  );
  const optimizer = new AdamW(model.parameters());
  const step = (tokens: Tensor): Tensor => {
    const loss = autocast("bf16", () => model.loss(tokens, tokens));
    loss.backward();
    optimizer.step();
    optimizer.zeroGrad();
    return loss.detach();
  };
  const { graph } = traceFunction(step, [zeros([4, 128], { dtype: "i64" })]).recording;
  const now = keep ? keepDerived(graph) : { graph, derived: [] };
  const kept = now.derived.reduce((sum, { leaf: { type } }) => sum + Number(numel(type.shape)) * bytesOf(type.dtype), 0);
  return { program: compile(now.graph, codegens[target]!()), kept };
}
describe.each(["c-avx512", "cuda-sm90"])("a training step in bf16 on %s", (target) => {
  test("has no casts of weights: the kernels that update them write the copies that the next step reads", () => {
    const [plain, kept] = [bertStep(target, false), bertStep(target, true)];
    const casts = (p: Program): number =>
      p.steps.filter(({ note }) => note!.ops.every((o) => ["cast", "reshape", "permute"].includes(o)) && note!.label.includes("cast"))
        .length;
    // Where tiles are copied as weights lie, products of queries, keys and values become one kernel with that, and two of their derivatives another.
    expect(plain.program.steps.length - kept.program.steps.length).toBe(target === "cuda-sm90" ? 11 : 8);
    expect([casts(plain.program), casts(kept.program)]).toEqual([8, 0]);
    expect(kept.program.steps.filter((s) => s.kind === "copy")).toEqual([]);
    // q, k, v, what follows attention, both of the feed-forward part, the head's own, and the words.
    expect(kept.kept).toBe(2 * (5 * 768 * 768 + 2 * 768 * 3072 + 512 * 768));
    // In the arena the casts lived from the forward pass to the backward one.
    expect([plain.program.arena, kept.program.arena]).toEqual([45776896, 29915136]);
  });
});

describe.each(["c-avx512", "c-neon", "js"])("an embedding's update on %s", (target) => {
  const [words, width, tokens] = [50003, 96, 64];
  test("finds the rows that were read as it goes: no gradient of the whole table is written or read", () => {
    const [table, behind] = [new Embedding(words, width), new Linear(width, width)];
    const optimizer = new AdamW(table.parameters());
    const step = (index: Tensor): Tensor => {
      const loss = behind.forward(table.forward(index)).square().mean();
      loss.backward();
      optimizer.step();
      optimizer.zeroGrad();
      return loss.detach();
    };
    const { graph } = traceFunction(step, [zeros([tokens], { dtype: "i64" })]).recording;
    const p = compile(graph, codegens[target]!());
    const update = p.steps.find(({ note }) => note!.ops.includes("scatter"))!;
    expect(update.note!.label).toBe("scatter_sub");
    // The weight and both moments, read and written once; what the rows get, where they are, and seven numbers.
    expect(update.note!.bytes).toBe(6 * 4 * words * width + 4 * tokens * width + 8 * tokens + 4 * 7);
    // What the layer behind gives and gets.
    expect(p.arena).toBe(2 * 4 * tokens * width);
  });
});
