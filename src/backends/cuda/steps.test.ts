/** What a training step asks of the driver once it is under way, counted on a GPU made of the CPU. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test, vi } from "vitest";
import { useDevice } from "../../../test/support/devices.js";
import { buildFakeGpu } from "../../../test/support/fake-gpu/build.js";
import type { Tensor } from "../../tensor/index.js";

const calls = vi.hoisted(() => new Map<string, number>());
vi.mock("../../runtime/ffi.js", async (load) => {
  const real = await load<typeof import("../../runtime/ffi.js")>();
  return {
    ...real,
    ffi: () => {
      const f = real.ffi();
      return {
        ...f,
        load: (path: string | null) => {
          const lib = f.load(path);
          return {
            ...lib,
            func: (name: string, ...types: [never, never]) => {
              const native = lib.func(name, ...types);
              return Object.assign((...args: never[]) => {
                calls.set(name, (calls.get(name) ?? 0) + 1);
                return native(...args);
              }, native);
            },
          };
        },
      };
    },
  };
});
// What counts must be there before the driver is opened.
const { closeDevices, compile, manualSeed, randn, ready, synchronize } = await import("../../tensor/index.js");
const nn = await import("../../nn/index.js");
const optim = await import("../../optim/index.js");

const fake = buildFakeGpu();
const cache = mkdtempSync(join(tmpdir(), "treepie-test-"));
const folder = process.env["TREEPIE_CUDA_PATH"];
afterAll(async () => {
  await closeDevices();
  if (folder === undefined) delete process.env["TREEPIE_CUDA_PATH"];
  rmSync(cache, { recursive: true, force: true });
});

test.skipIf(!fake)("a step is three calls of the driver", { timeout: 120_000 }, async () => {
  Object.assign(process.env, { TREEPIE_CUDA_PATH: fake, TREEPIE_CACHE_DIR: cache, FAKE_GPU_MEMORY_MIB: "256" });
  useDevice("cuda");
  await ready();
  manualSeed(1);
  const model = new nn.Sequential(new nn.Linear(8, 8), new nn.ReLU(), new nn.Linear(8, 4));
  const optimizer = new optim.AdamW(model.parameters());
  const step = compile((x: Tensor): Tensor => {
    const loss = model.forward(x).square().mean();
    optimizer.zeroGrad();
    loss.backward();
    optimizer.step();
    return loss;
  });
  const x = randn([4, 8]);
  const steps = 40;
  const run = async (): Promise<void> => {
    for (let i = 0; i < steps; i++) step(x);
    await synchronize();
  };
  await run();
  calls.clear();
  await run();
  // The optimizer's numbers go in, the loss is somewhere else each time, and everything is one launch.
  const each = ["cuMemcpyHtoDAsync_v2", "cuGraphExecKernelNodeSetParams_v2", "cuGraphLaunch"];
  expect(each.map((name) => calls.get(name))).toEqual([steps, steps, steps]);
  // Whoever waits marks one point behind all of them, and looks at it.
  for (const name of each) calls.delete(name);
  expect([...calls.keys()].sort()).toEqual(["cuEventQuery", "cuEventRecord"]);
  expect(calls.get("cuEventRecord")).toBe(1);
});
