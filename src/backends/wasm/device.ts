/** The device for WebAssembly: one memory for everything, and one call that runs a whole program on a pool of threads. */

import { ArgumentError, DeviceError, OutOfMemoryError } from "../../core/errors.js";
import { warnOnce } from "../../core/warn.js";
import { Arena, type Block, Blocks } from "../../runtime/blocks.js";
import { cpu } from "../../runtime/cpu.js";
import type { Allocation, Call, Counters, Device, DeviceOptions, Loaded, LoadOptions } from "../../runtime/device.js";
import { checkAlive, type HostStep, hostSteps } from "../../runtime/encode.js";
import { runHost } from "../../runtime/host-step.js";
import { type Kept, LoadedProgram, ownLoaded } from "../../runtime/loaded.js";
import { Memory, memoryLimit, noCounters, showBytes } from "../../runtime/memory.js";
import { profile } from "../../runtime/profile.js";
import type { HostFunction, Program, TargetKey } from "../../runtime/program.js";
import { afterwards, breathe, inTurn, type Job, Queue, runBlocking } from "../../runtime/queue.js";
import { type WasmFunction, type WasmMemory, webAssembly } from "./api.js";
import { control, controlBytes } from "./control.js";
import { driver } from "./driver.js";
import { hasRelaxed, optimizeAtOnce } from "./engine.js";
import { Heap, mostBytes } from "./heap.js";
import { copyPlace, type Held, Kernels } from "./kernels.js";
import { wasmKey } from "./key.js";
import { Pool } from "./pool.js";
import { type Places, type Segment, Table, type Words } from "./table.js";
import { canShare, type Thread, threadMaker } from "./workers.js";

const profiled = profile();

class WasmLoaded extends LoadedProgram<WasmDevice> {
  readonly table: Table;
  readonly kernels: Held;
  /** Expected run time in milliseconds at the dims of the last call. */
  expected = Number.POSITIVE_INFINITY;
  dims: readonly number[] | undefined;
  constructor(kept: Kept<WasmDevice>, table: Table, kernels: Held) {
    super(kept);
    this.table = table;
    this.kernels = kernels;
  }
}

type Native = Extract<Segment, { readonly kind: "native" }>;

/** Programs shorter than this run on the calling thread: handing them to another costs about as much. */
const shortMs = 0.2;
/** The first bytes of the memory hold the control block. */
const firstBlock = 64;

/** Whether this thread may wait for others: everywhere but on the main thread of a page. */
const mayWait = (): boolean => typeof (globalThis as { document?: unknown }).document === "undefined";

/** Opens the device: as many threads as there are cores, or one where memory cannot be shared. `maker` makes them (for tests). */
export async function openWasm(key: TargetKey = wasmKey(hasRelaxed()), options: DeviceOptions = {}, maker?: () => Thread): Promise<Device> {
  const threads = options.threads ?? cpu().cores;
  if (!Number.isInteger(threads) || threads < 1 || threads > 256)
    throw new ArgumentError(`a pool of ${threads} threads cannot be made; threads is a whole number from 1 to 256`);
  optimizeAtOnce();
  const shared = canShare();
  if (!shared && threads > 1)
    warnOnce(
      "the page is not isolated from other origins, so the wasm device has one thread: serve it with Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp",
    );
  const make = shared ? (maker ?? threadMaker()) : undefined;
  return new WasmDevice(key, shared ? threads : 1, make, options.guard ?? false);
}

class WasmDevice implements Device {
  readonly name = "wasm";
  readonly blocking: boolean = mayWait();
  readonly key: TargetKey;
  readonly counters: Counters = noCounters();
  readonly #wasm: WasmMemory;
  readonly #memory: Memory<number>;
  readonly #queue = new Queue();
  readonly #kernels: Kernels;
  readonly #pool: Pool | undefined;
  readonly #threads: number;
  #control: Int32Array;
  readonly #run: WasmFunction;
  readonly #blocks: Blocks<number, number>;
  readonly #arena: Arena<number>;
  readonly #places: Places;
  #bytes = new Uint8Array();
  #scratch = { addresses: [] as number[], bytes: 0 };
  #closed: Promise<void> | undefined;

