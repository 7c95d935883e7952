/** Models, one folder each. */
export { GPT, type GPTConfig, type LayerCache, sample } from "./gpt/index.js";
