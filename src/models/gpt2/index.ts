/** GPT-2. */
export * from "./config.js";
export { Conv1D, GPT2, GPT2Attention, GPT2Block, GPT2MLP, GPT2Model } from "./model.js";