  constructor(key: TargetKey, threads: number, make: (() => Thread) | undefined, guard: boolean) {
    this.key = key;
    this.#threads = threads;
    const shared = make !== undefined;
    this.#wasm = new webAssembly.Memory({ initial: 16, maximum: 65536, shared });
    const heap = new Heap(this.#wasm, Math.ceil((firstBlock + controlBytes(threads)) / 64) * 64);
    this.#memory = new Memory<number>(
      "the wasm device",
      { take: (bytes) => heap.take(bytes), give: (at, bytes) => heap.give(at, bytes) },
      this.counters,
      Math.min(memoryLimit(), mostBytes),
    );
    this.#kernels = new Kernels(this.#wasm, shared);
    const module = this.#kernels.fixed("driver", driver);
    this.#run = this.#kernels.instance(module)["run"]!;
    this.#control = new Int32Array(this.#wasm.buffer, firstBlock, controlBytes(threads) / 4);
    this.#control[control.threads / 4] = 1;
    if (make) this.#pool = new Pool({ memory: this.#wasm, driver: module, kernels: this.#kernels, control: firstBlock, threads, make });
    this.#arena = new Arena(this.#memory, "the arena of temporaries");
    const ground = {
      memory: this.#memory,
      nowhere: firstBlock,
      place: (base: number, offset: number) => base + offset,
      mark: (at: number, byte: number, bytes: number) => void this.#view(at, bytes).fill(byte),
      differs: (at: number, byte: number, bytes: number) => this.#view(at, bytes).findIndex((x) => x !== byte),
      later: (work: () => void) => this.later(work),
    };
    this.#blocks = new Blocks(ground, guard);
    this.#places = {
      of: (a) => BigInt((a as Block<number, number>).place),
      arena: (bytes) => BigInt(this.#arena.atLeast(bytes, 0)),
      within: (base, offset) => base + BigInt(offset),
      words: (words, old) => this.#tableOf(words, old),
      view: () => new Uint32Array(this.#wasm.buffer),
      copy: copyPlace,
    };
  }

  alloc(bytes: number): Allocation {
    this.#fits(bytes, "a buffer");
    return this.#blocks.alloc(bytes);
  }
  free(a: Allocation): void {
    this.#blocks.free(a);
  }
  write(to: Allocation, offset: number, data: Uint8Array): void {
    const { place } = this.#blocks.writable(to, offset, data.length);
    const copy = this.#queue.idle ? data : data.slice();
    this.later(() => this.#view(place + offset, copy.length).set(copy));
  }
  copy(from: Allocation, to: Allocation, bytes: number): void {
    const [a, b] = [this.#blocks.alive(from, 0, bytes), this.#blocks.writable(to, 0, bytes)];
    this.later(() => this.#view(b.place, bytes).set(this.#view(a.place, bytes)));
  }
  async read(from: Allocation, offset: number, bytes: number): Promise<Uint8Array> {
    const { place } = this.#blocks.alive(from, offset, bytes);
    return inTurn(this.#queue, () => this.#out(place + offset, bytes));
  }
  readSync(from: Allocation, offset: number, bytes: number): Uint8Array {
    const { place } = this.#blocks.alive(from, offset, bytes);
    this.#waits();
    this.#queue.drain();
    return this.#out(place + offset, bytes);
  }

  async load(program: Program, options: LoadOptions = {}): Promise<Loaded> {
    const host = this.#check(program, options);
    const kernels = await this.#kernels.load(program);
    return this.#loaded(program, host, kernels);
  }
  loadSync(program: Program, options: LoadOptions = {}): Loaded {
    const host = this.#check(program, options);
    return this.#loaded(program, host, this.#kernels.loadSync(program));
  }
  submit(loaded: Loaded, call: Call, signal?: AbortSignal): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      signal?.throwIfAborted();
      this.#queue.push(this.#job(loaded, call, resolve, reject, signal));
    }).then(breathe);
  }
  submitSync(loaded: Loaded, call: Call): void {
    this.#waits();
    runBlocking(this.#queue, (done, fail) => this.#job(loaded, call, done, fail));
  }
  sync(): Promise<void> {
    return inTurn(this.#queue, () => this.#blocks.settled());
  }
  close(): Promise<void> {
    this.#closed ??= inTurn(this.#queue, () => {
      this.#arena.release();
      for (const at of this.#scratch.addresses) this.#memory.give(at, this.#scratch.bytes);
      this.#memory.trim(0);
    }).then(() => this.#pool?.close());
    this.#blocks.close();
    return this.#closed;
  }

  /** Does something once everything submitted so far has run. */
  later(work: () => void): void {
    afterwards(this.#queue, work, (error) => this.#blocks.blame(error));
  }

  #waits(): void {
    if (!this.blocking) throw new DeviceError("the main thread of a page cannot wait: await the results, or work in a Web Worker");
  }
  #check(program: Program, options: LoadOptions): ReadonlyMap<string, HostFunction> {
    this.#blocks.open();
    options.signal?.throwIfAborted();
    return hostSteps(program, options.host);
  }
  #loaded(program: Program, host: ReadonlyMap<string, HostFunction>, kernels: Held): Loaded {
    const constants: { address: number; bytes: number }[] = [];
    let table: Table | undefined;
    const give = (): void => {
      for (const c of constants) this.#memory.give(c.address, c.bytes);
      if (table?.words) this.#memory.give(table.words.address, 4 * table.words.count);
      kernels.release();
    };
    try {
      this.#blocks.open();
      this.counters.builds += kernels.built;
      const places = program.buffers.map((b): bigint | undefined => {
        if (b.role !== "constant") return undefined;
        const data = b.data ?? new Uint8Array();
        if (!data.length) return BigInt(firstBlock);
        const address = this.#take(data.length, "constants");
        constants.push({ address, bytes: data.length });
        this.#view(address, data.length).set(data);
        return BigInt(address);
      });
      table = new Table(program, kernels.places, places, this.#places, profiled !== undefined);
      return new WasmLoaded({ device: this, program, host, give }, table, kernels);
    } catch (error) {
      give();
      throw error;
    }
  }

  #job(given: Loaded, call: Call, resolve: () => void, reject: (error: unknown) => void, signal?: AbortSignal): Job {
    this.#blocks.open();
    const loaded = ownLoaded(given, WasmLoaded, this);
    checkAlive(loaded.program, call);
    let at = 0;
    let begun = false;
    let since = 0;
    let ended: { readonly result: number; readonly why: Error | undefined } | undefined;
    let waiting = 0;
    const stop = (): void => {
      if (begun) Atomics.store(this.#words, control.abort / 4, 1);
      else if (this.#queue.remove(job)) reject(signal!.reason);
    };
    signal?.addEventListener("abort", stop, { once: true });
    const account = ({ launches, step }: Native): void => {
      const { result, why } = ended!;
      ended = undefined;
      this.counters.launches += launches;
      const ms = performance.now() - since;
      profiled?.add(loaded.program, step, ms * 1e6, loaded.table.sizes);
      loaded.expected = ms < loaded.expected ? ms : 0.8 * loaded.expected + 0.2 * ms;
      if (why) throw why;
      if (result === 1) throw signal?.reason ?? new DeviceError(`${loaded.program.name} was stopped`);
      if (result === 2) {
        const said = this.#pool?.trouble();
        this.#pool?.reset();
        throw new DeviceError(`${loaded.program.name} could not run${said ? `: ${said}` : ""}`);
      }
    };
    const job: Job = {
      step: (blocking, wake) => {
        const { table } = loaded;
        if (!begun) {
          begun = true;
          signal?.throwIfAborted();
          Atomics.store(this.#words, control.abort / 4, 0);
          Atomics.store(this.#words, control.failed / 4, 0);
          table.prepare(call, this.#places);
          this.#reserve(table.scratchBytes);
          if (loaded.dims !== call.dims && String(loaded.dims) !== String(call.dims)) loaded.expected = Number.POSITIVE_INFINITY;
          loaded.dims = call.dims;
          this.counters.submissions++;
        }
        const segment = table.segments[at];
        if (ended && segment?.kind === "native") {
          account(segment);
          at++;
          return at === table.segments.length ? "done" : "more";
        }
        if (!segment) return "done";
        if (segment.kind === "host") {
          const since = performance.now();
          this.#host(loaded, segment.call);
          profiled?.add(loaded.program, segment.step, (performance.now() - since) * 1e6, table.sizes);
          at++;
          signal?.throwIfAborted();
          return "more";
        }
        const from = table.words!.address + 4 * segment.at;
        const to = from + 4 * segment.words;
        since = performance.now();
        this.#pool?.ready();
        if (!this.#pool || (blocking && this.blocking) || (this.blocking && loaded.expected < shortMs)) {
          ended = this.#here(loaded, from, to);
          account(segment);
          return ++at === table.segments.length ? "done" : "more";
        }
        waiting = this.#pool.run(from, to, (result, why) => {
          waiting = 0;
          ended = { result, why };
          wake();
        });
        return "waiting";
      },
      block: () => {
        if (!waiting) return;
        waiting = 0;
        ended = { result: this.#pool!.wait(), why: undefined };
      },
      done: () => {
        signal?.removeEventListener("abort", stop);
        resolve();
      },
      fail: (error) => {
        signal?.removeEventListener("abort", stop);
        reject(error);
      },
    };
    return job;
  }
  /** Runs part of a table on this thread, the others helping. */
  #here(loaded: WasmLoaded, from: number, to: number): { result: number; why: Error | undefined } {
    this.#kernels.bringHere(loaded.kernels.places);
    try {
      return { result: this.#run(firstBlock, from, to), why: undefined };
    } catch (cause) {
      this.#pool?.reset();
      return { result: 2, why: new DeviceError(`${loaded.program.name} could not run: ${(cause as Error).message}`, { cause }) };
    }
  }

  #host(loaded: WasmLoaded, step: HostStep): void {
    const { table, host } = loaded;
    const at = (b: number): number => Number(table.address(b, this.#places));
    runHost(step, {
      functions: host,
      sizes: table.sizes,
      bytes: table.bytes,
      read: (b) => this.#out(at(b), table.bytes[b]!),
      write: (b, bytes) => this.#view(at(b), bytes.length).set(bytes),
    });
    this.counters.hostSteps++;
  }

  /** The control block. Memory that is not shared moves when it grows. */
  get #words(): Int32Array {
    if (this.#control.buffer !== this.#wasm.buffer)
      this.#control = new Int32Array(this.#wasm.buffer, firstBlock, controlBytes(this.#threads) / 4);
    return this.#control;
  }
  /** Bytes of the memory, as it is now. */
  #view(address: number, bytes: number): Uint8Array {
    if (this.#bytes.buffer !== this.#wasm.buffer) this.#bytes = new Uint8Array(this.#wasm.buffer);
    return this.#bytes.subarray(address, address + bytes);
  }
  #out(address: number, bytes: number): Uint8Array {
    const out = new Uint8Array(bytes);
    out.set(this.#view(address, bytes));
    return out;
  }
  /** Says so where it is WebAssembly that has no more. */
  #fits(bytes: number, what: string): void {
    const all = bytes + this.counters.bytes;
    if (all > mostBytes && all <= memoryLimit())
      throw new OutOfMemoryError(
        `the wasm device has no memory for ${what} of ${showBytes(bytes)}: ${showBytes(this.counters.bytes)} are held, and WebAssembly reaches 4 GiB with its ` +
          "32-bit addresses. A larger model runs on c, webgpu or cuda; bf16 weights take half",
      );
  }
  #take(bytes: number, what: string): number {
    this.#fits(bytes, what);
    return this.#memory.take(bytes, what);
  }
  #tableOf(words: number, old: Words | undefined): Words {
    if (old && old.count >= words) return old;
    const address = this.#take(words * 4, "a program's table");
    if (old) this.#memory.give(old.address, 4 * old.count);
    return { address, count: words };
  }
  /** Scratch of that size for every thread. */
  #reserve(bytes: number): void {
    if (bytes <= this.#scratch.bytes) return;
    for (const at of this.#scratch.addresses) this.#memory.give(at, this.#scratch.bytes);
    this.#scratch = { addresses: [], bytes };
    for (let i = 0; i < this.#threads; i++) {
      const at = this.#take(bytes, "the kernels' scratch");
      this.#scratch.addresses.push(at);
      this.#words[control.scratch / 4 + i] = at;
    }
  }
}
