/**
 * An NVIDIA GPU. Everything happens in the order of one stream: a program is enqueued at once, and whoever waits for it waits for a
 * point of the stream, so memory may be used again as soon as what used it is enqueued.
 */
import { ArgumentError } from "../../core/errors.js";
import { Arena, type Block, Blocks } from "../../runtime/blocks.js";
import type { Allocation, Call, Counters, Device, DeviceOptions, Loaded, LoadOptions, Read } from "../../runtime/device.js";
import { checkAlive, type HostStep, hostSteps } from "../../runtime/encode.js";
import { ffi } from "../../runtime/ffi.js";
import { runHost } from "../../runtime/host-step.js";
import { type Kept, LoadedProgram, ownLoaded } from "../../runtime/loaded.js";
import { Memory, memoryLimit, noCounters } from "../../runtime/memory.js";
import type { HostFunction, Program, TargetKey } from "../../runtime/program.js";
import { afterwards, inTurn, type Job, Queue, runBlocking } from "../../runtime/queue.js";
import { type Driver, driver, type Gpu, gpuAt } from "./driver.js";
import { Fences, failure } from "./fences.js";
import { cudaKey } from "./key.js";
import { Landings } from "./landings.js";
import type { HostMemory, Places } from "./launch.js";
import type { Launches } from "./launches.js";
import { Loader, type Ready } from "./loader.js";
import { Modules } from "./modules.js";
import { type Ground, Run } from "./run.js";
import { Slabs } from "./slabs.js";
import { Staging } from "./staging.js";

class CudaLoaded extends LoadedProgram<CudaDevice> {
  readonly launches: Launches;
  constructor(kept: Kept<CudaDevice>, launches: Launches) {
    super(kept);
    this.launches = launches;
  }
  /** A device that closes takes its programs with it: calls for their graphs and events would reach a stream that is gone. */
  override unload(): void {
    if (!this.device.closed) super.unload();
  }
}

/** Results come back in pieces of at most this size. */
const readBytes = 64 << 20;

/** A library computes attention where it is faster by more than what its workspace, and a graph of its own in the program's, are worth. */
const clearly = 0.93;

/** Opens a GPU. A library computes attention where it takes at most `margin` times as long as kernels do. */
export async function openCuda(options: DeviceOptions = {}, margin: number = clearly): Promise<Device> {
  const index = options.index ?? 0;
  if (!Number.isInteger(index) || index < 0) throw new ArgumentError(`cuda:${index} is no device; GPUs are numbered from 0`);
  return new CudaDevice(driver(), gpuAt(index), options, margin);
}

/** The context that this thread's calls go to. */
let current = 0n;

class CudaDevice implements Device {
  readonly name: string;
  readonly blocking = true;
  readonly ordered = true;
  readonly key: TargetKey;
  readonly counters: Counters = noCounters();
  readonly #driver: Driver;
  readonly #gpu: Gpu;
  readonly #context: bigint;
  readonly #stream: bigint;
  readonly #slabs: Slabs;
  readonly #memory: Memory<bigint>;
  readonly #pinned: Memory<bigint>;
  readonly #landings: Landings;
  readonly #staging: Staging;
  readonly #fences: Fences;
  readonly #modules: Modules;
  readonly #queue = new Queue();
  readonly #empty: bigint;
  readonly #blocks: Blocks<bigint, bigint>;
  readonly #arena: Arena<bigint>;
  readonly #places: Places;
  readonly #ground: Ground;
  readonly #loader: Loader;
  /** What gives back each program that is loaded. */
  readonly #programs = new Set<() => void>();
  #closed: Promise<void> | undefined;

