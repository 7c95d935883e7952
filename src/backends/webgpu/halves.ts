/// <reference types="@webgpu/types" />
/** How a device stores and loads f16: WGSL leaves open which neighbour a value becomes, and whether subnormals become zero. */
import { fromF16, toF16 } from "../../core/convert.js";
import { mapRead, usage } from "./flags.js";

/** What tells rounding modes and flushed subnormals apart. */
const probes = [
  1,
  1 + 2 ** -11,
  1 + 3 * 2 ** -11,
  1 + 2 ** -11 + 2 ** -20,
  -1 - 2 ** -11 - 2 ** -20,
  2 ** -24,
  -5 * 2 ** -26,
  1000 * 2 ** -24,
].concat([65504, 65519, 65520, -1e6, Number.POSITIVE_INFINITY, -0, 0.1, 1 / 3]);
const n = probes.length;
const source = `enable f16;
@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> halves: array<f16>;
@compute @workgroup_size(${n}) fn convert(@builtin(local_invocation_index) i: u32) {
  halves[i] = f16(x[i]);
  storageBarrier();
  x[${n}u + i] = f32(halves[i]);
}`;

/** Whether they are converted as IEEE 754 has it, to the nearest and to even. */
export async function convertsHalves(device: GPUDevice): Promise<boolean> {
  const shared = usage.storage | usage.copySource | usage.copyTarget;
  const [x, halves] = [4 * 2 * n, 2 * n].map((size) => device.createBuffer({ size, usage: shared }));
  const results = device.createBuffer({ size: x!.size + halves!.size, usage: usage.mapRead | usage.copyTarget });
  try {
    const module = device.createShaderModule({ code: source });
    const pipeline = await device.createComputePipelineAsync({ layout: "auto", compute: { module, entryPoint: "convert" } });
    device.queue.writeBuffer(x!, 0, Float32Array.from(probes));
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    const entries = [x!, halves!].map((buffer, binding) => ({ binding, resource: { buffer } }));
    pass.setBindGroup(0, device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
    pass.dispatchWorkgroups(1);
    pass.end();
    encoder.copyBufferToBuffer(x!, 0, results, 0, x!.size);
    encoder.copyBufferToBuffer(halves!, 0, results, x!.size, halves!.size);
    device.queue.submit([encoder.finish()]);
    await results.mapAsync(mapRead);
    const got = results.getMappedRange();
    const values = new Float32Array(got, 0, 2 * n);
    const bits = new Uint16Array(got, x!.size, n);
    return probes.every((p, i) => {
      const want = toF16(p);
      return bits[i] === want && Object.is(values[n + i], fromF16(want));
    });
  } finally {
    for (const b of [x!, halves!, results]) b.destroy();
  }
}
