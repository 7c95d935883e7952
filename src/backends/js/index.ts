import type { Backend } from "../../kernel/codegen.js";
import { contractTemplate } from "../../kernel/templates/contract/index.js";
import { jsCodegen } from "./codegen.js";
import { openJs } from "./device.js";

const codegen = jsCodegen([contractTemplate]);

/** Kernels as JavaScript, on this thread: works everywhere. */
export const js: Backend = {
  name: "js",
  unavailable: () => undefined,
  codegen: () => codegen,
  open: (options) => openJs(codegen.key, options),
};
