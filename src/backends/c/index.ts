import type { Backend } from "../../kernel/codegen.js";
import { templates } from "../../kernel/templates/index.js";
import { cpu } from "../../runtime/cpu.js";
import { findBlas } from "./blas.js";
import { toBinary } from "./build.js";
import { findCompiler, here } from "./cc.js";
import { withBlas } from "./claims/products.js";
import { cCodegen } from "./codegen.js";
import { openC } from "./device.js";
import { cKey, compilerFeature } from "./key.js";

/** Kernels as C, compiled by the system's compiler and run on a pool of threads. */
export const c: Backend = {
  name: "c",
  unavailable() {
    const compiler = findCompiler();
    return typeof compiler === "string" ? compiler : undefined;
  },
  codegen(options) {
    const library = findBlas() !== undefined;
    const target = {
      ...here(),
      parallel: options?.threads ?? cpu().cores,
      caches: cpu().caches,
      ...(library && { products: true as const }),
    };
    const made = cCodegen(target, library ? withBlas : templates);
    return { ...made, key: { ...made.key, features: [...made.key.features, compilerFeature] }, binary: toBinary };
  },
  open: (options) => openC(cKey(), options),
};
