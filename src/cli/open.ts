/** Opening the device that a command runs on. */

import { hostFunctions } from "../backends/interp/host.js";
import { ArgumentError, UnsupportedError } from "../core/errors.js";
import { backends, preference } from "../devices.js";
import { compileMethod } from "../export.js";
import { type Backend, backendFor, type Codegen } from "../kernel/codegen.js";
import { type Device, deviceName } from "../runtime/device.js";
import { Session } from "../runtime/index.js";

/** The first of `names` that works on this machine, opened. Where one name alone is asked for, programs that need no compiling will do. */
export async function openBackend(
  known: Readonly<Record<string, () => Promise<Backend>>>,
  names: readonly string[],
): Promise<{ readonly device: Device; readonly codegen: Codegen | undefined }> {
  const reasons: string[] = [];
  for (const name of names) {
    const load = known[deviceName(name)[0]];
    if (!load) throw new ArgumentError(`there is no device ${name}; known are ${Object.keys(known).join(", ")}`);
    const backend = backendFor(name, await load());
    const why = backend.unavailable();
    if (!why || names.length === 1) return { device: await backend.open(), codegen: why ? undefined : backend.codegen() };
    reasons.push(`${name}: ${why}`);
  }
  throw new UnsupportedError(`no device works here (${reasons.join("; ")})`);
}

/** A file's methods compiled from their graphs, on the named device or the best that works here. */
export async function openCompiled(file: string, name: string | undefined, methods: readonly string[]): Promise<Session> {
  const { device, codegen } = await openBackend(backends, name ? [name] : preference);
  try {
    return await Session.open(file, { device, methods, host: hostFunctions, ...(codegen && { compile: compileMethod(codegen) }) });
  } catch (error) {
    await device.close();
    throw error;
  }
}
