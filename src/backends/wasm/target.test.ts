/** What products and sums come to where registers are few and loads come first. */
import { expect, test } from "vitest";
import { lowerCase } from "../../../test/support/groups.js";
import { variable } from "../../core/expr.js";
import type { Node } from "../../ir/node.js";
import type { Kernel } from "../../kernel/kernel.js";
import { tileAttention } from "../../kernel/templates/attention/tiling.js";
import { mostPositions } from "../../kernel/templates/conv/tiling.js";
import { templates } from "../../kernel/templates/index.js";
import { eachStmt } from "../../kernel/walk.js";
import { dot, input, mul, permute, silu } from "../../ops/index.js";
import { wasmTarget } from "./target.js";

const target = wasmTarget(2);
const f32 = (...shape: (number | ReturnType<typeof variable>)[]): Node => input({ shape, dtype: "f32" });
const kernels = (inputs: readonly Node[], y: Node): readonly Kernel[] =>
  lowerCase({ name: "case", inputs, outputs: [y] }, templates, target).groups.flatMap((g) => g.kernels);
const sizeOf = (k: Kernel, name: string): number => Number(k.buffers.find((b) => b.name === name)?.size ?? 0);

test("a product's sums fit the registers beside all that a step reads, and a turn is one step", () => {
  const [x, w, v, t] = [f32(1024, 768), f32(768, 1024), f32(768, 1024), f32(1024, 768)];
  const rows = f32(variable("M", 1, 256), 768);
  for (const [inputs, y] of [
    [[x, w], dot(x, w)],
    [[x, t], dot(x, permute(t, [1, 0]))],
    [[rows, w], dot(rows, w)],
    [[x, w, v], mul(silu(dot(x, w)), dot(x, v))],
  ] as const) {
    const [k] = kernels(inputs, y);
    expect((sizeOf(k!, "acc") + sizeOf(k!, "br")) / 4 + sizeOf(k!, "ar")).toBeLessThanOrEqual(target.registers);
    const turns: string[] = [];
    eachStmt(k!.body, (s) => {
      if (s.kind === "for" && s.axis.name === "kk") turns.push(s.axis.kind);
    });
    expect(turns).toEqual([]);
  }
  expect(sizeOf(kernels([x, w], dot(x, w))[0]!, "acc")).toBe(4 * 8);
});

test("so do those of attention and convolutions", () => {
  const { rows, abreast } = tileAttention("f32", target);
  for (const [high, wide] of [[rows, abreast], ...[1, 2].map((n) => [mostPositions(n, target), n] as const)] as const) {
    expect(high * wide + high + wide).toBeLessThanOrEqual(target.registers);
    expect((high + 1) * wide + high + 1 + wide).toBeGreaterThan(target.registers);
  }
});

test("a vector times a matrix that no cache holds reads one stream", () => {
  const x = f32(1, 768);
  const [across, along] = [f32(768, 3072), f32(50257, 768)];
  // Whole rows, whose sums a second kernel adds up; and rows one after the other, in four sums.
  expect(kernels([x, across], dot(x, across)).length).toBe(2);
  const [k, ...more] = kernels([x, along], dot(x, permute(along, [1, 0])));
  expect(more).toEqual([]);
  expect(k!.buffers.filter((b) => b.space === "reg").map((b) => b.size)).toEqual([16, 1]);
});
