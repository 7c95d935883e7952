/** The c device on a machine without a C compiler: its native half comes with the first program, which must be a binary. */
import { DeviceError, UnsupportedError } from "../../core/errors.js";
import type { Allocation, Call, Counters, Device, Loaded, LoadOptions } from "../../runtime/device.js";
import { noCounters } from "../../runtime/memory.js";
import type { Program, TargetKey } from "../../runtime/program.js";

/** Opens the real device around a native half that was compiled elsewhere. */
export type OpenWith = (library: Uint8Array) => Promise<Device>;

/** Until a program is loaded there is nothing but the key. `why` there is no compiler. */
export class LateDevice implements Device {
  readonly name = "c";
  readonly blocking = true;
  readonly ordered = true;
  readonly key: TargetKey;
  readonly #why: string;
  readonly #open: OpenWith;
  readonly #entry: string;
  #opening: Promise<Device> | undefined;
  #device: Device | undefined;

  /** `entry` names the kernel whose library holds the native half. */
  constructor(key: TargetKey, why: string, entry: string, open: OpenWith) {
    this.key = key;
    this.#why = why;
    this.#open = open;
    this.#entry = entry;
  }

  get counters(): Readonly<Counters> {
    return this.#device?.counters ?? noCounters();
  }
  async load(program: Program, options?: LoadOptions): Promise<Loaded> {
    const { source } = program.kernels.find((k) => k.entry === this.#entry) ?? {};
    if (!this.#device && !(source instanceof Uint8Array))
      throw new UnsupportedError(
        `${program.name} is not machine code, and the c device needs a C compiler for it: ${this.#why}; or export the program with --binary, or use the wasm device`,
      );
    this.#opening ??= this.#open(source as Uint8Array);
    this.#device = await this.#opening;
    return this.#device.load(program, options);
  }
  loadSync(program: Program, options?: LoadOptions): Loaded {
    return this.#real().loadSync(program, options);
  }
  alloc(bytes: number): Allocation {
    return this.#real().alloc(bytes);
  }
  free(a: Allocation): void {
    this.#real().free(a);
  }
  write(to: Allocation, offset: number, data: Uint8Array): void {
    this.#real().write(to, offset, data);
  }
  copy(from: Allocation, to: Allocation, bytes: number): void {
    this.#real().copy(from, to, bytes);
  }
  async read(from: Allocation, offset: number, bytes: number): Promise<Uint8Array> {
    return this.#real().read(from, offset, bytes);
  }
  readSync(from: Allocation, offset: number, bytes: number): Uint8Array {
    return this.#real().readSync(from, offset, bytes);
  }
  async submit(loaded: Loaded, call: Call, signal?: AbortSignal): Promise<void> {
    return this.#real().submit(loaded, call, signal);
  }
  submitSync(loaded: Loaded, call: Call): void {
    this.#real().submitSync(loaded, call);
  }
  async sync(): Promise<void> {
    await this.#device?.sync();
  }
  async close(): Promise<void> {
    await (await this.#opening)?.close();
  }
  #real(): Device {
    if (!this.#device)
      throw new DeviceError(
        `the c device is not ready: without a C compiler (${this.#why}) it needs a program of machine code to be loaded first`,
      );
    return this.#device;
  }
}
