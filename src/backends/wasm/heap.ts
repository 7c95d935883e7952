/** Blocks of one WebAssembly memory: best fit, neighbours joined when they are freed, grown where nothing fits. */
import type { WasmMemory } from "./api.js";

const page = 65536;
/** Bytes that 32-bit addresses reach, but for the last page. */
export const mostBytes: number = 65535 * page;

export class Heap {
  readonly memory: WasmMemory;
  /** Free ranges by address. */
  readonly #free: { at: number; bytes: number }[] = [];
  #end: number;

  /** Hands out what lies from `first` on. */
  constructor(memory: WasmMemory, first: number) {
    this.memory = memory;
    this.#end = memory.buffer.byteLength;
    this.#free.push({ at: first, bytes: this.#end - first });
  }
  /** The address of a block, a multiple of 64, or undefined where there is no memory. `bytes` is a multiple of 64. */
  take(bytes: number): number | undefined {
    let best = -1;
    this.#free.forEach((r, i) => {
      if (r.bytes >= bytes && (best < 0 || r.bytes < this.#free[best]!.bytes)) best = i;
    });
    if (best < 0) {
      if (!this.#grow(bytes)) return undefined;
      best = this.#free.length - 1;
    }
    const range = this.#free[best]!;
    const { at } = range;
    range.at += bytes;
    range.bytes -= bytes;
    if (range.bytes === 0) this.#free.splice(best, 1);
    return at;
  }
  give(at: number, bytes: number): void {
    let i = this.#free.findIndex((r) => r.at > at);
    if (i < 0) i = this.#free.length;
    const before = this.#free[i - 1];
    const after = this.#free[i];
    const joinsBefore = before !== undefined && before.at + before.bytes === at;
    const joinsAfter = after !== undefined && at + bytes === after.at;
    if (joinsBefore && joinsAfter) {
      before.bytes += bytes + after.bytes;
      this.#free.splice(i, 1);
    } else if (joinsBefore) before.bytes += bytes;
    else if (joinsAfter) {
      after.at = at;
      after.bytes += bytes;
    } else this.#free.splice(i, 0, { at, bytes });
  }
  /** Makes the last range large enough: at least an eighth more memory at once. */
  #grow(bytes: number): boolean {
    const last = this.#free.at(-1);
    const open = last && last.at + last.bytes === this.#end ? last : undefined;
    const needed = bytes - (open?.bytes ?? 0);
    const room = mostBytes - this.#end;
    if (needed > room) return false;
    const pages = (n: number): number => Math.ceil(n / page);
    for (const more of [Math.min(pages(Math.max(needed, this.#end / 8)), Math.floor(room / page)), pages(needed)]) {
      try {
        this.memory.grow(more);
      } catch {
        continue;
      }
      if (open) open.bytes += more * page;
      else this.#free.push({ at: this.#end, bytes: more * page });
      this.#end += more * page;
      return true;
    }
    return false;
  }
}
