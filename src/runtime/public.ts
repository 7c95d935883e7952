/** What `treepie/runtime` has besides the opening of devices, which differs in a page. */
export type { NaturalArray } from "../core/convert.js";
export type { DType } from "../core/dtype.js";
export * from "../core/errors.js";
export type { Dim } from "../core/expr.js";
export type { TensorType } from "../core/type.js";
export { type Continued, type ContinueOptions, continueBytes } from "./continue.js";
export type { Allocation, Call, Counters, Device, DeviceOptions, FileMapping, Loaded, LoadOptions } from "./device.js";
export { type ByteSource, openSource } from "./file.js";
export { type BlobLike, blobFolder, blobSource, diskFolder, type Folder, openFolder, urlFolder } from "./folder.js";
export { meets, showKey } from "./key.js";
export { showBytes } from "./memory.js";
export { clearKept } from "./opfs.js";
export { type Pie, type PieMethod, type PiePort, type PieState, readPie } from "./pie.js";
export { encodePie, type PieContents, writePie } from "./pie-write.js";
export type { DimRange, HostFunction, HostFunctions, Program, TargetKey } from "./program.js";
export { type KnownFile, openUrl, type PieceStore, type RemoteOptions } from "./remote.js";
export {
  encodeSafetensors,
  openSafetensors,
  openSafetensorsIn,
  type Safetensors,
  type StoredTensor,
  type WriteOptions,
  writeSafetensors,
} from "./safetensors.js";
export { type CompileMethod, type RunOptions, Session, type SessionOptions } from "./session.js";
export { HostTensor, type HostValue } from "./tensor.js";
export { type StepTime, StepTimes, timed } from "./timed.js";
