/** Every public function of the ops layer. A name is PyTorch's, in camelCase. */
export { pick } from "../ir/pick.js";
export * from "./diagonal.js";
export type { Dims } from "./dims.js";
export { domainDTypes } from "./domains.js";
export * from "./elementwise.js";
export * from "./gather.js";
export * from "./indexing.js";
export {
  cat,
  catOp,
  expand,
  expandOp,
  flip,
  flipOp,
  narrow,
  permute,
  permuteOp,
  reshape,
  reshapeOp,
  slice,
  sliceOp,
  unslice,
  unsliceOp,
  unwindow,
  unwindowOp,
  window,
  windowOp,
} from "./movement.js";
export * from "./nn.js";
export * from "./pad.js";
export * from "./promotion.js";
export * from "./reduce.js";
export * from "./scan.js";
export * from "./source.js";
export * from "./statistics.js";
export * from "./views.js";
