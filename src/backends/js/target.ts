/** What generated JavaScript can do. */
import { realDTypes } from "../../core/dtype.js";
import type { Target } from "../../kernel/codegen.js";

/** One thread, no vectors; everything else as on a CPU. */
export const jsTarget: Target = {
  dtypes: realDTypes,
  kernels: true,
  threads: 1,
  lanes: 1,
  vectors: "unrolled",
  registers: 16,
  caches: [32 << 10, 1 << 20],
  prefetch: 0,
  sharedBytes: 64 << 20,
  parallel: 1,
  units: [],
  maxBuffers: Number.POSITIVE_INFINITY,
  aliasing: true,
  maxGrid: Number.MAX_SAFE_INTEGER,
  maxBinding: Number.MAX_SAFE_INTEGER,
  atomics: realDTypes,
  ieee: true,
};
