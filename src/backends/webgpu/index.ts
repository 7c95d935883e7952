import type { Backend } from "../../kernel/codegen.js";
import { templates } from "../../kernel/templates/index.js";
import { webgpuCodegen } from "./codegen.js";
import { openWebGpu } from "./device.js";
import { limitsFound, whyNot } from "./gpu.js";

/** Kernels as WGSL, run by a browser's WebGPU or by Dawn in Node. */
export const webgpu: Backend = {
  name: "webgpu",
  unavailable: whyNot,
  codegen: () => webgpuCodegen(limitsFound(), templates),
  open: openWebGpu,
};
