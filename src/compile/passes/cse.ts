import { intern } from "../../ir/intern.js";
import type { Pass } from "../../ir/rewrite.js";

/** Equal nodes become one. */
export const cse: Pass = { name: "cse", run: intern };
