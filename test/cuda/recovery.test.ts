/** Training on a GPU (one made of the CPU) that has too little memory for a batch, and on one that is lost. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  compile,
  DeviceError,
  manualSeed,
  memory,
  nn,
  OutOfMemoryError,
  optim,
  rand,
  ready,
  setDefaultBackend,
  type Tensor,
} from "../../src/index.js";
import { buildFakeGpu } from "../support/fake-gpu/build.js";

const fake = buildFakeGpu();
const cache = mkdtempSync(join(tmpdir(), "treepie-test-"));
beforeAll(async () => {
  if (!fake) return;
  Object.assign(process.env, { TREEPIE_CUDA_PATH: fake, TREEPIE_CACHE_DIR: cache, FAKE_GPU_MEMORY_MIB: "256" });
  setDefaultBackend("cuda");
  await ready();
});
afterAll(() => {
  delete process.env["FAKE_GPU_LOST"];
  rmSync(cache, { recursive: true, force: true });
});

/** A training step of a small perceptron, for batches of any size. */
function perceptron(): { readonly step: (x: Tensor) => Tensor; readonly weight: Tensor } {
  manualSeed(5);
  const [first, last] = [new nn.Linear(6, 2048), new nn.Linear(2048, 1)];
  const optimizer = new optim.SGD([...first.parameters(), ...last.parameters()], { lr: 1e-3 });
  const step = compile((x: Tensor): Tensor => {
    const loss = last.forward(first.forward(x).tanh()).square().mean();
    optimizer.zeroGrad();
    loss.backward();
    optimizer.step();
    return loss.detach();
  });
  return { step, weight: last.weight };
}

test.skipIf(!fake)("a batch that does not fit is refused with what was asked and what is free; a smaller one goes on", async () => {
  const { step, weight } = perceptron();
  const before = Number(await step(rand([16, 6])).item());
  const held = memory.report().devices.find((d) => d.device === "cuda")!.bytes;
  const weights = Array.from((await weight.data()) as Float32Array);
  // Activations of 60,000 x 2,048 values are 469 MiB.
  const error = await step(rand([60_000, 6]))
    .item()
    .then(
      () => undefined,
      (e: unknown) => e,
    );
  expect(error).toBeInstanceOf(OutOfMemoryError);
  expect((error as Error).message).toMatch(
    /has no memory for .* of \d+(\.\d)? MiB: .* are held .*the limit is 256 MiB, the system reports .* free\. Smaller batches/,
  );
  // The step that could not run has changed nothing.
  expect(Array.from((await weight.data()) as Float32Array)).toEqual(weights);
  let after = before;
  for (let i = 0; i < 5; i++) after = Number(await step(rand([16, 6])).item());
  expect(after).toBeGreaterThan(0);
  expect(after).toBeLessThan(before);
  await memory.collect();
  expect(memory.report().devices.find((d) => d.device === "cuda")!.bytes).toBeLessThan(held + (1 << 20));
});

test.skipIf(!fake)("a lost GPU rejects what runs and what comes after, at once", async () => {
  const { step } = perceptron();
  const x = rand([16, 6]);
  await step(x).item();
  process.env["FAKE_GPU_LOST"] = "1";
  const lost = step(x).item();
  await expect(lost).rejects.toThrow(DeviceError);
  await expect(step(x).item()).rejects.toThrow(DeviceError);
  await expect(rand([3]).data()).rejects.toThrow(DeviceError);
  expect(() => rand([3]).dataSync()).toThrow(DeviceError);
});
