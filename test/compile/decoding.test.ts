/** How many launches a layer of a Llama takes: a token that is decoded, and a prompt. */
import { describe, expect, test } from "vitest";
import { webgpuCodegen } from "../../src/backends/webgpu/codegen.js";
import { compile } from "../../src/compile/index.js";
import type { Codegen } from "../../src/kernel/codegen.js";
import { templates } from "../../src/kernel/templates/index.js";
import { Llama, llamaConfig } from "../../src/models/index.js";
import type { Program } from "../../src/runtime/program.js";
import { regionsOf } from "../../src/runtime/steps.js";
import { noGrad, type Tensor, traceFunction, zeros } from "../../src/tensor/index.js";
import { codegens } from "../replay/programs.js";
import { compileWgsl, withoutDawn } from "../support/wgsl.js";

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

/** WebGPU on a large GPU. */
const warps = (): Codegen =>
  webgpuCodegen({ maxComputeInvocationsPerWorkgroup: 1024, maxStorageBuffersPerShaderStage: 10, subgroup: 32 }, templates);

/** The program of a token, or of a prompt. */
function program(layers: number, time: number, codegen: Codegen): Program {
  const run = noGrad(() => {
    const model = new Llama(llamaConfig({ ...config, num_hidden_layers: layers })).to("bf16") as Llama;
    const cache = model.makeCache(1024);
    return time === 1
      ? (tokens: Tensor, position: Tensor): Tensor => noGrad(() => model.decode(tokens, position, cache).argmax(-1))
      : (tokens: Tensor): Tensor => noGrad(() => model.prefill(tokens, cache).argmax(-1));
  });
  const inputs = time === 1 ? [zeros([1], { dtype: "i64" }), zeros([], { dtype: "i64" })] : [zeros([1, time], { dtype: "i64" })];
  const { recording } = traceFunction(run as (...x: Tensor[]) => Tensor, inputs);
  const p = compile(recording.graph, codegen, { verify: true });
  expect(p.steps.filter((s) => s.kind !== "launch")).toEqual([]);
  return p;
}
/** Labels of a program's launches: steps that run side by side are joined. */
function launches(layers: number, time: number, device = "c-avx512"): string[] {
  const p = program(layers, time, (device === "webgpu-warps" ? warps : codegens[device])!());
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
  test.each(["cuda-sm90", "webgpu-warps"])("decodes a token in 5 kernels on a GPU: %s", (device) => {
    const [two, three] = [2, 3].map((n) => launches(n, 1, device));
    expect(three!.length - two!.length).toBe(5);
    // norm, q, k, v; rotation, cache and attention; shares of attention, output and residual; norm, gate and up with their product; down and residual.
    expect(three!.slice(5, 10)).toEqual(["sum | sum_cast", "cachedAttention", "sum_add", "sum_cast", "sum_add"]);
  });
  test("decodes a token in WGSL that Dawn takes, also with no more buffers than every device has: rotation is a kernel then", (context) => {
    const why = withoutDawn();
    if (why) return context.skip(why);
    const p = program(2, 1, webgpuCodegen({ subgroup: 32 }, templates));
    const labels = p.steps.map((s) => s.note!.label);
    expect(labels.slice(3, 10)).toEqual(["reshape | cast", "cachedAttention", "sum_add", "sum_cast", "sum_add", "sum", "sum_cast"]);
    expect(compileWgsl(p.kernels.map((k) => ({ source: k.source as string, entry: k.entry })))).toEqual(p.kernels.map(() => ""));
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
      "sum_cast",
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
