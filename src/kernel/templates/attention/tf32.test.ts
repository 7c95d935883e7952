/** Attention of f32 whose products may round their operands to tf32, with derivatives, run by the kernel interpreter. */
import { expect, test } from "vitest";
import { type Case, errorOf, interpretKernels, lowerCase, runCases } from "../../../../test/support/groups.js";
import { vjp } from "../../../autodiff/grad.js";
import { cudaTarget } from "../../../backends/cuda/target.js";
import type { Node } from "../../../ir/node.js";
import { input, scaledDotProductAttention } from "../../../ops/index.js";
import { setFloat32MatmulPrecision } from "../../../ops/precision.js";
import { verifyKernel } from "../../verify.js";

const target = cudaTarget({ sm: 90, multiprocessors: 132 });
interface Shape {
  readonly queries: number;
  readonly keys: number;
  readonly depth: number;
  readonly width?: number;
  readonly isCausal?: boolean;
  readonly mask?: true;
}
function attention({ queries, keys, depth, width = depth, isCausal = false, mask }: Shape): Case {
  const of = (heads: number, rows: number, size: number): Node => input({ shape: [heads, rows, size], dtype: "f32" });
  const [q, k, v] = [of(2, queries, depth), of(1, keys, depth), of(1, keys, width)];
  const m = mask && input({ shape: [queries, keys], dtype: "bool" });
  const y = scaledDotProductAttention(q, k, v, m, { isCausal, enableGqa: true });
  const ct = input(y.type);
  const outputs = [y, ...(vjp([y], [ct], [q, k, v]) as Node[])];
  return { name: `${queries} x ${keys} x ${depth}`, inputs: [q, k, v, ...(m ? [m] : []), ct], outputs };
}
const cases = (): Case[] =>
  [
    { queries: 20, keys: 24, depth: 16, width: 32, isCausal: true },
    { queries: 17, keys: 70, depth: 32, mask: true as const },
  ].map(attention);
/** Kernels of templates, in order. */
const claimed = (c: Case): string[] =>
  lowerCase(c, undefined, target).groups.flatMap((g) => (g.group.template ? [g.group.template.name] : []));

test("attention in tf32 stays on matrix units, and in f32 does not", { timeout: 300_000 }, () => {
  expect(cases().flatMap(claimed)).not.toContain("attention");
  setFloat32MatmulPrecision("high");
  const lowered = cases().map((c) => lowerCase(c, undefined, target));
  expect(cases().map(claimed)).toEqual([
    ["attention", "attentionBackward"],
    ["attention", "attentionBackward"],
  ]);
  setFloat32MatmulPrecision("highest");
  for (const k of lowered.flatMap((l) => l.groups.flatMap((g) => g.kernels))) verifyKernel(k, target);
  for (const { name, got, want } of runCases(lowered, interpretKernels))
    got.forEach((g, i) => {
      expect(errorOf(g, want[i]!), `${name} ${i}`).toBeLessThan(4e-3);
    });
});
