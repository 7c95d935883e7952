/** What generated WGSL needs of a device: nothing but what every WebGPU device has, or named steps above it. */
import type { TargetKey } from "../../runtime/program.js";

/** Limits of a device by their names in WebGPU; what is absent is the specification's minimum. */
export interface WebGpuLimits {
  readonly maxComputeInvocationsPerWorkgroup?: number;
  readonly maxComputeWorkgroupStorageSize?: number;
  readonly maxStorageBuffersPerShaderStage?: number;
  readonly maxStorageBufferBindingSize?: number;
  /** Threads of a subgroup, where all subgroups are equal and may be used. */
  readonly subgroup?: number;
  /** Whether f16 is an element of memory, and converted as IEEE 754 has it. */
  readonly f16?: true;
  /** Whether subgroups multiply matrices of 16 by 16, f16 into f32. */
  readonly matrices?: true;
}
type Limit = Exclude<keyof WebGpuLimits, "subgroup" | "f16" | "matrices">;

/** Steps above the minimum that code is made for. */
const steps: Readonly<Record<Limit, { readonly name: string; readonly values: readonly number[] }>> = {
  maxComputeInvocationsPerWorkgroup: { name: "threads", values: [512, 1024] },
  maxComputeWorkgroupStorageSize: { name: "workgroup", values: [32768, 49152, 65536] },
  maxStorageBuffersPerShaderStage: { name: "buffers", values: [10, 16] },
  maxStorageBufferBindingSize: { name: "binding", values: [2 ** 28, 2 ** 29, 2 ** 30, 2 ** 31 - 4, 2 ** 32 - 4] },
};
const limits = Object.keys(steps) as readonly Limit[];

/** The highest steps that a device reaches. */
export function stepsOf(device: WebGpuLimits): WebGpuLimits {
  const reached = limits.map((l) => [l, steps[l].values.findLast((v) => v <= (device[l] ?? 0))] as const);
  return {
    ...Object.fromEntries(reached.filter(([, v]) => v !== undefined)),
    ...(device.subgroup && { subgroup: device.subgroup }),
    ...(device.f16 && { f16: true }),
    ...(device.matrices && { matrices: true }),
  };
}
const extensions = ({ subgroup, f16, matrices }: WebGpuLimits): readonly string[] => [
  ...(subgroup ? [`subgroup${subgroup}`] : []),
  ...(f16 ? ["f16"] : []),
  ...(matrices ? ["matrices"] : []),
];

/** What code for these steps asks for. */
export const codeKey = (code: WebGpuLimits): TargetKey => ({
  ...webgpuKey,
  features: [...limits.filter((l) => code[l]).map((l) => `${steps[l].name}${code[l]}`), ...extensions(code)],
});
/** What a device has: every step up to its limits. */
export const deviceKey = (device: WebGpuLimits): TargetKey => ({
  ...webgpuKey,
  features: [
    ...limits.flatMap((l) => steps[l].values.filter((v) => v <= (device[l] ?? 0)).map((v) => `${steps[l].name}${v}`)),
    ...extensions(device),
  ],
});
/** Code for the limits that every WebGPU device has. */
export const webgpuKey: TargetKey = { backend: "webgpu", arch: "any", features: [], format: 1 };
