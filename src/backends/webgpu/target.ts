/** What WGSL is generated for: the limits that every WebGPU device has, or more where a device says so. */
import type { DType } from "../../core/dtype.js";
import type { Target } from "../../kernel/codegen.js";
import { subgroupMatrix } from "../../kernel/units.js";
import type { WebGpuLimits } from "./key.js";

/** Most types narrower than 32 bits are packed in words, 64-bit integers are two words; f64 does not exist. */
const dtypes: ReadonlySet<DType> = new Set<DType>(["bool", "u8", "u16", "u32", "u64", "i8", "i16", "i32", "i64", "f16", "bf16", "f32"]);

/** What WGSL has no element of. */
const packed: ReadonlySet<DType> = new Set<DType>(["bool", "u8", "i8", "u16", "i16", "f16", "bf16"]);
const packedBesideHalves: ReadonlySet<DType> = new Set([...packed].filter((dtype) => dtype !== "f16"));

/** Bytes that one buffer may have on every device. */
const leastBuffer = 256 << 20;

/** The Target of a WebGPU device. */
export function webgpuTarget(limits: WebGpuLimits = {}): Target {
  // How many cores there are WebGPU does not say: devices with large workgroups have many.
  const threads = limits.maxComputeInvocationsPerWorkgroup ?? 256;
  const maxBinding = limits.maxStorageBufferBindingSize ?? 128 << 20;
  return {
    dtypes,
    kernels: true,
    threads,
    // Templates count on warps of this size.
    ...(limits.subgroup === 32 && { warp: 32 }),
    lanes: 4,
    vectors: "unrolled",
    registers: 64,
    caches: [],
    prefetch: 0,
    sharedBytes: limits.maxComputeWorkgroupStorageSize ?? 16384,
    parallel: threads < 1024 ? 64 : 128,
    units: limits.matrices && limits.f16 && limits.subgroup === subgroupMatrix.lanes ? [subgroupMatrix] : [],
    maxBuffers: limits.maxStorageBuffersPerShaderStage ?? 8,
    aliasing: false,
    maxGrid: 65535 * 32767,
    maxBinding,
    pieceBytes: Math.max(leastBuffer, 2 ** Math.ceil(Math.log2(maxBinding))),
    alignment: 256,
    wholeVectors: true,
    packed: limits.f16 ? packedBesideHalves : packed,
    atomics: new Set<DType>(["u32", "i32", "f32"]),
    ieee: false,
  };
}
