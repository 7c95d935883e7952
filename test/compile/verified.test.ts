/** Kernels that models become on each kind of device pass the verifier: every index is shown to lie inside its buffer, and everything to fit. */
import { describe, expect, test } from "vitest";
import { grad } from "../../src/autodiff/grad.js";
import { cudaCodegen } from "../../src/backends/cuda/codegen.js";
import { webgpuCodegen } from "../../src/backends/webgpu/codegen.js";
import { compile } from "../../src/compile/index.js";
import type { DType } from "../../src/core/dtype.js";
import type { Graph } from "../../src/ir/graph.js";
import type { Codegen } from "../../src/kernel/codegen.js";
import { templates } from "../../src/kernel/templates/index.js";
import { Bert, bertConfig, type CausalModel, GPT2, gpt2Config, Llama, llamaConfig } from "../../src/models/index.js";
import * as ops from "../../src/ops/index.js";
import { AdamW } from "../../src/optim/index.js";
import { autocast, noGrad, type Tensor, traceFunction, zeros } from "../../src/tensor/index.js";
import { codegens } from "../replay/programs.js";
import { leaf } from "./models.js";

const targets: Readonly<Record<string, Codegen>> = {
  c: codegens["c-avx512"]!(),
  a100: cudaCodegen({ sm: 80, multiprocessors: 108 }, templates),
  h200: cudaCodegen({ sm: 90, multiprocessors: 132 }, templates),
  dawn: webgpuCodegen({ maxComputeInvocationsPerWorkgroup: 1024, maxStorageBuffersPerShaderStage: 10, subgroup: 32 }, templates),
  least: webgpuCodegen({}, templates),
};
/** Kernels of a graph, verified. */
const kernels = (graph: Graph, target: string): number => compile(graph, targets[target]!, { verify: true }).kernels.length;

const gpt2 = (width: number, heads: number): GPT2 =>
  new GPT2(gpt2Config({ vocab_size: 101, n_embd: width, n_layer: 1, n_head: heads, n_positions: 128 }));
const llama = (width: number, heads: number): Llama =>
  new Llama(
    llamaConfig({
      model_type: "llama",
      vocab_size: 101,
      hidden_size: width,
      num_hidden_layers: 1,
      num_attention_heads: heads,
      num_key_value_heads: heads / 2,
      intermediate_size: 3 * width,
      max_position_embeddings: 128,
    }),
  );
const bert = (width: number, heads: number): Bert =>
  new Bert(
    bertConfig({
      vocab_size: 101,
      hidden_size: width,
      num_hidden_layers: 1,
      num_attention_heads: heads,
      intermediate_size: 4 * width,
      max_position_embeddings: 128,
    }),
  );

/** A step of AdamW with products in bf16. */
function training(model: Bert | CausalModel, batch: number, time: number): Graph {
  const optimizer = new AdamW(model.parameters());
  const step = (x: Tensor): Tensor => {
    const loss = autocast("bf16", () => (model instanceof Bert ? model.loss(x, x) : model.loss(x)));
    loss.backward();
    optimizer.step();
    optimizer.zeroGrad();
    return loss.detach();
  };
  return traceFunction(step, [zeros([batch, time], { dtype: "i64" })]).recording.graph;
}
/** A token that is decoded. */
function decoding(make: () => CausalModel): Graph {
  return noGrad(() => {
    const model = make().to("bf16") as CausalModel;
    const cache = model.makeCache(100);
    const run = (x: Tensor, at: Tensor): Tensor => noGrad(() => model.decode(x, at, cache).argmax(-1));
    return traceFunction(run, [zeros([1], { dtype: "i64" }), zeros([], { dtype: "i64" })]).recording.graph;
  });
}
/** What attention over one product of queries, keys and values gives back to what that product reads. */
function fusedAttention([B, T, C, H]: readonly [number, number, number, number], dtype: DType): Graph {
  const [x, w] = [leaf("x", [B, T, C], dtype), leaf("w", [3 * C, C], dtype)];
  const qkv = ops.linear(x, w);
  const head = (k: number) => ops.permute(ops.reshape(ops.slice(qkv, [0, 0, k * C], [B, T, C]), [B, T, H, C / H]), [0, 2, 1, 3]);
  const y = ops.scaledDotProductAttention(head(0), head(1), head(2), undefined, { isCausal: true });
  const loss = ops.sum(ops.cast(ops.mul(y, y), "f32"), [0, 1, 2, 3]);
  return { inputs: [x, w], state: [], outputs: grad(loss, [x, w]), updates: [] };
}

describe("training and decoding of small models", () => {
  const graphs: readonly (readonly [string, string, () => Graph])[] = [
    ["h200", "a step of GPT-2", () => training(gpt2(48, 2), 2, 24)],
    ["dawn", "a step of BERT", () => training(bert(48, 2), 2, 24)],
    ["c", "a step of Llama", () => training(llama(48, 2), 2, 24)],
    ["least", "a token of Llama", () => decoding(() => llama(48, 2))],
  ];
  test.each(graphs)("on %s: %s", (target, _, make) => {
    expect(kernels(make(), target)).toBeGreaterThan(5);
  });
});

test.each([
  ["a100", [1, 64, 768, 12], "bf16"],
  ["h200", [8, 1024, 768, 12], "bf16"],
  ["c", [1, 128, 48, 12], "f32"],
] as const)("on %s: the gradients of attention over one product, %j in %s", (target, sizes, dtype) => {
  expect(kernels(fusedAttention(sizes, dtype), target)).toBeGreaterThan(4);
});

describe("shared memory suffices", () => {
  test("where a token's row is normed in front of sums over columns", () => {
    expect(
      kernels(
        decoding(() => gpt2(768, 12)),
        "dawn",
      ),
    ).toBeGreaterThan(5);
  });
  test("where threads put many columns' sums together", () => {
    const x = leaf("x", [4096, 256 * 8], "bf16");
    const wide = ops.cast(x, "f32");
    const outputs = Array.from({ length: 8 }, (_, i) => ops.sum(ops.mul(wide, i + 3), [0]));
    for (const target of ["dawn", "least"]) expect(kernels({ inputs: [x], state: [], outputs, updates: [] }, target)).toBeGreaterThan(0);
  });
});
