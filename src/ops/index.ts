export { pick } from "../ir/pick.js";
export type { Dims } from "./dims.js";
export * from "./elementwise.js";
export * from "./nn.js";
export {
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
} from "./movement.js";
export * from "./promotion.js";
export * from "./reduce.js";
export * from "./source.js";
