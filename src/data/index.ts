/** Data sets and loaders. */
export * from "./collate.js";
export * from "./dataset.js";
export * from "./loader.js";
export { randomOrder } from "./order.js";
