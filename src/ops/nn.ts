/** What is built above the primitives: products, activations, norms, attention, convolutions, losses, random numbers, sorting. */
export * from "./activation.js";
export * from "./addmm.js";
export * from "./attention.js";
export {
  type ConvOptions,
  type ConvTransposeOptions,
  conv1d,
  conv2d,
  conv3d,
  convolve,
  convolveOp,
  convTranspose1d,
  convTranspose2d,
  convTranspose3d,
  type PerAxis,
} from "./conv.js";
export * from "./einsum.js";
export * from "./interpolate.js";
export * from "./loss.js";
export * from "./loss-class.js";
export * from "./loss-margin.js";
export * from "./matmul.js";
export * from "./mulhi.js";
export * from "./norm.js";
export * from "./pool.js";
export * from "./random.js";
export * from "./rearrange.js";
export * from "./rectifier.js";
export * from "./softmax.js";
export * from "./sort.js";
export * from "./wide-dot.js";
export { type TileSize, winograd, winogradOp, winogradWeight } from "./winograd.js";
