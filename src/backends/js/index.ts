import type { Backend } from "../../kernel/codegen.js";
import { templates } from "../../kernel/templates/index.js";
import { jsCodegen } from "./codegen.js";
import { openJs } from "./device.js";

const codegen = jsCodegen(templates);

/** Kernels as JavaScript, on this thread: works everywhere. */
export const js: Backend = {
  name: "js",
  unavailable: () => undefined,
  codegen: () => codegen,
  open: (options) => openJs(codegen.key, options),
};
