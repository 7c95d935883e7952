/** The device of the reference interpreter: programs made of host steps. */
import type { Device, DeviceOptions } from "../../runtime/device.js";
import { noKernels, openInline } from "../../runtime/inline.js";
import type { TargetKey } from "../../runtime/program.js";

export async function openInterp(key: TargetKey, options: DeviceOptions = {}): Promise<Device> {
  return openInline({ ...options, name: "interp", key, kernels: noKernels("interp") });
}
