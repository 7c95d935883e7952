/** Llama-3.2-1B at its full size on an H200, counted without one: what a prompt of 100,000 tokens keeps in memory, and launches of prompts and tokens. */
import { describe, expect, test } from "vitest";
import { cudaCodegen } from "../../src/backends/cuda/codegen.js";
import { compile } from "../../src/compile/index.js";
import { bytesOf } from "../../src/core/dtype.js";
import { templates } from "../../src/kernel/templates/index.js";
import { Llama, llamaConfig } from "../../src/models/index.js";
import type { Program } from "../../src/runtime/program.js";
import { regionsOf } from "../../src/runtime/steps.js";
import { noGrad, type Tensor, traceFunction, zeros } from "../../src/tensor/index.js";

const config = llamaConfig({
  model_type: "llama",
  vocab_size: 128256,
  hidden_size: 2048,
  intermediate_size: 8192,
  num_hidden_layers: 16,
  num_attention_heads: 32,
  num_key_value_heads: 8,
  head_dim: 64,
  max_position_embeddings: 131072,
  tie_word_embeddings: true,
});
const h200 = cudaCodegen({ sm: 90, multiprocessors: 132 }, templates);

/** The program of a prompt, whose cache is as long as it is. */
function prompt(time: number): Program {
  const run = noGrad(() => {
    const model = new Llama(config).to("bf16") as Llama;
    const cache = model.makeCache(time);
    return (tokens: Tensor): Tensor => noGrad(() => model.prefill(tokens, cache));
  });
  return compile(traceFunction(run as (...x: Tensor[]) => Tensor, [zeros([1, time], { dtype: "i64" })]).recording.graph, h200);
}
/** Bytes of all buffers that are no temporaries, and of the arena. */
const planned = (p: Program): readonly [number, number] => [
  p.buffers.reduce((sum, b) => sum + (b.role === "temp" ? 0 : (b.size as number) * bytesOf(b.dtype)), 0),
  p.arena as number,
];

/** How many steps of each kind there are. */
const kinds = (p: Program): [string, number][] =>
  [...new Set(p.steps.map((s) => s.kind))].map((kind) => [kind, p.steps.filter((s) => s.kind === kind).length]);
/** Labels of the launches; what runs side by side in one line. */
const launches = (p: Program): string[] =>
  regionsOf(p.steps).map(([from, to]) =>
    p.steps
      .slice(from, to)
      .map((s) => s.note!.label)
      .join(" | "),
  );

describe("Llama-3.2-1B on an H200", () => {
  test("a prompt of 100,000 tokens is planned at 7.67 GiB", { timeout: 120_000 }, () => {
    const p = prompt(100_000);
    // Weights in bf16, keys and values, tokens and logits; temporaries.
    expect(planned(p)).toEqual([5749485376, 2483200000]);
    expect(kinds(p)).toEqual([["launch", 131]]);
    expect(launches(p).slice(2, 10)).toEqual(layer(false));
  });
  test("a prompt of 32 tokens is 130 kernels, 8 a layer", { timeout: 120_000 }, () => {
    const p = prompt(32);
    expect(planned(p)).toEqual([2472934208, 1843200]);
    expect(kinds(p)).toEqual([["launch", 130]]);
    expect(launches(p).slice(2, 10)).toEqual(layer(true));
    expect(launches(p)).toHaveLength(130);
  });
});

/** A layer from its products on to the norm of the next. Of few rows, parts of a long k are products that whoever reads them adds up. */
function layer(shared: boolean): string[] {
  const [dot, out] = shared ? ["wideDot", "wideDot"] : ["dot", "dot_add"];
  return [`${dot} | ${dot} | ${dot}`, "scatter | scatter | cast", "attention", out, "sum_cast", "dot_mul", out, "sum_cast"];
}
