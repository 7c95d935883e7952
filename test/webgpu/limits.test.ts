/// <reference types="@webgpu/types" />
/** Whole programs for the limits that every WebGPU device has, checked by Dawn without a GPU. */
import { beforeAll, expect, test } from "vitest";
import { webgpuCodegen } from "../../src/backends/webgpu/codegen.js";
import { openWebGpu } from "../../src/backends/webgpu/device.js";
import { limitsFound } from "../../src/backends/webgpu/gpu.js";
import { codeKey, deviceKey, stepsOf } from "../../src/backends/webgpu/key.js";
import { compile } from "../../src/compile/index.js";
import { bytesOf } from "../../src/core/dtype.js";
import type { Graph } from "../../src/ir/graph.js";
import { templates } from "../../src/kernel/templates/index.js";
import { GPT } from "../../src/models/gpt/index.js";
import * as ops from "../../src/ops/index.js";
import { AdamW, clipGradNorm_ } from "../../src/optim/index.js";
import type { Device } from "../../src/runtime/device.js";
import { meets } from "../../src/runtime/key.js";
import { evaluate, randn, type Tensor, tensor, traceFunction } from "../../src/tensor/index.js";
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

test("AdamW's step of a parameter of 491 MB, in place, is launches over parts that the minimum limits bind", {
  timeout: 120_000,
}, (context) => {
  const missing = withoutDawn();
  if (missing) return context.skip(missing);
  const [p, g, m, v] = ["p", "g", "m", "v"].map((name) => ops.input({ shape: [120_000, 1024], dtype: "f32" }, name));
  const mean = ops.add(ops.mul(m!, 0.9), ops.mul(g!, 0.1));
  const square = ops.add(ops.mul(v!, 0.999), ops.mul(ops.mul(g!, g!), 0.001));
  const moved = ops.sub(ops.mul(p!, 0.9999), ops.mul(ops.div(mean, ops.add(ops.sqrt(square), 1e-8)), 1e-3));
  const updates = [
    { state: p!, value: moved },
    { state: m!, value: mean },
    { state: v!, value: square },
  ];
  const program = compile({ inputs: [g!], state: [p!, m!, v!], outputs: [], updates }, webgpuCodegen({}, templates), { name: "adamw" });
  // Four chunks each. Two arrays have as many as there are bindings; three are two chunks of each at a time.
  const bound = program.steps.map((x) => (x.kind === "launch" ? program.kernels[x.kernel]!.chunks?.of : x.kind));
  expect(bound).toEqual([
    [4, 4],
    [4, 4],
    [2, 2, 2],
    [2, 2, 2],
    [4, 4],
  ]);
  const found = compileWgsl(program.kernels.map((k) => ({ source: k.source as string, entry: k.entry })));
  for (const [i, problem] of found.entries()) expect(problem, program.kernels[i]!.entry).toBe("");
});

/** Dawn without a GPU, held to the limits that every device has. */
async function openMinimum(): Promise<Device> {
  process.env["TREEPIE_DAWN"] = "backend=null";
  const { globals } = (await import("webgpu")) as unknown as { globals: { GPUAdapter: { prototype: GPUAdapter } } };
  const { prototype } = globals.GPUAdapter;
  const { requestDevice } = prototype;
  prototype.requestDevice = function (this: GPUAdapter) {
    return requestDevice.call(this, {});
  };
  const device = await openWebGpu().finally(() => {
    prototype.requestDevice = requestDevice;
  });
  expect(limitsFound()).toMatchObject({ maxStorageBuffersPerShaderStage: 8, maxStorageBufferBindingSize: 128 << 20 });
  return device;
}

test("random numbers beyond a binding are made in chunks", { timeout: 120_000 }, async (context) => {
  const missing = withoutDawn();
  if (missing) return context.skip(missing);
  const device = await openMinimum();
  await device.close();
  // What is missing is memory, of which Dawn has 256 MiB without a GPU, and not a binding.
  await expect(evaluate(randn([50_257, 768], { device: "webgpu" }))).rejects.toThrow(/no memory for a buffer/);
});

