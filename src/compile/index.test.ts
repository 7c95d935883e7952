import { afterEach, describe, expect, test, vi } from "vitest";
import { adamW, leaf, transformerBlock } from "../../test/compile/models.js";
import { grad } from "../autodiff/grad.js";
import { c } from "../backends/c/index.js";
import { nullBackend } from "../backends/null/index.js";
import { evaluate, variable } from "../core/expr.js";
import type { Graph } from "../ir/graph.js";
import type { Node } from "../ir/node.js";
import type { Codegen } from "../kernel/codegen.js";
import { contractTemplate } from "../kernel/templates/contract/index.js";
import { add, exp, matmul, mul, neg, softmax, sum, tanh } from "../ops/index.js";
import { checkArena, sampleDims } from "../runtime/arena.js";
import { explain } from "./explain.js";
import { compile } from "./index.js";

const codegen: Codegen = { ...nullBackend.codegen(), claims: [contractTemplate] };
const graph = (inputs: readonly Node[], outputs: readonly Node[], more: Partial<Graph> = {}): Graph => ({
  inputs,
  state: [],
  outputs,
  updates: [],
  ...more,
});

/** `layers` products with tanh, trained with AdamW. */
function trained(layers: number, rows: number, width: number): Graph {
  const [x, lr, step] = [leaf("x", [rows, width]), leaf("lr", []), leaf("step", [])];
  const weights = Array.from({ length: layers }, (_, i) => leaf(`w${i}`, [width, width]));
  const y = weights.reduce((h, w) => tanh(matmul(h, w)), x as Node);
  const loss = sum(mul(y, y), [0, 1]);
  const state: Node[] = [];
  const updates = grad(loss, weights).flatMap((g, i) => {
    const three = [weights[i]!, ...["m", "v"].map((n) => leaf(`${n}${i}`, [width, width]))] as [Node, Node, Node];
    state.push(...three);
    return adamW(...three, g, lr, step).map((value, k) => ({ state: three[k]!, value }));
  });
  return { inputs: [x, lr, step], state, outputs: [loss], updates };
}

describe("planned bytes", () => {
  test("an elementwise chain needs no arena", () => {
    const x = leaf("x", [1000]);
    expect(compile(graph([x], [neg(exp(x))]), codegen).arena).toBe(0);
  });
  test("a chain of products holds two values at a time", () => {
    const ws = Array.from({ length: 6 }, (_, i) => leaf(`w${i}`, [64, 64]));
    const x = leaf("x", [128, 64]);
    const p = compile(graph([x, ...ws], [ws.reduce((h, w) => tanh(matmul(h, w)), x as Node)]), codegen);
    // 5 intermediate values of 32 KiB; one is read while the next is written.
    expect(p.arena).toBe(2 * 128 * 64 * 4);
  });
  test("a training step holds each layer's output once, and reuses it for gradients", () => {
    const value = 128 * 64 * 4;
    const p = compile(trained(6, 128, 64), codegen);
    // Outputs of 6 layers; each derivative is written over the output that it no longer needs.
    expect(p.arena).toBe(7 * value);
    expect(p.steps.filter((s) => s.kind !== "launch")).toEqual([]);
    checkArena(p, []);
  });
  test("symbolic sizes: planned for the call, not for the maximum", () => {
    const n = variable("n", 0, 1 << 20);
    const x = leaf("x", [n, 64]);
    const ws = Array.from({ length: 4 }, (_, i) => leaf(`w${i}`, [64, 64]));
    const p = compile(
      graph(
        [x, ...ws],
        [
          softmax(
            ws.reduce((h, w) => tanh(matmul(h, w)), x as Node),
            1,
          ),
        ],
      ),
      codegen,
    );
    expect(evaluate(p.arena, { n: 10 })).toBe(2 * 10 * 64 * 4);
    expect(evaluate(p.arena, { n: 0 })).toBe(0);
    for (const dims of sampleDims(p)) checkArena(p, dims);
  });
});

describe("kernels are shared", () => {
  test("layers of one shape are the same kernels", () => {
    const build = (layers: number): number => compile(trained(layers, 32, 16), codegen).kernels.length;
    expect(build(9)).toBe(build(5));
  });
  test("equal kernels have equal names in different programs", () => {
    const x = leaf("x", [16, 16]);
    const a = compile(graph([x], [exp(x)]), codegen);
    const b = compile(graph([x], [sum(softmax(x, 1), [0]), exp(x)]), codegen);
    expect(b.kernels.map((k) => k.entry)).toContain(a.kernels[0]!.entry);
  });
  test.skipIf(c.unavailable() !== undefined)("the same graph gives the same program, byte for byte", () => {
    const text = (): string => {
      const params: Node[] = [];
      const x = leaf("x", [2, 8, 16]);
      const y = transformerBlock(x, params, { batch: 2, time: 8, channels: 16, heads: 2 });
      return JSON.stringify(compile(graph([x, ...params], [y]), c.codegen()));
    };
    expect(text()).toBe(text());
  });
});

describe("explain", () => {
  afterEach(() => vi.unstubAllEnvs());
  test("names kernels, what was fused, why not more, copies and the arena", () => {
    const [x, w, s] = [leaf("x", [64, 32]), leaf("w", [32, 48]), leaf("s", [4])];
    const y = softmax(add(matmul(x, w), 1), 1);
    const text = explain(compile(graph([x, w], [y, y], { state: [s], updates: [{ state: s, value: neg(s) }] }), codegen));
    expect(text).toContain("3 kernels (3 distinct), 1 copies, side by side in 3 launches, 0 host steps; arena 12.0 KiB");
    expect(text).toMatch(/dot \[claimed\] kernel k[0-9a-f]+/);
    expect(text).toContain("the rows of");
    expect(text).toContain("output 1 is a copy: it is another output too");
    expect(text).toContain("s: f32[4]");
  });
  test("TREEPIE_DEBUG dumps each stage to stderr", () => {
    const x = leaf("x", [8]);
    const lines: string[] = [];
    const write = vi.spyOn(process.stderr, "write").mockImplementation((t) => !!lines.push(String(t)));
    vi.stubEnv("TREEPIE_DEBUG", "4");
    compile(graph([x], [exp(x)]), codegen);
    write.mockRestore();
    const text = lines.join("");
    for (const part of ["--- graph after canonicalize", "--- group 0: exp", "--- kernel k", "--- source of k", "program main"])
      expect(text).toContain(part);
  });
});
