/// <reference types="@webgpu/types" />
/** Finds WebGPU: a browser's or Deno's own, or Dawn in Node through the package `webgpu`. */
import { DeviceError, UnsupportedError } from "../../core/errors.js";

const ofBrowser = (): GPU | undefined => (globalThis as { navigator?: { gpu?: GPU } }).navigator?.gpu;

/** Why there can be no WebGPU here, or undefined. Loads nothing; whether there is an adapter shows when the device is opened. */
export function whyNot(): string | undefined {
  if (ofBrowser()) return undefined;
  const node = globalThis.process?.getBuiltinModule?.("node:module");
  if (!node) return "this browser has no WebGPU (navigator.gpu)";
  try {
    node.createRequire(import.meta.url).resolve("webgpu");
    return undefined;
  } catch {
    return "the package webgpu is not installed; `npm install webgpu` brings Dawn";
  }
}

/** One for the process: Dawn cannot be started twice. */
let dawn: Promise<GPU> | undefined;

async function findGpu(): Promise<GPU> {
  const browser = ofBrowser();
  if (browser) return browser;
  const why = whyNot();
  if (why) throw new UnsupportedError(`the webgpu device does not work here: ${why}`);
  dawn ??= import("webgpu").then(({ create }) => create([]));
  return dawn;
}

/** Limits that a device is asked to have as high as its adapter allows. */
const raised = ["maxBufferSize", "maxStorageBufferBindingSize", "maxComputeWorkgroupsPerDimension"] as const;

/** Opens a device of the best adapter, with an adapter's name for messages. */
export async function openGpu(): Promise<{ readonly device: GPUDevice; readonly adapter: string; readonly software: boolean }> {
  const gpu = await findGpu();
  const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter)
    throw new DeviceError(
      "WebGPU has no adapter here: no driver of a GPU was found. Install one (for Vulkan also its loader, libvulkan1), or use another device",
    );
  const requiredLimits = Object.fromEntries(raised.map((name) => [name, adapter.limits[name]]));
  const device = await adapter.requestDevice({ requiredLimits });
  const { vendor, architecture, description } = adapter.info;
  return {
    device,
    adapter: description || [vendor, architecture].filter(Boolean).join(" ") || "unknown",
    software: adapter.info.isFallbackAdapter ?? false,
  };
}

/** The numbers of WebGPU's flags: their global objects exist in browsers only. */
export const usage = { mapRead: 1, copySource: 4, copyTarget: 8, uniform: 64, storage: 128 } as const;
export const compute = 4;
export const mapRead = 1;
