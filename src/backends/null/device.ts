/** A device that schedules without running: buffers, sizes and counts are real, and nothing is computed. */
import type { Device, DeviceOptions } from "../../runtime/device.js";
import { openInline } from "../../runtime/inline.js";
import type { TargetKey } from "../../runtime/program.js";

const nullKey: TargetKey = { backend: "null", arch: "any", features: [], format: 1 };

/** Opens the device. */
export async function openNull(key: TargetKey = nullKey, options: DeviceOptions = {}): Promise<Device> {
  return openInline({ ...options, name: "null", key, run: false, kernels: (program) => program.kernels.map(() => () => {}) });
}
