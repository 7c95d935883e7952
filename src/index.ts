export type { DType } from "./core/dtype.js";
