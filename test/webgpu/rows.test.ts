/** Long rows on WebGPU, and on a GPU made of the CPU: the likeliest of a vocabulary, and everything in order, as choosing tokens needs them. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { closeDevices, compile, F, type Tensor, tensor } from "../../src/tensor/index.js";
import { useDevice } from "../support/devices.js";
import { buildFakeGpu } from "../support/fake-gpu/build.js";
import { withoutWebGpu } from "../support/webgpu.js";

const fake = buildFakeGpu();
const cache = mkdtempSync(join(tmpdir(), "treepie-test-"));
const folder = process.env["TREEPIE_CUDA_PATH"];
if (fake) Object.assign(process.env, { TREEPIE_CUDA_PATH: fake, TREEPIE_CACHE_DIR: cache, FAKE_GPU_MEMORY_MIB: "256" });
afterAll(async () => {
  await closeDevices();
  if (folder === undefined) delete process.env["TREEPIE_CUDA_PATH"];
  rmSync(cache, { recursive: true, force: true });
});
const why: Readonly<Record<string, string | undefined>> = {
  webgpu: await withoutWebGpu(),
  cuda: fake ? undefined : "there is no C++ compiler",
};
const values = (n: number): Float32Array => Float32Array.from({ length: n }, (_, i) => ((i * 7919) % 4001) - 2000);

describe.each(["webgpu", "cuda"])("%s", (name) => {
  test.skipIf(why[name])("the likeliest of 128,256, and the first NaN", { timeout: 120_000 }, async () => {
    useDevice(name);
    const row = values(128256);
    expect(await tensor(row).argmax(-1).item()).toBe(row.indexOf(2000));
    row[100_000] = row[99_999] = Number.NaN;
    expect(await tensor(row).to("bf16").argmin(-1).item()).toBe(99_999);
  });
  test.skipIf(why[name])("20,011 in descending order, NaN first, equal ones as they stood", { timeout: 120_000 }, async () => {
    useDevice(name);
    const row = values(20_011);
    row[17_000] = row[15_001] = Number.NaN;
    const sorted = F.sort(tensor(row), -1, { descending: true }) as { values: Tensor; indices: Tensor };
    const rank = (x: number): number => (Number.isNaN(x) ? Number.POSITIVE_INFINITY : x);
    const want = [...row.keys()].sort((a, b) => (rank(row[a]!) === rank(row[b]!) ? a - b : rank(row[b]!) - rank(row[a]!)));
    expect([...((await sorted.indices.data()) as BigInt64Array)].map(Number)).toEqual(want);
    expect([...((await sorted.values.data()) as Float32Array)]).toEqual(want.map((i) => row[i]));
  });
  test.skipIf(why[name])("running sums of 128,256, from both ends", { timeout: 120_000 }, async () => {
    useDevice(name);
    // Whole numbers: every order of additions gives the same.
    const row = Float32Array.from({ length: 128256 }, (_, i) => (i * 7919) % 5);
    const want = row.slice();
    for (let i = 1; i < want.length; i++) want[i]! += want[i - 1]!;
    const same = async (x: Tensor): Promise<boolean> => {
      const got = (await x.data()) as Float32Array;
      return got.length === want.length && got.every((v, i) => v === want[i]);
    };
    expect(await same(tensor(row).cumsum(0))).toBe(true);
    expect(await same(tensor(row.slice().reverse()).flip([0]).cumsum(0))).toBe(true);
  });
  test.skipIf(why[name])("the gradient of an embedding: rows that tokens share are added up", { timeout: 120_000 }, async () => {
    useDevice(name);
    const [rows, width] = [64, 32];
    const tokens = Array.from({ length: rows }, (_, i) => (i * i) % 23);
    const weight = tensor(new Float32Array(rows * width), [rows, width]).requiresGrad_();
    const factors = Float32Array.from({ length: rows * width }, (_, i) => (i * 7919) % 17);
    const step = compile((t: Tensor, f: Tensor): Tensor => {
      weight.grad = null;
      F.embedding(t, weight).mul(f).sum().backward();
      return weight.grad!;
    });
    const got = (await step(tensor(tokens, { dtype: "i64" }), tensor(factors, [rows, width])).data()) as Float32Array;
    const want = new Float32Array(rows * width);
    for (const [i, t] of tokens.entries()) for (let c = 0; c < width; c++) want[t * width + c]! += factors[i * width + c]!;
    expect([...got]).toEqual([...want]);
  });
});
