/** Llama. */
export * from "./config.js";
export { Llama, LlamaAttention, LlamaLayer, LlamaMLP, LlamaModel } from "./model.js";
