import type { TargetKey } from "../../runtime/program.js";

/** Changes when the way that kernels are called changes. */
const format = 1;
/** What kernels need of an engine. */
export const wasmKey = (relaxed: boolean): TargetKey => ({
  backend: "wasm",
  arch: "wasm32",
  features: relaxed ? ["relaxed-simd"] : [],
  format,
});
