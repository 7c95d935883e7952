/** Memory of long sequences: attention plans no scores, forward or backward, so bytes grow with the length and not with its square. */
import { expect, test } from "vitest";
import { vjp } from "../../src/autodiff/grad.js";
import { cCodegen } from "../../src/backends/c/codegen.js";
import { compile } from "../../src/compile/index.js";
import type { DType } from "../../src/core/dtype.js";
import type { Node } from "../../src/ir/node.js";
import { templates } from "../../src/kernel/templates/index.js";
import { indexCopy, input, reshape, scaledDotProductAttention, sum } from "../../src/ops/index.js";
import type { Program } from "../../src/runtime/program.js";
import { leaf, transformerBlock } from "./models.js";

const features = ["avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512dq", "avx512vl"];
const program = (inputs: readonly Node[], outputs: readonly Node[]): Program =>
  compile({ inputs, state: [], outputs, updates: [] }, cCodegen({ arch: "x86-64", features, parallel: 2 }, templates));
/** Planned bytes, and the most that a thread needs beside them. */
const bytesOf = (p: Program): readonly [unknown, number] => [p.arena, Math.max(...p.kernels.map((k) => Number(k.sharedBytes)))];

const depth = 64;
function attention(length: number, dtype: DType, heads = 4): { readonly forward: Program; readonly backward: Program } {
  const [q, k, v, ct] = ["q", "k", "v", "ct"].map((name) => leaf(name, [1, heads, length, depth], dtype)) as [Node, Node, Node, Node];
  const y = scaledDotProductAttention(q, k, v, null, { isCausal: true });
  const grads = vjp([y], [ct], [q, k, v]) as Node[];
  return { forward: program([q, k, v], [y]), backward: program([q, k, v, ct], grads) };
}

test.each([
  ["f32", 4],
  ["bf16", 4],
  // One head keeps one thread busy, which is still better than its scores in memory.
  ["f32", 1],
] as const)("attention of 4,096 and 8,192 tokens in %s, %i heads", (dtype, heads) => {
  const size = dtype === "f32" ? 4 : 2;
  for (const length of [4096, 8192]) {
    const { forward, backward } = attention(length, dtype, heads);
    // Forward: one logarithm of a row's sum for each query.
    const rows = heads * length * 4;
    expect(forward.steps.map((s) => s.note?.label)).toEqual(["attention"]);
    expect(forward.arena).toBe(rows);
    // Backward: the result, too, and in f32 each row's sum of result times cotangent.
    const labels = dtype === "f32" ? ["attention", "sum", "attentionBackward"] : ["attention", "attentionBackward"];
    expect(backward.steps.map((s) => s.note?.label)).toEqual(labels);
    expect(backward.arena).toBe(rows + heads * length * depth * size + (dtype === "f32" ? rows : 0));
  }
  const [a, b] = [4096, 8192].map((n) => bytesOf(attention(n, dtype, heads).backward)[1]) as [number, number];
  expect(b).toBeLessThan(2 * a);
});

test("a transformer block of 4,096 and 8,192 tokens, forward and backward", () => {
  const of = (time: number): readonly (readonly [unknown, number])[] => {
    const x = leaf("x", [1, time, 64]);
    const params: Node[] = [];
    const y = transformerBlock(x, params, { batch: 1, time, channels: 64, heads: 2 });
    const loss = sum(y, [0, 1, 2]);
    const seed = leaf("seed", []);
    return [program([x, ...params], [y]), program([x, ...params, seed], vjp([loss], [seed], params) as Node[])].map(bytesOf);
  };
  const [short, long] = [of(4096), of(8192)];
  short.forEach(([arena, scratch], i) => {
    expect(Number(long[i]![0])).toBeLessThanOrEqual(2 * Number(arena));
    expect(long[i]![1]).toBeLessThanOrEqual(2 * scratch);
    // One matrix of scores would be more than everything.
    expect(Number(long[i]![0])).toBeLessThan(8192 * 8192 * 4);
  });
});

test.each([
  ["a token", 1, 4, ["scatter", "scatter", "attention"]],
  ["a prompt", 200, 4, ["scatter", "scatter", "attention"]],
  // One head of keys would keep one thread busy: its keys are shared out.
  ["a token, one head of keys", 1, 1, ["scatter", "scatter", "attention", "attention (part 2)"]],
] as const)("%s against a cache: written and read in place", (_, time, keyHeads, labels) => {
  const length = 4096;
  const [key, value] = ["key", "value"].map((name) => input({ shape: [keyHeads, length, depth], dtype: "bf16" }, name)) as [Node, Node];
  const q = leaf("q", [1, 4, time, depth], "bf16");
  const [k, v] = ["k", "v"].map((name) => leaf(name, [keyHeads, time, depth], "bf16")) as [Node, Node];
  const positions = input({ shape: [time], dtype: "i64" });
  const offset = input({ shape: [], dtype: "i64" });
  const [keys, values] = [indexCopy(key, 1, positions, k), indexCopy(value, 1, positions, v)];
  const lead = (x: Node): Node => reshape(x, [1, ...x.type.shape]);
  const y = scaledDotProductAttention(q, lead(keys), lead(values), null, { isCausal: true, enableGqa: true, offset });
  const graph = {
    inputs: [q, k, v, positions, offset],
    state: [key, value],
    outputs: [y],
    updates: [
      { state: key, value: keys },
      { state: value, value: values },
    ],
  };
  const p = compile(graph, cCodegen({ arch: "x86-64", features, parallel: 2 }, templates));
  expect(p.steps.map((s) => s.note?.label)).toEqual(labels);
});
