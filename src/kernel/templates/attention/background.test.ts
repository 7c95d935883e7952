/** Attention on units that work in the background, run by the kernel interpreter: what a GPU of sm_90 computes. */
import { expect, test } from "vitest";
import { type Case, errorOf, interpretKernels, lowerCase, runCases, tolerance } from "../../../../test/support/groups.js";
import { cudaTarget } from "../../../backends/cuda/target.js";
import type { Node } from "../../../ir/node.js";
import { picks } from "../../../ir/pick.js";
import { input, scaledDotProductAttention } from "../../../ops/index.js";
import { verifyKernel } from "../../verify.js";
import { eachStmt } from "../../walk.js";
import { attentionTemplate } from "./index.js";

const target = cudaTarget({ sm: 90, multiprocessors: 1 });
function attention(queries: number, keys: number, isCausal: boolean, dtype: "bf16" | "f16", heads: number, size = 64): Case {
  const of = (heads: number, rows: number): Node => input({ shape: [1, heads, rows, size], dtype });
  const [q, k, v] = [of(heads, queries), of(1, keys), of(1, keys)];
  const y = scaledDotProductAttention(q, k, v, null, { isCausal, enableGqa: true }).inputs[0]!;
  return { name: `${queries} x ${keys}${isCausal ? " causal" : ""} ${dtype}`, inputs: [q, k, v], outputs: picks(y) };
}

test("long prompts: tiles arrive in the background, also where the last queries and keys fill none", { timeout: 300_000 }, () => {
  const lowered = [
    attention(512, 560, false, "f16", 1),
    attention(560, 560, true, "bf16", 2),
    attention(512, 512, true, "f16", 1, 128),
  ].map((c) => lowerCase(c, [attentionTemplate], target));
  for (const { groups } of lowered)
    for (const k of groups.flatMap((g) => g.kernels)) {
      verifyKernel(k, target);
      const units = new Set<string>();
      eachStmt(k.body, (s) => {
        if (s.kind === "mma") units.add(`${s.unit.name} ${s.unit.n}${s.unit.turned ? " turned" : ""}`);
      });
      expect([...units]).toEqual(["wgmma 128", "wgmma 64 turned"]);
    }
  for (const { name, got, want, dtypes } of runCases(lowered, interpretKernels))
    got.forEach((g, i) => {
      expect(errorOf(g, want[i]!), `${name} ${i}`).toBeLessThanOrEqual(tolerance(dtypes[i]!));
    });
});
