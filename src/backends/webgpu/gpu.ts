/// <reference types="@webgpu/types" />
/** Finds WebGPU: a browser's or Deno's own, or Dawn in Node through the package `webgpu`. */
import { DeviceError, UnsupportedError } from "../../core/errors.js";
import { convertsHalves } from "./halves.js";
import type { WebGpuLimits } from "./key.js";

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
  // Flags for Dawn, for example `backend=null;enable-dawn-features=allow_unsafe_apis`.
  const flags = process.env["TREEPIE_DAWN"]?.split(";").filter(Boolean) ?? [];
  dawn ??= import("webgpu").then(({ create }) => create(flags));
  return dawn;
}

/** Limits that a device is asked to have as high as its adapter allows. */
const raised = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxComputeWorkgroupsPerDimension",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
  "maxComputeWorkgroupStorageSize",
  "maxStorageBuffersPerShaderStage",
] as const;
const features = ["shader-f16", "subgroups", "timestamp-query", "chromium-experimental-subgroup-matrix"] as const;
/** What an adapter's matrices are, where it has any: experimental, and unknown to the types of the specification. */
interface MatrixConfigs {
  readonly subgroupMatrixConfigs?: Iterable<{
    readonly componentType: string;
    readonly resultComponentType: string;
    readonly M: number;
    readonly N: number;
    readonly K: number;
  }>;
}
/** Whether subgroups multiply matrices as generated code has them. */
const multiplies = (info: MatrixConfigs): boolean =>
  [...(info.subgroupMatrixConfigs ?? [])].some(
    (c) => c.componentType === "f16" && c.resultComponentType === "f32" && c.M === 16 && c.N === 16 && c.K === 16,
  );

/** What the device opened last can do: code is made for that; before there is one, for every device. */
let found: WebGpuLimits = {};
export const limitsFound = (): WebGpuLimits => found;

/** A device and what it is. */
export interface OpenedGpu {
  readonly device: GPUDevice;
  readonly limits: WebGpuLimits;
  readonly adapter: string;
  readonly software: boolean;
}
/** Opens a device of the best adapter, with an adapter's name for messages. */
export async function openGpu(): Promise<OpenedGpu> {
  const gpu = await findGpu();
  const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter)
    throw new DeviceError(
      "WebGPU has no adapter here: no driver of a GPU was found. Install one (for Vulkan also its loader, libvulkan1), or use another device",
    );
  const requiredLimits = Object.fromEntries(raised.map((name) => [name, adapter.limits[name]]));
  const device = await adapter.requestDevice({
    requiredLimits,
    requiredFeatures: features.filter((f) => adapter.features.has(f)) as GPUFeatureName[],
  });
  const { vendor, architecture, description, subgroupMinSize, subgroupMaxSize } = adapter.info;
  const isEven = device.features.has("subgroups") && subgroupMinSize === subgroupMaxSize;
  const { maxComputeInvocationsPerWorkgroup, maxComputeWorkgroupSizeX } = device.limits;
  found = {
    maxComputeInvocationsPerWorkgroup: Math.min(maxComputeInvocationsPerWorkgroup, maxComputeWorkgroupSizeX),
    maxComputeWorkgroupStorageSize: device.limits.maxComputeWorkgroupStorageSize,
    maxStorageBuffersPerShaderStage: device.limits.maxStorageBuffersPerShaderStage,
    maxStorageBufferBindingSize: device.limits.maxStorageBufferBindingSize,
    ...(isEven && { subgroup: subgroupMinSize }),
    ...(device.features.has("chromium-experimental-subgroup-matrix") && multiplies(adapter.info as MatrixConfigs) && { matrices: true }),
    ...(device.features.has("shader-f16") && (await convertsHalves(device)) && { f16: true }),
  };
  return {
    device,
    limits: found,
    adapter: description || [vendor, architecture].filter(Boolean).join(" ") || "unknown",
    software: adapter.info.isFallbackAdapter ?? false,
  };
}
