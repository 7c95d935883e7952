import type { Backend } from "../../kernel/codegen.js";
import { templates } from "../../kernel/templates/index.js";
import { cpu } from "../../runtime/cpu.js";
import { webAssembly } from "./api.js";
import { wasmCodegen } from "./codegen.js";
import { openWasm } from "./device.js";
import { hasRelaxed } from "./engine.js";
import { wasmKey } from "./key.js";
import { canShare } from "./workers.js";

/** Kernels as WebAssembly, on a pool of threads where memory can be shared: works everywhere. */
export const wasm: Backend = {
  name: "wasm",
  unavailable: () => (webAssembly ? undefined : "this engine has no WebAssembly"),
  codegen: (options) => wasmCodegen(canShare() ? (options?.threads ?? cpu().cores) : 1, { relaxed: hasRelaxed() }, templates),
  open: (options) => openWasm(wasmKey(hasRelaxed()), options),
};
