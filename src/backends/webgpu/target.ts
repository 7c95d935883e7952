/** What WGSL is generated for: the limits that every WebGPU device has, or more where a device says so. */
import type { DType } from "../../core/dtype.js";
import type { Target } from "../../kernel/codegen.js";

/** Limits of a device by their names in WebGPU; what is absent is the specification's minimum. */
export interface WebGpuLimits {
  readonly maxComputeInvocationsPerWorkgroup?: number;
  readonly maxComputeWorkgroupStorageSize?: number;
  readonly maxStorageBuffersPerShaderStage?: number;
  readonly maxStorageBufferBindingSize?: number;
}
/** 64-bit types do not exist in WGSL. Types narrower than 32 bits are packed in words. */
const dtypes: ReadonlySet<DType> = new Set<DType>(["bool", "u8", "u16", "u32", "i8", "i16", "i32", "f16", "bf16", "f32"]);

/** The Target of a WebGPU device. */
export function webgpuTarget(limits: WebGpuLimits = {}): Target {
  return {
    dtypes,
    kernels: true,
    threads: limits.maxComputeInvocationsPerWorkgroup ?? 256,
    lanes: 4,
    vectors: "unrolled",
    registers: 64,
    caches: [],
    prefetch: 0,
    sharedBytes: limits.maxComputeWorkgroupStorageSize ?? 16384,
    parallel: 64,
    units: [],
    maxBuffers: limits.maxStorageBuffersPerShaderStage ?? 8,
    aliasing: false,
    maxGrid: 65535 * 32767,
    maxBinding: limits.maxStorageBufferBindingSize ?? 128 << 20,
    alignment: 256,
    storeBytes: 4,
    atomics: new Set<DType>(["u32", "i32", "f32"]),
    ieee: false,
  };
}