  constructor(d: Driver, gpu: Gpu, options: DeviceOptions, margin: number) {
    this.#driver = d;
    this.#gpu = gpu;
    this.name = gpu.index ? `cuda:${gpu.index}` : "cuda";
    this.key = cudaKey(gpu.sm);
    this.#context = d.made("cuDevicePrimaryCtxRetain", gpu.index);
    this.#enter();
    this.#stream = d.made("cuStreamCreate", 1);
    const limit = process.env["TREEPIE_MEMORY_LIMIT"] ? memoryLimit() : gpu.bytes;
    const source = (take: "cuMemAlloc_v2" | "cuMemHostAlloc", give: "cuMemFree_v2" | "cuMemFreeHost", ...more: number[]) => ({
      take: (bytes: number): bigint | undefined => {
        this.#enter();
        const at = new BigInt64Array(1);
        const code = d.code(take, at, bytes, ...more);
        if (code === 2) return undefined;
        d.check(code, take);
        return at[0];
      },
      give: (address: bigint): void => {
        this.#enter();
        d.call(give, address);
      },
    });
    this.#slabs = new Slabs({ ...source("cuMemAlloc_v2", "cuMemFree_v2"), available: (): number => this.#free() });
    this.#memory = new Memory(`the ${this.name} device`, this.#slabs, this.counters, limit);
    this.#pinned = new Memory("pinned host memory", source("cuMemHostAlloc", "cuMemFreeHost", 0), noCounters());
    this.#landings = new Landings(this.#pinned);
    this.#staging = new Staging(d, this.#stream);
    this.#fences = new Fences(d, this.#stream, () => this.#enter());
    this.#modules = new Modules(d);
    this.#empty = d.made("cuMemAlloc_v2", 256);
    this.#arena = new Arena(this.#memory, "the arena of temporaries");
    const ground = {
      memory: this.#memory,
      nowhere: this.#empty,
      place: (base: bigint, offset: number) => base + BigInt(offset),
      mark: (at: bigint, byte: number, bytes: number) => this.#fill(at, byte, bytes),
      differs: (at: bigint, byte: number, bytes: number) => this.#bytes(at, bytes).findIndex((b) => b !== byte),
      later: (work: () => void) => this.later(work),
    };
    this.#blocks = new Blocks(ground, options.guard ?? false);
    this.#places = {
      of: (a) => (a as Block<bigint, bigint>).place,
      arena: (bytes) => this.#arena.atLeast(bytes, 0n),
      within: (base, offset) => base + BigInt(offset),
      host: (bytes, old) => this.#hostMemory(bytes, old),
      copy: () => this.#loader.copy,
      take: (bytes) => this.#memory.take(bytes, "the workspace of library calls"),
      give: (address, bytes) => this.#memory.give(address, bytes),
      settled: (work) => this.#fences.after(work),
    };
    this.#loader = new Loader({
      driver: d,
      gpu,
      stream: this.#stream,
      memory: this.#memory,
      pinned: this.#pinned,
      staging: this.#staging,
      fences: this.#fences,
      modules: this.#modules,
      places: this.#places,
      counters: this.counters,
      empty: this.#empty,
      margin,
      alloc: (bytes) => this.alloc(bytes),
      free: (a) => this.free(a),
      enter: () => this.#enter(),
    });
    this.#ground = {
      stream: this.#stream,
      queue: this.#queue,
      fences: this.#fences,
      places: this.#places,
      counters: this.counters,
      enter: () => this.#enter(),
      host: (loaded, step) => this.#host(loaded as CudaLoaded, step),
    };
  }

  alloc(bytes: number): Allocation {
    return this.#blocks.alloc(bytes);
  }

  free(a: Allocation): void {
    this.#blocks.free(a);
  }

  write(to: Allocation, offset: number, data: Uint8Array): void {
    const block = this.#blocks.alive(to, offset, data.length);
    if (data.length === 0) return;
    const copy = this.#queue.idle ? data : data.slice();
    this.later(() => this.#staging.upload(block.place + BigInt(offset), copy));
  }

  async fill(to: Allocation, bytes: number, read: Read): Promise<void> {
    const block = this.#blocks.alive(to, 0, bytes);
    this.#enter();
    await this.#staging.fill(block.place, bytes, async (at, into) => {
      await read(at, into);
      this.#blocks.open();
      this.#enter();
    });
  }

  copy(from: Allocation, to: Allocation, bytes: number): void {
    const [a, b] = [this.#blocks.alive(from, 0, bytes), this.#blocks.alive(to, 0, bytes)];
    if (bytes) this.later(() => this.#driver.call("cuMemcpyDtoDAsync_v2", b.place, a.place, bytes, this.#stream));
  }

  read(from: Allocation, offset: number, bytes: number): Promise<Uint8Array> {
    const block = this.#blocks.alive(from, offset, bytes);
    return new Promise((resolve, reject) => {
      if (bytes === 0) return resolve(new Uint8Array());
      let out: Uint8Array | undefined;
      let at = 0;
      const part = (reached: (error?: Error) => void): boolean => {
        const n = Math.min(readBytes, bytes - at);
        const [start, landing] = [at, this.#landings.take(n)];
        at += n;
        this.#enter();
        this.#driver.call("cuMemcpyDtoHAsync_v2", landing.address, block.place + BigInt(offset + start), n, this.#stream);
        this.#fences.after((error) => {
          if (n === bytes) out = landing.bytes.slice(0, n);
          else (out ??= new Uint8Array(bytes)).set(landing.bytes.subarray(0, n), start);
          this.#landings.give(landing);
          reached(error);
        });
        return at === bytes;
      };
      let failed: Error | undefined;
      this.#queue.push({
        step: (blocking, wake) => {
          if (failed) throw failed;
          const last = bytes - at <= readBytes;
          part((error) => {
            failed ??= error;
            if (!last) wake();
            else if (failed) reject(failed);
            else resolve(out!);
          });
          if (last) return "done";
          if (blocking) this.#fences.drain();
          return blocking ? "more" : "waiting";
        },
        block: () => this.#fences.drain(),
        done: () => {},
        fail: reject,
      });
    });
  }
  readSync(from: Allocation, offset: number, bytes: number): Uint8Array {
    const block = this.#blocks.alive(from, offset, bytes);
    this.#queue.drain();
    return this.#bytes(block.place + BigInt(offset), bytes);
  }

  async load(program: Program, options: LoadOptions = {}): Promise<Loaded> {
    const host = this.#check(program, options);
    return this.#loaded(program, host, await this.#loader.load(program, options.signal));
  }
  loadSync(program: Program, options: LoadOptions = {}): Loaded {
    const host = this.#check(program, options);
    return this.#loaded(program, host, this.#loader.loadSync(program));
  }

  submit(loaded: Loaded, call: Call, signal?: AbortSignal): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      signal?.throwIfAborted();
      this.#queue.push(this.#job(loaded, call, resolve, reject, signal));
    });
  }
  submitSync(loaded: Loaded, call: Call): void {
    runBlocking(this.#queue, (done, fail) => this.#job(loaded, call, done, fail));
    this.#finish();
  }

  sync(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#queue.push({
        step: () => {
          this.#blocks.inspect();
          return "done";
        },
        done: () =>
          this.#fences.after((error) => {
            const fault = this.#blocks.fault() ?? error;
            if (fault) reject(fault);
            else resolve();
          }),
        fail: reject,
      });
    });
  }

  close(): Promise<void> {
    this.#closed ??= inTurn(this.#queue, () => {
      this.#enter();
      for (const give of this.#programs) give();
      this.#fences.drain();
      this.#arena.release();
      this.#memory.trim(0);
      this.#slabs.close();
      this.#landings.close();
      this.#pinned.trim(0);
      this.#staging.close();
      this.#fences.close();
      this.#modules.close();
      this.#loader.close();
      this.#driver.call("cuMemFree_v2", this.#empty);
      this.#driver.call("cuStreamDestroy_v2", this.#stream);
      this.#driver.call("cuDevicePrimaryCtxRelease_v2", this.#gpu.index);
      current = 0n;
    });
    this.#blocks.close();
    return this.#closed;
  }

  get closed(): boolean {
    return this.#closed !== undefined;
  }

  /** Does something once everything submitted so far has been enqueued. */
  later(work: () => void): void {
    const entered = (): void => {
      this.#enter();
      work();
    };
    afterwards(this.#queue, entered, (error) => this.#blocks.blame(error));
  }

  #check(program: Program, options: LoadOptions): ReadonlyMap<string, HostFunction> {
    this.#blocks.open();
    options.signal?.throwIfAborted();
    return hostSteps(program, options.host);
  }
  #loaded(program: Program, host: ReadonlyMap<string, HostFunction>, { launches, give }: Ready): Loaded {
    this.#blocks.open();
    const once = (): void => {
      if (this.#programs.delete(once)) give();
    };
    this.#programs.add(once);
    return new CudaLoaded({ device: this, program, host, give: once }, launches);
  }

  #job(which: Loaded, call: Call, resolve: () => void, reject: (error: unknown) => void, signal?: AbortSignal): Job {
    this.#blocks.open();
    const loaded = ownLoaded(which, CudaLoaded, this);
    checkAlive(loaded.program, call);
    return new Run(this.#ground, loaded, call, resolve, reject, signal);
  }

  #host(loaded: CudaLoaded, step: HostStep): void {
    const { launches } = loaded;
    runHost(step, {
      functions: loaded.host,
      sizes: launches.sizes,
      bytes: launches.bytes,
      read: (b) => this.#bytes(launches.address(b, this.#places), launches.bytes[b]!),
      write: (b, bytes) => this.#staging.upload(launches.address(b, this.#places), bytes),
    });
    this.counters.hostSteps++;
  }

  /** Bytes of device memory, blocking. */
  #bytes(address: bigint, bytes: number): Uint8Array {
    const out = new Uint8Array(bytes);
    this.#enter();
    if (bytes) this.#driver.call("cuMemcpyDtoHAsync_v2", out, address, bytes, this.#stream);
    this.#finish();
    return out;
  }
  #finish(): void {
    const code = this.#driver.code("cuStreamSynchronize", this.#stream);
    if (code) throw failure(this.#driver, code);
  }
  #fill(address: bigint, byte: number, bytes: number): void {
    this.#enter();
    this.#driver.call("cuMemsetD8Async", address, byte, bytes, this.#stream);
  }
  #free(): number {
    const [free, total] = [new BigInt64Array(1), new BigInt64Array(1)];
    this.#enter();
    this.#driver.call("cuMemGetInfo_v2", free, total);
    return Number(free[0]);
  }
  #hostMemory(bytes: number, old: HostMemory | undefined): HostMemory {
    if (old && old.bytes.byteLength >= bytes) return old;
    const address = this.#pinned.take(bytes, "a program's launches");
    if (old) this.#pinned.give(old.address, old.bytes.byteLength);
    return { address, bytes: ffi().view(address, bytes) };
  }
  /** Makes this GPU the one that calls of this thread go to. */
  #enter(): void {
    if (current === this.#context) return;
    this.#driver.call("cuCtxSetCurrent", this.#context);
    current = this.#context;
  }
}
