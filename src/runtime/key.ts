import type { TargetKey } from "./program.js";

/** True if a device with key `device` can run code compiled for `code`. */
export const meets = (device: TargetKey, code: TargetKey): boolean =>
  device.backend === code.backend &&
  device.format === code.format &&
  (code.arch === "any" || device.arch === code.arch) &&
  code.features.every((f) => device.features.includes(f));

/** `c x86-64 (avx2 fma) format 1`. */
export const showKey = (k: TargetKey): string =>
  `${k.backend} ${k.arch}${k.features.length ? ` (${k.features.join(" ")})` : ""} format ${k.format}`;

/** Backends whose code cannot reach outside its own buffers, whatever a file says: it loads without trust. */
const sandboxed: ReadonlySet<string> = new Set(["interp", "null", "wasm", "webgpu"]);
export const isSandboxed = (k: TargetKey): boolean => sandboxed.has(k.backend);
