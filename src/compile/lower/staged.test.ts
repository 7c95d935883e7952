/** Products of one row behind a norm on a GPU, thread by thread: what is copied first is what is read first. */
import { expect, test } from "vitest";
import { type Case, errorOf, interpretKernels, type Lowered, runCases, tolerance } from "../../../test/support/groups.js";
import { cudaCodegen } from "../../backends/cuda/codegen.js";
import { webgpuTarget } from "../../backends/webgpu/target.js";
import type { DType } from "../../core/dtype.js";
import type { Node } from "../../ir/node.js";
import { runPasses } from "../../ir/rewrite.js";
import { verifyKernel } from "../../kernel/verify.js";
import { eachStmt } from "../../kernel/walk.js";
import * as o from "../../ops/index.js";
import { fuse } from "../fuse.js";
import { standardPasses } from "../index.js";
import { inlineRows } from "../inlined.js";
import { lowerGroup } from "./index.js";

interface Sizes {
  readonly columns: number;
  readonly rows: number;
  readonly dtype: DType;
  /** Two matrices meet in each element. */
  readonly gated?: true;
}
function product({ columns, rows, dtype, gated }: Sizes): Case {
  const leaf = (shape: readonly number[]): Node => o.input({ shape, dtype });
  const [x, g, w] = [leaf([1, columns]), leaf([columns]), leaf([rows, columns])];
  const up = gated && leaf([rows, columns]);
  const y = o.rmsNorm(x, [columns], g);
  return {
    name: `${rows} x ${columns} ${dtype}`,
    inputs: up ? [x, g, w, up] : [x, g, w],
    outputs: [up ? o.mul(o.silu(o.linear(y, w)), o.linear(y, up)) : o.linear(y, w)],
  };
}
const codegen = cudaCodegen({ sm: 90, multiprocessors: 64 });
/** The product's kernel with the norm inside, and its statements in order. */
function lowered(c: Case, target = codegen.target): { readonly lowered: Lowered; readonly kinds: readonly string[] } {
  const graph = runPasses({ inputs: c.inputs, state: [], outputs: c.outputs, updates: [] }, standardPasses({ ...codegen, target }));
  const groups = inlineRows(fuse(graph, { ...codegen, target }), target).groups.map((group) => ({
    group,
    kernels: lowerGroup(group, target),
  }));
  const kinds: string[] = [];
  for (const g of groups) for (const k of g.kernels) eachStmt(verifyKernel(k, target).body, (s) => void kinds.push(s.kind));
  return { lowered: { case: c, graph, groups }, kinds };
}
const cases: readonly Sizes[] = [
  { columns: 512, rows: 128, dtype: "bf16", gated: true },
  { columns: 2048, rows: 128, dtype: "bf16", gated: true },
  { columns: 1024, rows: 1024, dtype: "bf16", gated: true },
  { columns: 512, rows: 128, dtype: "f32", gated: true },
];

test("the first weights are copied before the norm, and each is met once", { timeout: 120_000 }, () => {
  const list = cases.map((s) => lowered(product(s)));
  for (const { kinds, lowered: l } of list) {
    expect(
      l.groups.map((g) => g.kernels.length),
      l.case.name,
    ).toEqual([1]);
    expect(kinds.indexOf("copy"), l.case.name).toBeLessThan(kinds.indexOf("barrier"));
    expect(kinds.filter((k) => k === "commit" || k === "wait")).toEqual(["commit", "wait"]);
    expect(kinds.indexOf("wait")).toBeGreaterThan(kinds.indexOf("barrier"));
  }
  for (const { name, got, want, dtypes } of runCases(
    list.map((l) => l.lowered),
    interpretKernels,
  ))
    got.forEach((g, i) => void expect(errorOf(g, want[i]!), name).toBeLessThanOrEqual(tolerance(dtypes[i]!)));
});
test("nothing is copied where launches do not begin early, or where a product has no such turns", () => {
  const web = webgpuTarget({ maxComputeInvocationsPerWorkgroup: 1024, maxStorageBuffersPerShaderStage: 16, subgroup: 32 });
  expect(lowered(product(cases[0]!), web).kinds).not.toContain("copy");
  expect(lowered(product(cases[0]!), cudaCodegen({ sm: 80, multiprocessors: 64 }).target).kinds).not.toContain("copy");
  expect(lowered(product({ columns: 1000, rows: 128, dtype: "bf16" })).kinds).not.toContain("copy");
});
