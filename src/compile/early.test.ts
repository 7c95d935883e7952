import { expect, test } from "vitest";
import { cudaCodegen } from "../backends/cuda/codegen.js";
import type { Node } from "../ir/node.js";
import { templates } from "../kernel/templates/index.js";
import * as o from "../ops/index.js";
import { input } from "../ops/source.js";
import type { Program } from "../runtime/program.js";
import { compile } from "./index.js";

const leaf = (shape: readonly number[]): Node => input({ shape, dtype: "bf16" }, "x");
const product = (a: Node, w: Node): Node => o.linear(a, w);
/** Where a launch releases, copies and awaits: the words of its kernel in order. */
const words = (p: Program): string[] =>
  p.steps.map((s) =>
    s.kind === "launch" ? [...String(p.kernels[s.kernel]!.source).matchAll(/release|await|commit/g)].map(([w]) => w).join(" ") : s.kind,
  );
const early = (p: Program): unknown[] => p.steps.map((s) => s.kind === "launch" && p.kernels[s.kernel]!.early?.map(Number));
function token(sm: number, w = leaf([2048, 1024])): Program {
  const [x, down] = [leaf([1, 1024]), leaf([1024, 2048])];
  const graph = { inputs: [x, w, down], state: [], outputs: [product(o.silu(product(x, w)), down)], updates: [] };
  return compile(graph, cudaCodegen({ sm, multiprocessors: 132 }, templates), { verify: true });
}

test("products release at once and await behind the first copies of their weights", () => {
  const p = token(90);
  expect(words(p)).toEqual(["release commit await", "release commit await"]);
  // Weights, row, result, and what it asks for; the second product's row is what the first one wrote.
  expect(early(p)).toEqual([
    [1, 1, 0, 1],
    [1, 0, 0],
  ]);
  for (const k of p.kernels) {
    const head = /__launch_bounds__\((.*?)\) \w+\((.*?)\)/.exec(String(k.source))!;
    expect(head[1]).toMatch(/, 2$/);
    expect(head[2]!.split(", ").map((x) => Number(x.includes("__restrict__")))).toEqual(k.early!.map(Number));
  }
});
test("GPUs that know no such launches begin each one when what it depends on has ended", () => {
  expect(early(token(80))).toEqual([undefined, undefined]);
  expect(words(token(80)).join()).not.toMatch(/release|await/);
});
test("what an earlier step writes is not fixed, and many grid points begin when all before them has ended", () => {
  const [x, state] = [leaf([1, 1024]), leaf([2048, 1024])];
  const changed = o.add(state, state);
  const updates = [{ state, value: changed }];
  const codegen = cudaCodegen({ sm: 90, multiprocessors: 132 }, templates);
  const p = compile({ inputs: [x], state: [state], outputs: [product(x, changed)], updates }, codegen, { verify: true });
  const [written] = p.state;
  const [add, multiply] = p.steps;
  if (add?.kind !== "launch" || multiply?.kind !== "launch") throw new Error("two launches were expected");
  expect([add.grid, p.kernels[add.kernel]!.early]).toEqual([1024, undefined]);
  expect(p.kernels[multiply.kernel]!.early![multiply.buffers.indexOf(written!.buffer)]).toBe(false);
});