const width = 2048;
/** A token's last norm, the head that is the embedding too, and the next token with its embedding. */
function lastLayer(vocabulary: number): Graph {
  const [x, w] = [ops.input({ shape: [1, width], dtype: "bf16" }, "x"), ops.input({ shape: [vocabulary, width], dtype: "bf16" }, "w")];
  const scores = ops.matmul(ops.rmsNorm(x, [width]), ops.transpose(w, 0, 1));
  const next = ops.argmax(scores, 1);
  return { inputs: [x, w], state: [], outputs: [next, ops.embedding(next, w)], updates: [] };
}

test("a head of 525 MB is planned in chunks that the minimum limits bind", { timeout: 120_000 }, async (context) => {
  const missing = withoutDawn();
  if (missing) return context.skip(missing);
  const p = compile(lastLayer(128_256), webgpuCodegen({}, templates), { name: "head", verify: true });
  expect(p.steps.filter((s) => s.kind === "host")).toEqual([]);
  const chunked = p.kernels.filter((k) => k.chunks);
  expect(chunked.map((k) => [k.chunks!.bytes, Math.max(...k.chunks!.of)])).toEqual(chunked.map(() => [128 << 20, 4]));
  expect(chunked.length).toBeGreaterThanOrEqual(2);
  const found = compileWgsl(p.kernels.map((k) => ({ source: k.source as string, entry: k.entry })));
  for (const [i, problem] of found.entries()) expect(problem, p.kernels[i]!.entry).toBe("");
});

test("such a head binds what a device of the minimum limits has; one that finds no memory says how much", {
  timeout: 120_000,
}, async (context) => {
  const missing = withoutDawn();
  if (missing) return context.skip(missing);
  // Without a GPU nothing is computed, but everything that is bound is checked. Dawn then gives 512 MiB in all.
  const device = await openMinimum();
  const run = async (vocabulary: number): Promise<void> => {
    const p = compile(lastLayer(vocabulary), webgpuCodegen({}, templates), { name: "head" });
    const loaded = await device.load(p);
    const buffers = p.buffers.map((b) => (b.role === "temp" ? undefined : device.alloc((b.size as number) * bytesOf(b.dtype))));
    expect(Math.max(...buffers.map((b) => b?.bytes ?? 0))).toBe(2 * vocabulary * width);
    await device.submit(loaded, { buffers, dims: [] }).finally(() => {
      for (const b of buffers) if (b) device.free(b);
      loaded.unload();
    });
  };
  await run(100_000);
  await expect(run(140_000)).rejects.toThrow(/has no memory for a buffer of \d+ bytes/);
  await device.close();
});

test("code for more asks for it by name, and devices meet what lies below them", () => {
  const adapter = {
    maxComputeInvocationsPerWorkgroup: 1024,
    maxComputeWorkgroupStorageSize: 40000,
    maxStorageBuffersPerShaderStage: 12,
    maxStorageBufferBindingSize: 2 ** 30,
    subgroup: 32,
    f16: true,
    matrices: true,
  } as const;
  const code = stepsOf(adapter);
  expect(code).toEqual({ ...adapter, maxComputeWorkgroupStorageSize: 32768, maxStorageBuffersPerShaderStage: 10 });
  expect(webgpuCodegen(adapter).target).toMatchObject({ threads: 1024, sharedBytes: 32768, maxBuffers: 10, maxBinding: 2 ** 30, warp: 32 });
  expect(meets(deviceKey(adapter), codeKey(code))).toBe(true);
  expect(meets(deviceKey({ ...adapter, maxComputeInvocationsPerWorkgroup: 512 }), codeKey(code))).toBe(false);
  expect(meets(deviceKey({ ...adapter, subgroup: 64 }), codeKey(code))).toBe(false);
  const { f16: _, matrices: __, ...without } = adapter;
  expect(meets(deviceKey(without), codeKey(code))).toBe(false);
  expect(meets(deviceKey(adapter), codeKey(stepsOf(without)))).toBe(true);
  expect([adapter, without].map((a) => webgpuCodegen(a).target.packed?.has("f16"))).toEqual([false, true]);
  expect([adapter, without].map((a) => webgpuCodegen(a).target.units.length)).toEqual([1, 0]);
  expect(meets(deviceKey({ ...without, f16: true }), codeKey(code))).toBe(false);
  expect(meets(deviceKey({}), codeKey(stepsOf({ maxComputeInvocationsPerWorkgroup: 256 })))).toBe(true);
});
