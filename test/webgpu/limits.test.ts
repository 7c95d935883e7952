/** Whole programs for the limits that every WebGPU device has, checked by Dawn without a GPU. */
import { beforeAll, expect, test } from "vitest";
import { webgpuCodegen } from "../../src/backends/webgpu/codegen.js";
import { codeKey, deviceKey, stepsOf } from "../../src/backends/webgpu/key.js";
import { compile } from "../../src/compile/index.js";
import { templates } from "../../src/kernel/templates/index.js";
import { GPT } from "../../src/models/gpt/index.js";
import { AdamW, clipGradNorm_ } from "../../src/optim/index.js";
import { meets } from "../../src/runtime/key.js";
import { type Tensor, tensor, traceFunction } from "../../src/tensor/index.js";
import { useDevice } from "../support/devices.js";
import { compileWgsl, withoutDawn } from "../support/wgsl.js";

beforeAll(() => useDevice("js"));

/** A training step of a GPT: products, attention, norms, sums over columns, scatters, reductions of all parameters. */
function trainingStep(): ReturnType<typeof traceFunction>["recording"]["graph"] {
  const model = new GPT({ vocabulary: 300, width: 64, heads: 2, layers: 2, context: 96 });
  const params = model.parameters();
  const optimizer = new AdamW(params);
  const tokens = tensor(new Uint8Array(2 * 96), [2, 96], { dtype: "i64" });
  const step = (x: Tensor, y: Tensor): Tensor => {
    const loss = model.loss(x, y);
    optimizer.zeroGrad();
    loss.backward();
    clipGradNorm_(params, 1);
    optimizer.step();
    return loss.detach();
  };
  return traceFunction(step, [tokens, tokens]).recording.graph;
}

test("a training step keeps to the minimum limits, without host steps", { timeout: 120_000 }, (context) => {
  const missing = withoutDawn();
  if (missing) return context.skip(missing);
  const codegen = webgpuCodegen({}, templates);
  const p = compile(trainingStep(), codegen, { name: "step", verify: true });
  expect(p.key.features).toEqual([]);
  expect(p.steps.filter((s) => s.kind === "host")).toEqual([]);
  for (const k of p.kernels) {
    expect(k.writes.length).toBeLessThanOrEqual(8);
    expect(k.threads).toBeLessThanOrEqual(256);
    expect(k.sharedBytes).toBeLessThanOrEqual(16384);
  }
  const found = compileWgsl(p.kernels.map((k) => ({ source: k.source as string, entry: k.entry })));
  for (const [i, problem] of found.entries()) expect(problem, p.kernels[i]!.entry).toBe("");
});

test("code for more asks for it by name, and devices meet what lies below them", () => {
  const adapter = {
    maxComputeInvocationsPerWorkgroup: 1024,
    maxComputeWorkgroupStorageSize: 40000,
    maxStorageBuffersPerShaderStage: 12,
    maxStorageBufferBindingSize: 2 ** 30,
    subgroup: 32,
  };
  const code = stepsOf(adapter);
  expect(code).toEqual({ ...adapter, maxComputeWorkgroupStorageSize: 32768, maxStorageBuffersPerShaderStage: 10 });
  expect(webgpuCodegen(adapter).target).toMatchObject({ threads: 1024, sharedBytes: 32768, maxBuffers: 10, maxBinding: 2 ** 30, warp: 32 });
  expect(meets(deviceKey(adapter), codeKey(code))).toBe(true);
  expect(meets(deviceKey({ ...adapter, maxComputeInvocationsPerWorkgroup: 512 }), codeKey(code))).toBe(false);
  expect(meets(deviceKey({ ...adapter, subgroup: 64 }), codeKey(code))).toBe(false);
  expect(meets(deviceKey({}), codeKey(stepsOf({ maxComputeInvocationsPerWorkgroup: 256 })))).toBe(true);
});
