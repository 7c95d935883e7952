import { UnsupportedError } from "../../core/errors.js";
import type { Backend } from "../../kernel/codegen.js";
import { templates } from "../../kernel/templates/index.js";
import type { DeviceOptions } from "../../runtime/device.js";
import { libraryProducts } from "./claims/products.js";
import { cudaCodegen } from "./codegen.js";
import { openCuda } from "./device.js";
import { gpuAt } from "./driver.js";
import { attentionLibrary, findLibrary, productLibrary, whyNot } from "./libraries.js";
import type { CudaTarget } from "./target.js";

/** Kernels as CUDA C++, compiled by NVRTC and run by the driver. */
export const cuda: Backend = {
  name: "cuda",
  unavailable: whyNot,
  codegen: (options) => cudaCodegen(target(options), [libraryProducts, ...templates]),
  open: openCuda,
};

/** The GPU that code is generated for: this machine's, or the one that TREEPIE_CUDA_ARCH names (`sm_90`). */
function target(options: DeviceOptions = {}): CudaTarget {
  const named = process.env["TREEPIE_CUDA_ARCH"];
  const sm = /^sm_(\d+)$/.exec(named ?? "")?.[1];
  // What is compiled for elsewhere may find the library there; its kernels stand in where it is not.
  if (sm) return { sm: Number(sm), products: true, attention: true };
  if (named) throw new UnsupportedError(`TREEPIE_CUDA_ARCH=${named} names no GPU architecture; write for example sm_90`);
  const why = whyNot();
  if (why) throw new UnsupportedError(`${why}; to generate code for another machine, set TREEPIE_CUDA_ARCH (for example to sm_90)`);
  return {
    ...gpuAt(options.index ?? 0),
    ...(findLibrary(productLibrary) && { products: true }),
    ...(findLibrary(attentionLibrary) && { attention: true }),
  };
}
