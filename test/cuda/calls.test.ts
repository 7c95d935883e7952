/** What a compiled call asks of a GPU (one made of the CPU) in steady state. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test, vi } from "vitest";
import { driver } from "../../src/backends/cuda/driver.js";
import { closeDevices, compile, nn, noGrad, ones, ready, setDefaultBackend, type Tensor, zeros } from "../../src/index.js";
import { ffi } from "../../src/runtime/ffi.js";
import { buildFakeGpu } from "../support/fake-gpu/build.js";

const fake = buildFakeGpu();
const cache = mkdtempSync(join(tmpdir(), "treepie-test-"));
afterAll(async () => {
  await closeDevices();
  rmSync(cache, { recursive: true, force: true });
});

test.skipIf(!fake)("a launch, a copy of the result, and an event that is asked for until it is there", async () => {
  Object.assign(process.env, { TREEPIE_CUDA_PATH: fake, TREEPIE_CACHE_DIR: cache });
  setDefaultBackend("cuda");
  await ready();
  const model = new nn.Sequential(new nn.LayerNorm(8), new nn.Linear(8, 8), new nn.Linear(8, 4));
  const cached = zeros([2, 4]).clone();
  const f = compile((x: Tensor) => {
    const y = model.forward(x);
    cached.copy_(y);
    return [y, y.argmax(-1).sum()];
  });
  const x = ones([2, 8]).clone();
  const call = async (): Promise<void> => {
    const [y, token] = noGrad(() => f(x)) as [Tensor, Tensor];
    await token.item();
    y.dispose();
  };
  for (let i = 0; i < 4; i++) await call();
  const [d, native] = [driver(), ffi()];
  const names: string[] = [];
  const [called, asked, views] = [vi.spyOn(d, "call"), vi.spyOn(d, "code"), vi.spyOn(native, "view")];
  await call();
  for (const spy of [called, asked]) names.push(...spy.mock.calls.map(([name]) => name));
  expect(names).toEqual(["cuGraphLaunch", "cuMemcpyDtoHAsync_v2", "cuEventRecord", "cuEventQuery", "cuEventQuery", "cuEventQuery"]);
  expect(views).not.toHaveBeenCalled();
});
