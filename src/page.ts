/** `treepie` for browsers: the same, with the backends that a page can have. */
import { hostFunctions } from "./backends/interp/host.js";
import { compile } from "./compile/index.js";
import type { Backend } from "./kernel/codegen.js";
import { registerBackend, setHostFunctions, setPreference } from "./tensor/index.js";

const backends: Readonly<Record<string, () => Promise<Backend>>> = {
  webgpu: async () => (await import("./backends/webgpu/index.js")).webgpu,
  wasm: async () => (await import("./backends/wasm/index.js")).wasm,
  js: async () => (await import("./backends/js/index.js")).js,
  interp: async () => (await import("./backends/interp/index.js")).interp,
};
for (const [name, load] of Object.entries(backends)) registerBackend(name, load, compile);
setPreference(["wasm", "js"]);
setHostFunctions(hostFunctions);

export * from "./public.js";
