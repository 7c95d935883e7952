import { describe, expect, test } from "vitest";
import { adamW, leaf } from "../../test/compile/models.js";
import { schedule } from "../../test/compile/simulate.js";
import { nullBackend } from "../backends/null/index.js";
import type { Graph } from "../ir/graph.js";
import type { Node } from "../ir/node.js";
import type { Codegen } from "../kernel/codegen.js";
import { contractTemplate } from "../kernel/templates/contract/index.js";
import { add, exp, matmul, mul, sum, transpose } from "../ops/index.js";
import type { Program, Step } from "../runtime/program.js";
import { regionsOf as regionsOfSteps } from "../runtime/steps.js";
import { verifyProgram } from "../runtime/verify.js";
import { compile } from "./index.js";

const codegen: Codegen = { ...nullBackend.codegen(), claims: [contractTemplate] };
const graph = (inputs: Node[], outputs: Node[], state: Node[] = [], updates: Graph["updates"] = []): Graph => ({
  inputs,
  state,
  outputs,
  updates,
});
const regions = (g: Graph): string[][] => schedule(g, codegen).regions.map((r) => r.map((t) => t.group?.name ?? "copy"));

describe("regions", () => {
  test("products of one input run side by side", () => {
    const [x, q, k, v] = [leaf("x", [32, 64]), leaf("q", [64, 64]), leaf("k", [64, 16]), leaf("v", [64, 16])];
    expect(
      regions(
        graph(
          [x, q, k, v],
          [q, k, v].map((w) => matmul(exp(x), w)),
        ),
      ),
    ).toEqual([["exp"], ["dot", "dot", "dot"]]);
  });
  test("what needs another's result comes after it", () => {
    const [x, w] = [leaf("x", [64, 64]), leaf("w", [64, 64])];
    expect(regions(graph([x, w], [matmul(matmul(matmul(x, w), w), w)]))).toEqual([["dot"], ["dot"], ["dot"]]);
  });
  test("the updates of many parameters are one launch", () => {
    const [lr, step] = [leaf("lr", []), leaf("step", [])];
    const made = Array.from({ length: 20 }, (_, i) => {
      const [p, m, v, g] = ["p", "m", "v", "g"].map((n) => leaf(`${n}${i}`, [8 + i, 4])) as [Node, Node, Node, Node];
      return { state: [p, m, v], g, values: adamW(p, m, v, g, lr, step) };
    });
    const state = made.flatMap((x) => x.state);
    const updates = made.flatMap((x) => x.state.map((s, i) => ({ state: s, value: x.values[i]! })));
    const list = regions(graph([lr, step, ...made.map((x) => x.g)], [], state, updates));
    expect(list).toHaveLength(1);
    expect(list[0]).toHaveLength(20);
  });
  test("work that would raise the peak of memory waits for its turn", () => {
    // Each branch has a large value in the middle: side by side they would need all of those at once.
    const xs = Array.from({ length: 8 }, (_, i) => leaf(`x${i}`, [512, 64]));
    const w = leaf("w", [64, 512]);
    const branch = (x: Node): Node => sum(mul(matmul(matmul(x, w), exp(matmul(transpose(w, 0, 1), transpose(x, 0, 1)))), 2), [0, 1]);
    const s = schedule(graph([...xs, w], [xs.map(branch).reduce((a, b) => add(a, b))]), codegen);
    const widest = Math.max(...s.regions.map((r) => r.length));
    expect(widest).toBeLessThan(8);
  });
});

describe("a forged mark", () => {
  const [x, w] = [leaf("x", [64, 64]), leaf("w", [64, 64])];
  const program = compile(graph([x, w], [matmul(matmul(x, w), w)]), codegen);
  const forged = (steps: readonly Step[]): Program => ({ ...program, steps });
  test("is refused where a step reads what its neighbour writes", () => {
    expect(program.steps).toHaveLength(2);
    expect(regionsOfSteps(program.steps)).toEqual([
      [0, 1],
      [1, 2],
    ]);
    expect(() => verifyProgram(program)).not.toThrow();
    const [a, b] = program.steps as [Step, Step & { kind: "launch" }];
    expect(() => verifyProgram(forged([a, { ...b, beside: true }]))).toThrow(/runs beside step 0, which writes buffer/);
  });
  test("is refused where two steps write one buffer", () => {
    const [a] = program.steps as [Step & { kind: "launch" }];
    expect(() => verifyProgram(forged([a, { ...a, beside: true }, program.steps[1]!]))).toThrow(/both write buffer/);
  });
});
