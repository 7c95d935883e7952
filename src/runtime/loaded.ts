/** A program loaded on one device, and what is given back once nothing submitted uses it. */
import { DeviceError } from "../core/errors.js";
import type { Loaded } from "./device.js";
import type { HostFunction, Program } from "./program.js";

/** What a loaded program needs of its device. */
export interface Owner {
  /** Does something once everything submitted so far is over. */
  later(work: () => void): void;
}
/** What every device keeps of a program that it loaded. */
export interface Kept<D extends Owner> {
  readonly device: D;
  readonly program: Program;
  readonly host: ReadonlyMap<string, HostFunction>;
  /** Gives back what loading took. */
  readonly give: () => void;
}

export abstract class LoadedProgram<D extends Owner> implements Loaded {
  readonly device: D;
  readonly program: Program;
  readonly host: ReadonlyMap<string, HostFunction>;
  readonly #give: () => void;
  #unloaded = false;
  constructor({ device, program, host, give }: Kept<D>) {
    this.device = device;
    this.program = program;
    this.host = host;
    this.#give = give;
  }
  get unloaded(): boolean {
    return this.#unloaded;
  }
  unload(): void {
    if (this.#unloaded) return;
    this.#unloaded = true;
    this.device.later(this.#give);
  }
}

/** A program that this device loaded. Throws where it is of another device, or given back. */
export function ownLoaded<L extends LoadedProgram<Owner>>(
  loaded: Loaded,
  kind: abstract new (...args: never[]) => L,
  device: L["device"],
): L {
  if (!(loaded instanceof kind) || loaded.device !== device || loaded.unloaded)
    throw new DeviceError("the program is not loaded on this device");
  return loaded;
}
