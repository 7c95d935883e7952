/** What generated WebAssembly can do. */
import { isHalf, realDTypes } from "../../core/dtype.js";
import type { Target } from "../../kernel/codegen.js";

/**
 * Vectors of four f32 and a memory of 4 GiB. Engines on x86-64 have sixteen registers, keep one for themselves and put a block's loads
 * before its arithmetic: a product of 4 x 2 vectors just fits, one of 6 x 2, or two steps in one turn, runs at half the speed.
 */
export function wasmTarget(threads: number): Target {
  return {
    dtypes: realDTypes,
    kernels: true,
    threads: 1,
    lanes: 4,
    vectors: "native",
    registers: 15,
    loadsFirst: true,
    caches: [32 << 10, 1 << 20],
    prefetch: 0,
    sharedBytes: 64 << 20,
    parallel: threads,
    units: [],
    maxBuffers: Number.POSITIVE_INFINITY,
    aliasing: true,
    maxGrid: 2 ** 31 - 1,
    maxBinding: 2 ** 32 - 65536,
    atomics: new Set([...realDTypes].filter((t) => !isHalf(t))),
    ieee: true,
  };
}
