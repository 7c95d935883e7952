import { describe, expect, it } from "vitest";
import { corpusFolder, operators } from "./corpus.js";
import { check } from "./run.js";

/** Calls whose difference is known and right. */
const known: Readonly<Record<string, string>> = {
  "nn.functional.layer_norm #2": "rows of one element: the gradient is 0, PyTorch's is rounding noise",
  "logcumsumexp #0": "PyTorch's gradient in f32 is off by 7e-4 from its own in f64, ours is not",
  "logcumsumexp #1": "PyTorch's gradient in f32 is off by 7e-4 from its own in f64, ours is not",
};
/** Operators that have an entry must not lose it: fewer equal calls than this is a regression. */
const least = 900;

const folder = corpusFolder();
describe("recorded PyTorch calls", () => {
  if (!folder) {
    it.skip("skipped: the recorded calls are not on this machine (set TREEPIE_OPINFO to their folder)", () => {});
    return;
  }
  it("results and gradients equal PyTorch's wherever the operator exists", () => {
    const wrong: string[] = [];
    const skipped = new Map<string, number>();
    let same = 0;
    for (const op of operators(folder))
      op.samples.forEach((call, i) => {
        const outcome = check(op, call);
        if (outcome.kind === "same") same++;
        else if (outcome.kind === "skip") skipped.set(outcome.why, (skipped.get(outcome.why) ?? 0) + 1);
        else if (!known[`${op.name} #${i}`]) wrong.push(`${op.name} #${i}: ${outcome.why}`);
      });
    const reasons = [...skipped].sort((a, b) => b[1] - a[1]).map(([why, n]) => `${n} ${why}`);
    console.log(`${same} calls equal; skipped: ${reasons.join(", ")}`);
    expect(wrong).toEqual([]);
    expect(same).toBeGreaterThanOrEqual(least);
  });
});
