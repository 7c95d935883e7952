/** Treepie: deep learning in TypeScript. Tensors, autograd, modules, optimizers, and a compiler for whole graphs. */
import { hostFunctions } from "./backends/interp/host.js";
import { compileCached } from "./compile/cached.js";
import { backends, preference } from "./devices.js";
import { registerBackend, setHostFunctions, setPreference } from "./tensor/index.js";

for (const [name, load] of Object.entries(backends)) registerBackend(name, load, compileCached);
setPreference(preference);
setHostFunctions(hostFunctions);

export * from "./public.js";
