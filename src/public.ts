/** What `treepie` has besides its backends, which differ in a page. */
export { explain } from "./compile/explain.js";
export type { DType } from "./core/dtype.js";
export * from "./core/errors.js";
export * as data from "./data/index.js";
export { compileMethod, type ExportOptions, exportContents, exportPie, type MethodSpec } from "./export.js";
export { type LoadOptions, loadSafetensors, type SaveOptions, saveSafetensors } from "./files.js";
export * as llm from "./llm/index.js";
export * as models from "./models/index.js";
export * as nn from "./nn/index.js";
export * as optim from "./optim/index.js";
export type { Device, Program } from "./runtime/public.js";
export { HostTensor, Session, type SessionOptions } from "./runtime/public.js";
export * from "./tensor/index.js";
export { type Checkpoint, openCheckpoint, type SavedCheckpoint, saveCheckpoint } from "./train/checkpoint.js";
