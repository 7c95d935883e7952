import { type DType, dtypes } from "../../core/dtype.js";
import { InternalError } from "../../core/errors.js";
import type { Backend, Codegen, Target } from "../../kernel/codegen.js";
import { openInterp } from "./device.js";

const key = { backend: "interp", arch: "any", features: [], format: 1 } as const;

/** No kernels: every node becomes a host step. */
const target: Target = {
  dtypes: new Set(Object.keys(dtypes) as DType[]),
  kernels: false,
  threads: 1,
  lanes: 1,
  vectors: "unrolled",
  registers: 16,
  caches: [32 << 10, 1 << 20],
  prefetch: 0,
  sharedBytes: 0,
  parallel: 1,
  units: [],
  maxBuffers: Number.MAX_SAFE_INTEGER,
  aliasing: true,
  maxGrid: Number.MAX_SAFE_INTEGER,
  maxBinding: Number.MAX_SAFE_INTEGER,
  atomics: new Set(),
  ieee: true,
};

const codegen: Codegen = {
  name: "interp",
  key,
  target,
  prelude: () => "",
  render: (kernel) => {
    throw new InternalError(`the interpreter has no kernels, and ${kernel.name} was to be rendered for it`);
  },
  claims: [],
};

/** The oracle: the reference implementation of every op, on the host. */
export const interp: Backend = {
  name: "interp",
  unavailable: () => undefined,
  codegen: () => codegen,
  open: (options) => openInterp(key, options),
};
