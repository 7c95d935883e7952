/** Training in bf16 with f32 master weights follows training in f32. */
import { beforeAll, expect, test } from "vitest";
import type { GPTConfig } from "../../src/models/gpt/index.js";
import { typescriptLibraries } from "../../src/train/corpus.js";
import { demoBatch, demoModel, demoSteps, trainDemo } from "../../src/train/demo.js";
import type { DemoDType } from "../../src/train/progress.js";
import { useDevice } from "../support/devices.js";

beforeAll(() => useDevice(""));

const stopAt = 200;
interface Sizes {
  readonly config: GPTConfig;
  readonly batch: number;
  readonly steps: number;
}
/** Losses of the first steps, as the demo tells them. */
async function curve({ config, batch, steps }: Sizes, dtype: DemoDType): Promise<readonly (readonly [number, number])[]> {
  const { model, progress } = await trainDemo({ corpus: typescriptLibraries(), config, batch, steps, stopAt, dtype, seed: 1 });
  for (const p of model.parameters()) expect(p.dtype).toBe("f32");
  return progress.curve;
}

const small: GPTConfig = { ...demoModel, width: 32, heads: 2, layers: 2, context: 32 };
const runs: readonly (readonly [string, Sizes])[] = [
  ["of a reduced demo", { config: small, batch: 4, steps: stopAt }],
  ...(process.env["TREEPIE_FULL"] ? ([["of the demo", { config: demoModel, batch: demoBatch, steps: demoSteps }]] as const) : []),
];
test.each(runs)(
  "the loss curve of bf16 stays within 2 percent of that of f32 over 200 steps %s",
  async (_, sizes) => {
    const [f32, bf16] = [await curve(sizes, "f32"), await curve(sizes, "bf16")];
    expect(f32.map(([step]) => step)).toEqual([1, ...Array.from({ length: stopAt / 5 }, (_, i) => 5 * (i + 1))]);
    expect(bf16).not.toEqual(f32);
    expect(f32.at(-1)![1]).toBeLessThan(0.6 * f32[0]![1]);
    const apart = f32.map(([, x], i) => Math.abs(bf16[i]![1] - x) / x);
    expect(Math.max(...apart)).toBeLessThan(0.02);
  },
  300_000,
);
