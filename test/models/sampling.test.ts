/** The rules of sampling, by what is drawn in many tries from a fixed seed. */
import { beforeAll, expect, test } from "vitest";
import { choose, rulesOf, type SamplingOptions } from "../../src/llm/index.js";
import { randomState, settingsTensor } from "../../src/llm/sampling.js";
import { compile, noGrad, type Tensor, tensor, zeros } from "../../src/tensor/index.js";
import { useDevice } from "../support/devices.js";

beforeAll(() => useDevice());

const logits = [1, 3, -1, 2, 0.5, -2, 2.5, 0];
const softmax = (x: readonly number[]): number[] => {
  const e = x.map((v) => Math.exp(v - Math.max(...x)));
  return e.map((v) => v / e.reduce((a, b) => a + b));
};
/** How often each token comes in `tries` draws. */
async function draws(options: SamplingOptions, tries: number, seen = zeros([logits.length])): Promise<number[]> {
  const { rules, numbers, seed } = rulesOf(options);
  const draw = compile((random: Tensor, x: Tensor, settings: Tensor) => choose(x, rules, settings, random, seen));
  const [x, settings] = [tensor(logits, { dtype: "f32" }), settingsTensor(numbers)];
  const counts = logits.map(() => 0);
  for (let i = 0; i < tries; i++) counts[Number(await noGrad(() => draw(randomState(seed, i), x, settings)).item())]!++;
  expect(draw.traces).toBe(1);
  return counts;
}
/** Chi-squared of counts against probabilities; what has probability 0 must not come. */
function misfit(counts: readonly number[], p: readonly number[]): number {
  const n = counts.reduce((a, b) => a + b);
  return counts.reduce((sum, c, i) => {
    if (p[i] === 0) expect(c, `token ${i}`).toBe(0);
    return p[i] === 0 ? sum : sum + (c - n * p[i]!) ** 2 / (n * p[i]!);
  }, 0);
}
const keep = (x: readonly number[], ok: (v: number, i: number) => boolean): number[] =>
  softmax(x.map((v, i) => (ok(v, i) ? v : Number.NEGATIVE_INFINITY)));

// 24.3 is exceeded by one in a thousand with 7 degrees of freedom.
test.each<[string, SamplingOptions, number[]]>([
  ["the model's own distribution", { temperature: 1 }, softmax(logits)],
  ["a lower temperature", { temperature: 0.5 }, softmax(logits.map((v) => v * 2))],
  ["the likeliest 3", { temperature: 1, topK: 3 }, keep(logits, (v) => v >= 2)],
  // 0.437 and 0.265 are together 0.70: the third is needed to reach 0.75.
  ["the likeliest that make 0.75", { temperature: 1, topP: 0.75 }, keep(logits, (v) => v >= 2)],
  ["the likeliest that make 0.5 of the likeliest 4", { temperature: 1, topK: 4, topP: 0.5 }, keep(logits, (v) => v >= 2.5)],
  ["those of a fifth of the likeliest", { temperature: 1, minP: 0.2 }, keep(logits, (v) => v >= 3 + Math.log(0.2))],
])("draws from %s", async (_, options, p) => {
  expect(misfit(await draws({ ...options, seed: 7 }, 400), p)).toBeLessThan(24.3);
});

test("what was there is less likely with a penalty", async () => {
  const seen = tensor([0, 1, 0, 0, 0, 0, 1, 0], { dtype: "f32" });
  expect((await draws({ repetitionPenalty: 2 }, 1, seen))[3]).toBe(1);
  expect((await draws({}, 1, seen))[1]).toBe(1);
  const p = softmax(logits.map((v, i) => (i === 1 || i === 6 ? v / 2 : v)));
  expect(misfit(await draws({ temperature: 1, repetitionPenalty: 2, seed: 3 }, 400, seen), p)).toBeLessThan(24.3);
});
