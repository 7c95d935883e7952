/** Generation where programs and reads go through one queue: steps need nothing of the host, and tokens are read several at a time. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { Decoder } from "../../src/llm/decoder.js";
import { type GenerateOptions, type LanguageModel, loadModel } from "../../src/llm/index.js";
import { rulesOf } from "../../src/llm/sampling.js";
import { engineOf } from "../../src/tensor/device.js";
import { closeDevices, ready } from "../../src/tensor/index.js";
import { useDevice } from "../support/devices.js";
import { buildFakeGpu } from "../support/fake-gpu/build.js";
import { makeFolder } from "./folder.js";

const fake = buildFakeGpu();
const cache = mkdtempSync(join(tmpdir(), "treepie-test-"));
if (fake) Object.assign(process.env, { TREEPIE_CUDA_PATH: fake, TREEPIE_CACHE_DIR: cache });
beforeAll(() => useDevice());
afterAll(async () => {
  await closeDevices();
  rmSync(cache, { recursive: true, force: true });
});
async function tokensOf(m: LanguageModel, options: GenerateOptions): Promise<number[]> {
  const out: number[] = [];
  for await (const token of m.generateTokens([3, 1, 4], { stopTokens: [], ...options })) out.push(token);
  return out;
}

describe.skipIf(!fake)("a device with one queue", () => {
  test("has its tokens read in batches, and is told nothing between them", { timeout: 120_000 }, async () => {
    const folder = makeFolder("llama3");
    const [plain, queued] = await Promise.all(
      ["js", "cuda"].map((device) => loadModel(folder, { dtype: "f32", device, maxLength: 64 })) as [
        Promise<LanguageModel>,
        Promise<LanguageModel>,
      ],
    );
    const options = { temperature: 1.3, repetitionPenalty: 1.2, seed: 7 };
    const wanted = await tokensOf(plain, { ...options, maxTokens: 60 });
    expect(await tokensOf(queued, { ...options, maxTokens: 60 })).toEqual(wanted);
    // One that ends early leaves steps on the device, which the next must not notice.
    const stop = wanted[9]!;
    expect(await tokensOf(queued, { ...options, maxTokens: 60, stopTokens: [stop] })).toEqual(wanted.slice(0, wanted.indexOf(stop)));
    await ready("cuda");
    const device = engineOf("cuda").device!;
    const [write, read] = [vi.spyOn(device, "write"), vi.spyOn(device, "read")];
    const before = device.counters.submissions;
    const start = write.mock.calls.length;
    expect(await tokensOf(queued, { ...options, maxTokens: 60 })).toEqual(wanted);
    // The prompt, how long it is, the random state, and settings once for each program.
    expect(write.mock.calls.length - start).toBeLessThanOrEqual(5);
    expect(device.counters.submissions - before).toBe(60);
    const { rules, numbers, seed } = rulesOf(options);
    const decoder = new Decoder(queued.model, 64, "cuda");
    const run = await decoder.begin(numbers, rules, seed);
    const first = await decoder.start([3, 1, 4], run);
    read.mockClear();
    const batches = [decoder.steps(16, run), decoder.steps(5, run)];
    expect([first, ...(await Promise.all(batches))].flat()).toEqual(wanted.slice(0, 22));
    expect(read.mock.calls.length).toBe(2);
    decoder.dispose();
    write.mockRestore();
    read.mockRestore();
  });
});
