import { bytesOf, type DType, dtypes } from "../../core/dtype.js";
import { add, mul } from "../../core/expr.js";
import type { Backend, Codegen, Target } from "../../kernel/codegen.js";
import { openNull } from "./device.js";

const key = { backend: "null", arch: "any", features: [], format: 1 } as const;

/** A plain 8-lane CPU. */
const target: Target = {
  dtypes: new Set(Object.keys(dtypes) as DType[]),
  kernels: true,
  threads: 1,
  lanes: 8,
  vectors: "native",
  registers: 16,
  caches: [32 << 10, 1 << 20],
  prefetch: 0,
  sharedBytes: 1 << 20,
  parallel: 4,
  units: [],
  maxBuffers: Number.MAX_SAFE_INTEGER,
  aliasing: true,
  maxGrid: Number.MAX_SAFE_INTEGER,
  maxBinding: Number.MAX_SAFE_INTEGER,
  atomics: new Set(["i32", "u32", "f32"]),
  ieee: true,
};

const codegen: Codegen = {
  name: "null",
  key,
  target,
  prelude: () => "",
  render: (kernel) => ({
    entry: kernel.name,
    source: "",
    threads: kernel.threads,
    sharedBytes: add(0, ...kernel.buffers.filter((b) => b.space === "shared").map((b) => mul(b.size, bytesOf(b.dtype)))),
    writes: kernel.buffers.filter((b) => b.space === "global").map((b) => b.writes ?? false),
  }),
  claims: [],
};

/** Schedules without a device, to test what the compiler decides. */
export const nullBackend: Backend = {
  name: "null",
  unavailable: () => undefined,
  codegen: () => codegen,
  open: (options) => openNull(key, options),
};
