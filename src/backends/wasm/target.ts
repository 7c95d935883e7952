/** What generated WebAssembly can do. */
import { isHalf, realDTypes } from "../../core/dtype.js";
import type { Target } from "../../kernel/codegen.js";

/** Vectors of four f32, sixteen of them, and a memory of 4 GiB. */
export function wasmTarget(threads: number): Target {
  return {
    dtypes: realDTypes,
    kernels: true,
    threads: 1,
    lanes: 4,
    vectors: "native",
    registers: 16,
    caches: [32 << 10, 1 << 20],
    prefetch: 0,
    sharedBytes: 64 << 20,
    parallel: threads,
    units: [],
    maxBuffers: Number.POSITIVE_INFINITY,
    aliasing: true,
    maxGrid: 2 ** 31 - 1,
    maxBinding: 2 ** 32 - 65536,
    storeBytes: 1,
    atomics: new Set([...realDTypes].filter((t) => !isHalf(t))),
    ieee: true,
  };
}
