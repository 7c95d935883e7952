/** The backends of the full package. Each is imported when it is first used, so that `import "treepie"` loads no native code. */
import type { Backend } from "./kernel/codegen.js";

export const backends: Readonly<Record<string, () => Promise<Backend>>> = {
  c: async () => (await import("./backends/c/index.js")).c,
  cuda: async () => (await import("./backends/cuda/index.js")).cuda,
  webgpu: async () => (await import("./backends/webgpu/index.js")).webgpu,
  wasm: async () => (await import("./backends/wasm/index.js")).wasm,
  js: async () => (await import("./backends/js/index.js")).js,
  interp: async () => (await import("./backends/interp/index.js")).interp,
  null: async () => (await import("./backends/null/index.js")).nullBackend,
};

/** The backends that the default device may be, best first. */
export const preference: readonly string[] = ["c", "wasm", "js"];
