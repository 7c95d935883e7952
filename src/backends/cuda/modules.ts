/** Machine code on a GPU, loaded once however many programs use it. */
import { UnsupportedError } from "../../core/errors.js";
import type { Driver } from "./driver.js";

interface Entry {
  readonly module: bigint;
  holders: number;
}

export class Modules {
  readonly #driver: Driver;
  readonly #loaded = new Map<string, Entry>();

  constructor(driver: Driver) {
    this.#driver = driver;
  }

  /** Loads code, or finds it loaded; `release` gives it back. */
  hold(key: string, code: Uint8Array): bigint {
    let entry = this.#loaded.get(key);
    if (!entry) {
      entry = { module: this.#load(code), holders: 0 };
      this.#loaded.set(key, entry);
    }
    entry.holders++;
    return entry.module;
  }
  release(key: string): void {
    const entry = this.#loaded.get(key);
    if (!entry || --entry.holders) return;
    this.#loaded.delete(key);
    this.#driver.call("cuModuleUnload", entry.module);
  }
  function(module: bigint, name: string): bigint {
    return this.#driver.made("cuModuleGetFunction", module, new TextEncoder().encode(`${name}\0`));
  }
  close(): void {
    for (const { module } of this.#loaded.values()) this.#driver.call("cuModuleUnload", module);
    this.#loaded.clear();
  }

  #load(code: Uint8Array): bigint {
    try {
      return this.#driver.made("cuModuleLoadData", code);
    } catch (cause) {
      throw new UnsupportedError(`the GPU does not take a program's machine code: ${(cause as Error).message}; export it for this GPU`, {
        cause,
      });
    }
  }
}
