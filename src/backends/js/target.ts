/** What generated JavaScript can do. */
import type { DType } from "../../core/dtype.js";
import type { Target } from "../../kernel/codegen.js";

const dtypes: ReadonlySet<DType> = new Set<DType>([
  "bool",
  "u8",
  "u16",
  "u32",
  "u64",
  "i8",
  "i16",
  "i32",
  "i64",
  "f16",
  "bf16",
  "f32",
  "f64",
]);

/** One thread, no vectors; everything else as on a CPU. */
export const jsTarget: Target = {
  dtypes,
  kernels: true,
  threads: 1,
  lanes: 1,
  vectors: "unrolled",
  registers: 16,
  caches: [32 << 10, 1 << 20],
  sharedBytes: 64 << 20,
  parallel: 1,
  units: [],
  maxBuffers: Number.POSITIVE_INFINITY,
  aliasing: true,
  maxGrid: Number.MAX_SAFE_INTEGER,
  maxBinding: Number.MAX_SAFE_INTEGER,
  storeBytes: 1,
  atomics: dtypes,
  ieee: true,
};
