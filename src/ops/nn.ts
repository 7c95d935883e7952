/** What is built above the primitives: products, activations, norms, attention, convolutions, losses, random numbers, sorting. */
export * from "./activation.js";
export * from "./addmm.js";
export * from "./attention.js";
export * from "./conv.js";
export * from "./einsum.js";
export * from "./loss-class.js";
export * from "./loss-margin.js";
export * from "./loss.js";
export * from "./matmul.js";
export * from "./mulhi.js";
export * from "./norm.js";
export * from "./pool.js";
export * from "./rearrange.js";
export * from "./random.js";
export * from "./rectifier.js";
export * from "./softmax.js";
export * from "./sort.js";
