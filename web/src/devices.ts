/** The devices of this browser, and the backends behind them. */

import { hostFunctions } from "#treepie/backends/interp/host.js";
import { mostBytes } from "#treepie/backends/wasm/heap.js";
import { compileMethod } from "#treepie/export.js";
import type { Backend } from "#treepie/kernel/codegen.js";
import { type ByteSource, type Device, openDevice, Session } from "#treepie/runtime/page.js";
import { PageError } from "./failures.js";
import type { Devices } from "./protocol.js";

/** Looks for a GPU. A driver in software is no gain over WebAssembly. */
export async function devices(): Promise<Devices> {
  const wasm = { name: "wasm", label: "Processor (WebAssembly)" } as const;
  const webgpu = { name: "webgpu", label: "Graphics card (WebGPU)" } as const;
  const threads = crossOriginIsolated
    ? `on ${navigator.hardwareConcurrency} threads`
    : "on one thread, since this page is not isolated from other sites (its server sends no Cross-Origin-Opener-Policy and Cross-Origin-Embedder-Policy)";
  const adapter = await navigator.gpu?.requestAdapter().catch(() => null);
  if (!adapter) {
    const why = navigator.gpu
      ? "finds no graphics card that WebGPU can use"
      : `has no WebGPU${isSecureContext ? "" : " for this page, since it did not come over https"}`;
    return { choices: [wasm], note: `This browser ${why}. Everything works with WebAssembly instead, more slowly, ${threads}.` };
  }
  if (adapter.info.isFallbackAdapter || /swiftshader|llvmpipe/i.test(`${adapter.info.architecture} ${adapter.info.description}`))
    return { choices: [wasm, webgpu], note: `WebGPU is emulated in software here, so WebAssembly is faster; it runs ${threads}.` };
  return {
    choices: [webgpu, wasm],
    note: `WebGPU runs on ${adapter.info.description || adapter.info.vendor || "a graphics card"}; WebAssembly would run ${threads}.`,
  };
}

/** Says so where weights cannot fit, before any of them is read. */
export function checkRoom(device: string, bytes: number): void {
  if (device === "wasm" && bytes > mostBytes)
    throw new PageError(
      `This model is too large for WebAssembly: its weights are ${gigabytes(bytes)}, and there is room for ${gigabytes(mostBytes)}. Choose a smaller one, or another device.`,
    );
}
const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(1)} GB`;

/** The compiler's half of a device. */
export async function backendOf(name: string): Promise<Backend> {
  return name === "webgpu"
    ? (await import("#treepie/backends/webgpu/index.js")).webgpu
    : (await import("#treepie/backends/wasm/index.js")).wasm;
}

/** Opens a program file's decoding on a device; a graph without a program for it is compiled here. */
export async function openSession(
  from: string | Blob | ByteSource,
  device: Device,
  onProgress?: (got: number, size: number) => void,
): Promise<Session> {
  const codegen = (await backendOf(device.name)).codegen();
  return Session.open(from, {
    device,
    compile: compileMethod(codegen),
    host: hostFunctions,
    methods: ["decode"],
    ...(onProgress && { onProgress }),
  });
}
export { openDevice };
