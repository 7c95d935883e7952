import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import type { Case } from "../../../test/conformance/cases.js";
import { draw, stream } from "../../../test/conformance/inputs.js";
import { judge } from "../../../test/conformance/judge.js";
import { runCases } from "../../../test/conformance/run.js";
import { buildFakeGpu } from "../../../test/support/fake-gpu/build.js";
import { compile } from "../../compile/index.js";
import type { NdArray } from "../../core/ndarray.js";
import type { Node } from "../../ir/node.js";
import { templates } from "../../kernel/templates/index.js";
import * as o from "../../ops/index.js";
import { cudaCodegen } from "./codegen.js";
import { openCuda } from "./device.js";

const fake = buildFakeGpu();
const cache = mkdtempSync(join(tmpdir(), "treepie-test-"));
if (fake) Object.assign(process.env, { TREEPIE_CUDA_PATH: fake, TREEPIE_CACHE_DIR: cache });
afterAll(() => {
  rmSync(cache, { recursive: true, force: true });
});
const codegen = cudaCodegen({ sm: 80, multiprocessors: 4 }, templates);

/** A derivative that products read, and what a bias learns from the sum of its rows, in place: one kernel. */
function biasGradient(rows: number, columns: number): Case {
  const next = stream(`bias ${rows} ${columns}`);
  const feeds = new Map<Node, NdArray>();
  const fed = (node: Node): Node => {
    feeds.set(node, draw(next, node.type.dtype, node.type.shape as number[], [-1, 1]));
    return node;
  };
  const [x, y] = ["x", "y"].map((name) => fed(o.input({ shape: [rows, columns], dtype: "f32" }, name))) as [Node, Node];
  const bias = fed(o.input({ shape: [columns], dtype: "f32" }, "bias"));
  const own = fed(o.input({ shape: [columns], dtype: "f32" }, "own"));
  const z = o.mul(o.tanh(o.add(x, own)), y);
  return {
    name: `bias of ${columns} columns`,
    op: "sum",
    roots: [z],
    feeds,
    updates: [{ state: bias, value: o.sub(bias, o.mul(o.sum(z, [0]), 0.5)) }],
  };
}

test.skipIf(!fake)(
  "sums over rows whose elements leave on the way: threads share out the rows, whole lines wide",
  { timeout: 60_000 },
  async () => {
    const cases = [biasGradient(130, 96), biasGradient(70, 3203)];
    const points = cases.map((c) => {
      const g = {
        inputs: [...c.feeds.keys()].filter((x) => x !== c.updates![0]!.state),
        state: [c.updates![0]!.state],
        outputs: [...c.roots],
        updates: [...c.updates!],
      };
      const p = compile(g, codegen, { verify: true });
      return p.steps.map((s) => (s.kind === "launch" ? [s.grid, p.kernels[s.kernel]!.threads] : s.kind));
    });
    // Four columns of f32 a thread, one thread across; 32 single columns.
    expect(points).toEqual([[[24, 256]], [[101, 512]]]);
    const device = await openCuda();
    const results = await runCases(cases, codegen, device);
    for (const [i, c] of cases.entries()) expect(judge(c, results[i]!, true).wrong).toEqual([]);
    await device.close();
  },
);
