  expand,
  expandOp,
  permute,
  permuteOp,
  reshape,
  reshapeOp,
  slice,
  sliceOp,
  unslice,
  unsliceOp,
export * from "./activation.js";
export * from "./addmm.js";
export * from "./attention.js";
export * from "./einsum.js";
export * from "./elementwise.js";
export * from "./matmul.js";
export * from "./mulhi.js";
export * from "./norm.js";
export * from "./promotion.js";
export * from "./random.js";
export * from "./rectifier.js";
export * from "./reduce.js";
export * from "./softmax.js";
export * from "./source.js";
export type { Dims } from "./dims.js";
export {
export { pick } from "../ir/pick.js";
} from "./movement.js";
