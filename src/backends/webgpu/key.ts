/** What generated WGSL needs: it is made for the limits that every WebGPU device has. */
import type { TargetKey } from "../../runtime/program.js";

export const webgpuKey: TargetKey = { backend: "webgpu", arch: "any", features: [], format: 1 };
