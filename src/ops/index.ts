export { pick } from "../ir/pick.js";
export * from "./elementwise.js";
export * from "./matmul.js";
export * from "./movement.js";
export * from "./promotion.js";
export * from "./reduce.js";
export * from "./source.js";
