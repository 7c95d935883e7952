/** Device memory in size classes: freed blocks are kept and handed out again, so a loop in steady state takes nothing from the system. */
import { ArgumentError, OutOfMemoryError } from "../core/errors.js";
import { builtin, env } from "../core/host.js";
import type { Counters } from "./device.js";

/** How a device gets memory from the system; `take` returns undefined where there is none. */
export interface Source<B> {
  take(bytes: number): B | undefined;
  give(block: B, bytes: number): void;
  /** Bytes that are free where blocks come from, for messages; default: what the operating system says. */
  available?(): number;
}

export const noCounters = (): Counters => ({
  bytes: 0,
  peakBytes: 0,
  cachedBytes: 0,
  allocations: 0,
  submissions: 0,
  launches: 0,
  hostSteps: 0,
  builds: 0,
  mappedBytes: 0,
});

/** The block size that serves a request: at most an eighth more than was asked. */
export function blockSize(bytes: number): number {
  if (bytes <= 512) return Math.max(64, Math.ceil(bytes / 64) * 64);
  const step = Math.max(64, 2 ** (Math.ceil(Math.log2(bytes)) - 4));
  return Math.ceil(bytes / step) * step;
}

/** Blocks of one device. */
export class Memory<B> {
  readonly limit: number;
  readonly #source: Source<B>;
  readonly #counters: Counters;
  readonly #name: string;
  /** Free blocks by size; the size used longest ago first. */
  readonly #free = new Map<number, B[]>();

  constructor(name: string, source: Source<B>, counters: Counters, limit: number = memoryLimit()) {
    this.#name = name;
    this.#source = source;
    this.#counters = counters;
    this.limit = limit;
  }

  /** A block of at least that many bytes. Throws OutOfMemoryError. */
  take(bytes: number, what: string = "a buffer"): B {
    const c = this.#counters;
    if (!Number.isSafeInteger(bytes) || bytes < 0) throw new ArgumentError(`${what} of ${bytes} bytes cannot be allocated`);
    const size = blockSize(bytes);
    const list = this.#free.get(size);
    let block = list?.pop();
    if (list && !list.length) this.#free.delete(size);
    if (block !== undefined) c.cachedBytes -= size;
    else {
      if (c.bytes + c.cachedBytes + size > this.limit) this.trim(Math.max(0, this.limit - c.bytes - size));
      block = c.bytes + size > this.limit ? undefined : this.#source.take(size);
      if (block === undefined && c.cachedBytes) {
        this.trim(0);
        block = c.bytes + size > this.limit ? undefined : this.#source.take(size);
      }
      if (block === undefined) throw this.#full(bytes, what);
      c.allocations++;
    }
    c.bytes += size;
    c.peakBytes = Math.max(c.peakBytes, c.bytes);
    return block;
  }

  /** Takes a block back. `bytes` is what was asked for. */
  give(block: B, bytes: number): void {
    const c = this.#counters;
    const size = blockSize(bytes);
    c.bytes -= size;
    c.cachedBytes += size;
    const list = this.#free.get(size) ?? [];
    this.#free.delete(size);
    this.#free.set(size, list);
    list.push(block);
    const keep = Math.max(1 << 28, c.peakBytes / 2);
    if (c.cachedBytes > keep) this.trim(keep);
  }

  /** Returns free blocks to the system until at most `keep` bytes of them are left. */
  trim(keep: number): void {
    const c = this.#counters;
    for (const [size, list] of this.#free) {
      while (list.length && c.cachedBytes > keep) {
        this.#source.give(list.pop()!, size);
        c.cachedBytes -= size;
      }
      if (!list.length) this.#free.delete(size);
      if (c.cachedBytes <= keep) return;
    }
  }

  #full(bytes: number, what: string): OutOfMemoryError {
    const c = this.#counters;
    const free = this.#source.available?.() ?? builtin("node:os")?.freemem();
    return new OutOfMemoryError(
      `${this.#name} has no memory for ${what} of ${showBytes(bytes)}: ${showBytes(c.bytes)} are held (peak ${showBytes(c.peakBytes)}), the limit is ${showBytes(this.limit)}, ` +
        `${free === undefined ? "" : `the system reports ${showBytes(free)} free. `}Smaller batches or sequences, bf16 weights, dispose() of what is not needed, or a higher TREEPIE_MEMORY_LIMIT would help`,
    );
  }
}

/** `12.5 MiB`. */
export function showBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  const i = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  const n = bytes / 1024 ** i;
  return `${i && n < 100 ? n.toFixed(1) : Math.round(n)} ${units[i]}`;
}

/** Most bytes a device may hold: TREEPIE_MEMORY_LIMIT ("2GiB", "500MB", a number of bytes), or what the machine has, where it tells. */
export function memoryLimit(text: string | undefined = env("TREEPIE_MEMORY_LIMIT")): number {
  if (!text)
    return Math.min(
      builtin("node:os")?.totalmem() ?? Number.POSITIVE_INFINITY,
      globalThis.process?.constrainedMemory?.() || Number.POSITIVE_INFINITY,
    );
  const m = /^\s*(\d+(?:\.\d+)?)\s*(?:([kmgt])(i?)b?|b)?\s*$/i.exec(text);
  if (!m) throw new ArgumentError(`TREEPIE_MEMORY_LIMIT=${text} is not a size; write for example 2GiB, 500MB or a number of bytes`);
  const power = m[2] ? "kmgt".indexOf(m[2].toLowerCase()) + 1 : 0;
  return Math.floor(Number(m[1]) * (m[3] ? 1024 : 1000) ** power);
}
