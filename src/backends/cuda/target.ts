/** What CUDA code is generated for, as data. */
import { type DType, realDTypes } from "../../core/dtype.js";
import type { Target } from "../../kernel/codegen.js";
import type { MatrixUnit } from "../../kernel/kernel.js";
import { held, mmaSync, mmaSyncF16, mmaSyncTf32, turned, wgmma } from "../../kernel/units.js";

/** A GPU as the CUDA printer needs to know it. */
export interface CudaTarget {
  /** Compute capability times ten: 80, 90. */
  readonly sm: number;
  /** Streaming multiprocessors. */
  readonly multiprocessors?: number;
  /** Bytes of shared memory that a block may ask for. */
  readonly sharedBytes?: number;
  /** cuBLASLt may multiply. */
  readonly products?: true;
  /** cuDNN may compute attention. */
  readonly attention?: true;
}

const units = (sm: number): readonly MatrixUnit[] => [
  ...(sm === 90
    ? (["bf16", "f16"] as const).flatMap((d) => [
        ...[256, 128, 64].map((n) => wgmma(n, d)),
        turned(wgmma(64, d)),
        held(wgmma(128, d)),
        turned(held(wgmma(64, d))),
      ])
    : []),
  ...(sm >= 80 ? [mmaSync, mmaSyncF16, mmaSyncTf32] : []),
];

/** The Target of a GPU. */
export function cudaTarget(gpu: CudaTarget): Target {
  return {
    dtypes: realDTypes,
    kernels: true,
    threads: 1024,
    warp: 32,
    lanes: 4,
    vectors: "unrolled",
    registers: 255,
    caches: [],
    prefetch: 0,
    ...(gpu.sm >= 90 && { ahead: { own: 1 << 20, next: 2 << 20 }, early: true }),
    sharedBytes: gpu.sharedBytes ?? (gpu.sm >= 90 ? 227 << 10 : 99 << 10),
    parallel: (gpu.multiprocessors ?? 108) * 2,
    units: units(gpu.sm),
    rowBytes: 16,
    maxBuffers: 200,
    aliasing: true,
    maxGrid: 2 ** 31 - 1,
    maxBinding: Number.MAX_SAFE_INTEGER,
    atomics: new Set<DType>(["u32", "i32", "u64", "i64", "f32", "f64"]),
    ieee: true,
    // On other GPUs nothing says that derivatives are the same each time.
    ...(gpu.attention && gpu.sm === 90 && { attention: { library: "cudnn", alignment: 16, leastOperations: 1e8 } as const }),
    ...(gpu.products && { products: { library: "cublaslt", dtypes: new Set<DType>(["bf16", "f16", "f32"]), alignment: 16, gelu: true } }),
  };
}
