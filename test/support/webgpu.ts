/** For tests: WebGPU in Node, on a GPU's driver or on the software one that comes with Debian's `chromium`. */
import { existsSync } from "node:fs";
import { openGpu, whyNot } from "../../src/backends/webgpu/gpu.js";
import { waitWithoutSpinning } from "./dawn-turns.js";

const software = "/usr/lib/chromium/vk_swiftshader_icd.json";

/** Why WebGPU cannot be tested here, or undefined. Call it before WebGPU is used: it may choose the driver. */
export async function withoutWebGpu(): Promise<string | undefined> {
  const why = whyNot();
  if (why) return why;
  waitWithoutSpinning();
  if (!process.env["VK_ICD_FILENAMES"] && existsSync(software)) process.env["VK_ICD_FILENAMES"] = software;
  try {
    const { device } = await openGpu();
    device.destroy();
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}
