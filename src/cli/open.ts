/** Opening the device that a command runs on. */
import { ArgumentError, UnsupportedError } from "../core/errors.js";
import type { Backend, Codegen } from "../kernel/codegen.js";
import type { Device } from "../runtime/device.js";

/** The first of `names` that works on this machine, opened. Where one name alone is asked for, programs that need no compiling will do. */
export async function openBackend(
  known: Readonly<Record<string, () => Promise<Backend>>>,
  names: readonly string[],
): Promise<{ readonly device: Device; readonly codegen: Codegen | undefined }> {
  const reasons: string[] = [];
  for (const name of names) {
    const load = known[name];
    if (!load) throw new ArgumentError(`there is no device ${name}; known are ${Object.keys(known).join(", ")}`);
    const backend = await load();
    const why = backend.unavailable();
    if (!why || names.length === 1) return { device: await backend.open(), codegen: why ? undefined : backend.codegen() };
    reasons.push(`${name}: ${why}`);
  }
  throw new UnsupportedError(`no device works here (${reasons.join("; ")})`);
}
