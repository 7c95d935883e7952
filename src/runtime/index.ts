/** `treepie/runtime`: runs program files. It loads nothing of the compiler. */
import { ArgumentError } from "../core/errors.js";
import { type Device, type DeviceOptions, deviceName } from "./device.js";

export * from "./public.js";

/**
 * Opens a device by name: "c" (which needs a C compiler, unless the first program that is loaded is a binary), "cuda" or "cuda:1", "wasm",
 * which works everywhere, "webgpu" (Dawn in Node), or "js", which is slower.
 */
export async function openDevice(name: string, options?: DeviceOptions): Promise<Device> {
  const [kind, index] = deviceName(name);
  switch (kind) {
    case "cuda":
      return (await import("../backends/cuda/device.js")).openCuda({ ...options, ...(index !== undefined && { index }) });
    case "c":
      return (await import("../backends/c/device.js")).openC(undefined, options);
    case "webgpu":
      return (await import("../backends/webgpu/device.js")).openWebGpu(options);
    case "wasm":
      return (await import("../backends/wasm/device.js")).openWasm(undefined, options);
    case "js":
      return (await import("../backends/js/device.js")).openJs(undefined, options);
    default:
      throw new ArgumentError(`there is no device ${name}; known are c, cuda, webgpu, wasm and js`);
  }
}
