/** A token through small models whose sizes take the kernels of large ones: norms inside of products, caches, kernels side by side. */
import type { DType } from "../../src/core/dtype.js";
import { NdArray } from "../../src/core/ndarray.js";
import type { Node } from "../../src/ir/node.js";
import { GPT2, gpt2Config, Llama, llamaConfig } from "../../src/models/index.js";
import { input, linear } from "../../src/ops/index.js";
import { noGrad, type Tensor, traceFunction, zeros } from "../../src/tensor/index.js";
import type { Case } from "../conformance/cases.js";
import { draw, stream } from "../conformance/inputs.js";

const llama = {
  model_type: "llama",
  vocab_size: 130,
  hidden_size: 128,
  intermediate_size: 192,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 256,
  num_hidden_layers: 2,
  tie_word_embeddings: true,
};
const gpt2 = { model_type: "gpt2", vocab_size: 131, n_embd: 128, n_layer: 2, n_head: 2, n_positions: 64 };

function decodeCase(name: string, make: () => Llama | GPT2, dtype: DType, time: number, length = 64): Case {
  const model = noGrad(() => make().to(dtype)) as Llama | GPT2;
  model.eval();
  const run = noGrad(() => {
    const cache = model.makeCache(length);
    return time > 1
      ? (tokens: Tensor): Tensor => noGrad(() => model.prefill(tokens, cache))
      : (token: Tensor, at: Tensor): Tensor => noGrad(() => model.decode(token, at, cache));
  });
  const inputs = time > 1 ? [zeros([1, time], { dtype: "i64" })] : [zeros([1], { dtype: "i64" }), zeros([], { dtype: "i64" })];
  const { graph } = traceFunction(run as (...x: Tensor[]) => Tensor, inputs).recording;
  const next = stream(name);
  const feeds = new Map<Node, NdArray>();
  for (const x of [...graph.inputs, ...graph.state]) {
    const shape = x.type.shape as number[];
    const whole = x.type.dtype === "i64";
    feeds.set(
      x,
      whole ? NdArray.of("i64", shape, () => BigInt(shape.length ? 38 : length - 27)) : draw(next, x.type.dtype, shape, [-0.5, 0.5]),
    );
  }
  return { name, op: "decode", roots: [...graph.outputs], feeds, updates: graph.updates };
}

/** Products of few rows that share a long inner dim out over grid points: their sums are one kernel. */
export function sideBySide(): Case {
  const name = "products side by side";
  const next = stream(name);
  const feeds = new Map<Node, NdArray>();
  const leaf = (shape: number[], span: number): Node => {
    const x = input({ shape, dtype: "bf16" });
    feeds.set(x, draw(next, "bf16", shape, [-span, span]));
    return x;
  };
  const x = leaf([32, 2048], 1);
  return { name, op: "decode", roots: [64, 48, 64].map((n) => linear(x, leaf([n, 2048], 0.1))), feeds };
}

/** The cases. */
export const decodeCases = (): Case[] =>
  (["f32", "bf16"] as const).flatMap((dtype) => [
    ...(dtype === "bf16" ? [sideBySide()] : []),
    ...[1, 20].flatMap((time) => [
      decodeCase(`decode llama ${dtype} ${time}`, () => new Llama(llamaConfig(llama)), dtype, time),
      decodeCase(`decode gpt2 ${dtype} ${time}`, () => new GPT2(gpt2Config(gpt2)), dtype, time),
    ]),
    // A cache so long that attention is shared out, and put together in the product behind it.
    decodeCase(`decode llama ${dtype} 1 of 256`, () => new Llama(llamaConfig(llama)), dtype, 1, 256),
  ]);
