import type { HostFunctions, Program, TargetKey } from "./program.js";

/** How a device is opened. */
export interface DeviceOptions {
  /** Worker threads; default: one per core. */
  readonly threads?: number;
  /** Which of several devices of the kind. */
  readonly index?: number;
  /** Puts marked bytes around every buffer and checks them when it is freed and at `sync` (for tests). */
  readonly guard?: boolean;
}

/** A device's kind and which of several it is: `cuda:1` is ["cuda", 1], `cuda` is ["cuda"]. */
export function deviceName(name: string): readonly [kind: string, index?: number] {
  const [, kind, index] = /^([^:]+):(\d+)$/.exec(name) ?? [];
  return kind ? [kind, Number(index)] : [name];
}

/** Memory on a device. Opaque; freed once by `Device.free`. */
export interface Allocation {
  readonly bytes: number;
  readonly freed: boolean;
  /** Part of a mapped file: programs read it and nothing writes it. */
  readonly readOnly?: boolean;
}

/** A file as memory of a device: its parts take no memory of their own, and are read when they are first used. */
export interface FileMapping {
  /** Bytes of the file, for programs to read. Undefined where the device cannot read elements of that width from there. */
  part(offset: number, bytes: number, elementBytes: number): Allocation | undefined;
  /** No more parts are taken. The file stays mapped until the last of them is freed. */
  close(): void;
}

/** One program loaded on one device. */
export interface Loaded {
  readonly program: Program;
  /** Gives back what loading took; idempotent. */
  unload(): void;
}

/** One call: `buffers[i]` belongs to `program.buffers[i]` (undefined for constants and temps), `dims[i]` to `program.dims[i]`. */
export interface Call {
  readonly buffers: readonly (Allocation | undefined)[];
  readonly dims: readonly number[];
}

/** What loading a program is given. */
export interface LoadOptions {
  readonly host?: HostFunctions;
  readonly signal?: AbortSignal;
  /** Dims of the first call: a device may build what only calls of other sizes need later on. */
  readonly dims?: readonly number[];
}

export type HearStep = (step: number, milliseconds: number) => void;

/** Exact counts, for tests and `memory.report()`. */
export interface Counters {
  /** Bytes held now, and the most ever held. Arenas and constants count. */
  bytes: number;
  peakBytes: number;
  /** Bytes of freed blocks kept for reuse, not among `bytes`. */
  cachedBytes: number;
  /** Blocks taken from the system; a reused block does not count. */
  allocations: number;
  /** Native submissions, kernels launched, host steps run. */
  submissions: number;
  launches: number;
  hostSteps: number;
  /** Kernels built from source (a disk-cache hit does not count). */
  builds: number;
  /** Bytes of parts of mapped files, not among `bytes`. */
  mappedBytes: number;
}

/** Reads bytes from a position on into memory. */
export type Read = (at: number, into: Uint8Array) => Promise<void>;

/** The runtime half of a backend. A device runs one program at a time, in the order of submission. */
export interface Device {
  readonly name: string;
  readonly key: TargetKey;
  readonly counters: Readonly<Counters>;
  /** True if `submitSync` and `readSync` work. */
  readonly blocking: boolean;
  /** Writes are enqueued behind what runs and copied at once: memory that is in use may be written for the next call. */
  readonly ordered?: boolean;
  /** Throws OutOfMemoryError. Contents are undefined. */
  alloc(bytes: number): Allocation;
  /** Maps an open file of that many bytes without a copy; undefined where the system refuses. Absent on devices that cannot: their callers copy. */
  map?(fd: number, bytes: number): FileMapping | undefined;
  /** Freed once nothing submitted uses it any more. */
  free(a: Allocation): void;
  /** Ordered after everything submitted so far. */
  write(to: Allocation, offset: number, data: Uint8Array): void;
  /**
   * Fills a buffer that nothing submitted uses with bytes that `read` puts, from `at` on, into memory that goes to the device by itself;
   * several parts are read at once. Absent where it would gain nothing.
   */
  fill?(to: Allocation, bytes: number, read: Read): Promise<void>;
  copy(from: Allocation, to: Allocation, bytes: number): void;
  read(from: Allocation, offset: number, bytes: number): Promise<Uint8Array>;
  readSync(from: Allocation, offset: number, bytes: number): Uint8Array;
  load(program: Program, options?: LoadOptions): Promise<Loaded>;
  loadSync(program: Program, options?: LoadOptions): Loaded;
  /** The whole program as one submission. Resolves when it has run; an abort rejects and leaves outputs undefined. */
  submit(loaded: Loaded, call: Call, signal?: AbortSignal): Promise<void>;
  /** The same, and by the device's own clock what each step took that it ran, by its number. Absent where it has no such clock. */
  submitTimed?(loaded: Loaded, call: Call, hear: HearStep, signal?: AbortSignal): Promise<void>;
  submitSync(loaded: Loaded, call: Call): void;
  /** Resolves when everything submitted has run. */
  sync(): Promise<void>;
  close(): Promise<void>;
}
