/** How many launches a layer of a Llama takes: a token that is decoded, and a prompt. */
import { describe, expect, test } from "vitest";
import { compile } from "../../src/compile/index.js";
import { Llama, llamaConfig } from "../../src/models/index.js";
import { regionsOf } from "../../src/runtime/steps.js";
import { noGrad, type Tensor, traceFunction, zeros } from "../../src/tensor/index.js";
import { codegens } from "../replay/programs.js";

const config = {
  vocab_size: 512,
  hidden_size: 2048,
  intermediate_size: 8192,
  num_attention_heads: 32,
  num_key_value_heads: 8,
  max_position_embeddings: 1024,
  tie_word_embeddings: true,
  model_type: "llama",
};

/** Labels of a program's launches: steps that run side by side are joined. */
function launches(layers: number, time: number, device = "c-avx512"): string[] {
  const run = noGrad(() => {
    const model = new Llama(llamaConfig({ ...config, num_hidden_layers: layers })).to("bf16") as Llama;
    const cache = model.makeCache(1024);
    return time === 1
      ? (tokens: Tensor, position: Tensor): Tensor => noGrad(() => model.decode(tokens, position, cache).argmax(-1))
      : (tokens: Tensor): Tensor => noGrad(() => model.prefill(tokens, cache).argmax(-1));
  });
  const inputs = time === 1 ? [zeros([1], { dtype: "i64" }), zeros([], { dtype: "i64" })] : [zeros([1, time], { dtype: "i64" })];
  const { recording } = traceFunction(run as (...x: Tensor[]) => Tensor, inputs);
  const p = compile(recording.graph, codegens[device]!());
  expect(p.steps.filter((s) => s.kind !== "launch")).toEqual([]);
  return regionsOf(p.steps).map(([from, to]) =>
    p.steps
      .slice(from, to)
      .map((s) => s.note!.label)
      .join(" | "),
  );
}
/** What one more layer adds. */
const layer = (time: number): number => launches(3, time).length - launches(2, time).length;

describe("a layer of Llama", () => {
  test("decodes a token in 6 kernels on a GPU", () => {
    const [two, three] = [2, 3].map((n) => launches(n, 1, "cuda-sm90"));
    expect(three!.length - two!.length).toBe(6);
    // norm, q, k, v; cache; rotation and attention; output and residual; norm, gate and up with their product; down and residual.
    expect(three!.slice(6, 12)).toEqual(["sum | sum_cast", "scatter | scatter", "attention", "sum_add", "sum_cast", "sum_add"]);
  });
  test("decodes a token in 8 launches", () => {
    expect(layer(1)).toBe(8);
    // norm; q, k, v; rotation and cache; attention; output and residual; norm; gate and up with their product; down and residual.
    const all = launches(2, 1);
    expect(all.slice(8, 16)).toEqual([
      "sum_cast",
      "sum | sum_cast",
      "scatter | scatter | cast",
      "attention",
      "sum_add",
      "sum_cast",
      "sum_cast",
      "sum",
    ]);
  });
  test("takes a prompt in 8 launches", () => {
    expect(layer(32)).toBe(8);
    // output and residual; norm; gate and up in one tile; down and residual; norm; q, k, v; rotation and cache; attention.
    const all = launches(2, 32);
    expect(all.slice(5, 13)).toEqual([
      "dot_add",
      "sum_cast",
      "dot_mul",
      "dot_add",
      "sum_cast",
      "dot | dot | dot",
      "scatter | scatter | cast",
      "attention",
    ]);
  });
});
