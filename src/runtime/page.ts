/** `treepie/runtime` for browsers: the same, with the devices that a page can have. */
import { ArgumentError } from "../core/errors.js";
import type { Device, DeviceOptions } from "./device.js";

export * from "./public.js";

/** Opens a device by name: "wasm", which works everywhere, "webgpu" where the browser has it, or "js", which is slower. */
export async function openDevice(name: string, options?: DeviceOptions): Promise<Device> {
  switch (name) {
    case "webgpu":
      return (await import("../backends/webgpu/device.js")).openWebGpu(options);
    case "wasm":
      return (await import("../backends/wasm/device.js")).openWasm(undefined, options);
    case "js":
      return (await import("../backends/js/device.js")).openJs(undefined, options);
    default:
      throw new ArgumentError(`there is no device ${name} in a page; known are webgpu, wasm and js`);
  }
}
