import type { Template } from "../codegen.js";
import { attentionBackwardTemplate, attentionTemplate, cachedAttentionTemplate } from "./attention/index.js";
import { contractTemplate } from "./contract/index.js";
import { convTemplate, winogradTemplate } from "./conv/index.js";
import { scanTemplate } from "./scan.js";
import { scatterTemplate } from "./scatter.js";
import { sortTemplate } from "./sort.js";

/** The templates that every generating backend claims with, best first. */
export const templates: readonly Template[] = [
  attentionTemplate,
  attentionBackwardTemplate,
  cachedAttentionTemplate,
  contractTemplate,
  convTemplate,
  winogradTemplate,
  scanTemplate,
  scatterTemplate,
  sortTemplate,
];
