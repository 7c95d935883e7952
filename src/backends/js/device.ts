/**
 * The device for generated JavaScript, on this thread. A kernel's source declares a function of its entry's name:
 * `function NAME(args, dims, begin, end, scratch)`, where `args[i]` is a Uint8Array over the bytes of the kernel's buffer i
 * (64-byte aligned; the kernel makes its typed views from `.buffer`, `.byteOffset` and `.byteLength`), `dims` an array of numbers
 * and `scratch` an ArrayBuffer of at least the kernel's `sharedBytes`. The program's prelude stands once before all kernels.
 */
import { CompileError } from "../../core/errors.js";
import type { Device, DeviceOptions } from "../../runtime/device.js";
import { type InlineKernel, openInline } from "../../runtime/inline.js";
import type { Program, TargetKey } from "../../runtime/program.js";

const jsKey: TargetKey = { backend: "js", arch: "any", features: [], format: 1 };

/** Opens the device; it has one thread. */
export async function openJs(key: TargetKey = jsKey, options: DeviceOptions = {}): Promise<Device> {
  return openInline({ ...options, name: "js", key, kernels: compileJs });
}

function compileJs(program: Program): readonly InlineKernel[] {
  const entries = program.kernels.map((k) => k.entry);
  for (const k of program.kernels) {
    if (typeof k.source !== "string" || !/^[A-Za-z_$][\w$]*$/.test(k.entry))
      throw new CompileError(`kernel ${k.entry} of ${program.name} is not JavaScript text`);
  }
  const text = `"use strict";\n${program.prelude}\n${program.kernels.map((k) => k.source as string).join("\n")}\nreturn [${entries.join(", ")}];`;
  try {
    return (new Function(text) as () => InlineKernel[])();
  } catch (cause) {
    throw new CompileError(`generated JavaScript of ${program.name} does not compile: ${(cause as Error).message}`, { cause });
  }
}
