/** `treepie/runtime`: runs program files. It loads nothing of the compiler. */
import { ArgumentError } from "../core/errors.js";
import { type Device, type DeviceOptions, deviceName } from "./device.js";

export type { NaturalArray } from "../core/convert.js";
export type { DType } from "../core/dtype.js";
export * from "../core/errors.js";
export type { Dim } from "../core/expr.js";
export type { TensorType } from "../core/type.js";
export type { Allocation, Call, Counters, Device, DeviceOptions, FileMapping, Loaded, LoadOptions } from "./device.js";
export { type ByteSource, openSource } from "./file.js";
export { meets, showKey } from "./key.js";
export { showBytes } from "./memory.js";
export { type Pie, type PieMethod, type PiePort, type PieState, readPie } from "./pie.js";
export { encodePie, type PieContents, writePie } from "./pie-write.js";
export type { DimRange, HostFunction, HostFunctions, Program, TargetKey } from "./program.js";
export {
  encodeSafetensors,
  openSafetensors,
  type Safetensors,
  type StoredTensor,
  type WriteOptions,
  writeSafetensors,
} from "./safetensors.js";
export { type CompileMethod, type RunOptions, Session, type SessionOptions } from "./session.js";
export { HostTensor, type HostValue } from "./tensor.js";

/**
 * Opens a device by name: "c" (which needs a C compiler, unless the first program that is loaded is a binary), "cuda" or "cuda:1", "wasm",
 * which works everywhere, or "js", which is slower.
 */
export async function openDevice(name: string, options?: DeviceOptions): Promise<Device> {
  const [kind, index] = deviceName(name);
  switch (kind) {
    case "cuda":
      return (await import("../backends/cuda/device.js")).openCuda({ ...options, ...(index !== undefined && { index }) });
    case "c":
      return (await import("../backends/c/device.js")).openC(undefined, options);
    case "wasm":
      return (await import("../backends/wasm/device.js")).openWasm(undefined, options);
    case "js":
      return (await import("../backends/js/device.js")).openJs(undefined, options);
    default:
      throw new ArgumentError(`there is no device ${name}; known are c, cuda, wasm and js`);
  }
}
