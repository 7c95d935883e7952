/**
 * The CPU device for compiled C: a whole program is one request to a persistent pool of threads, which goes from one to the next in the
 * order of submission while nobody waits.
 */
import { ArgumentError, InternalError, OutOfMemoryError } from "../../core/errors.js";
import { Arena, Blocks } from "../../runtime/blocks.js";
import { Choices } from "../../runtime/choices.js";
import { cpu } from "../../runtime/cpu.js";
import type { Allocation, Call, Counters, Device, DeviceOptions, FileMapping, Loaded, LoadOptions } from "../../runtime/device.js";
import { checkAlive, type HostStep, hostSteps } from "../../runtime/encode.js";
import { runHost } from "../../runtime/host-step.js";
import { ownLoaded } from "../../runtime/loaded.js";
import { Memory, noCounters } from "../../runtime/memory.js";
import { profile } from "../../runtime/profile.js";
import type { HostFunction, Program, TargetKey } from "../../runtime/program.js";
import { afterwards, breathe, Queue, runBlocking } from "../../runtime/queue.js";
import { type BlasFile, findBlas } from "./blas.js";
import { findCompiler } from "./cc.js";
import { Code } from "./code.js";
import { cKey } from "./key.js";
import { LateDevice } from "./late.js";
import { CLoaded } from "./loaded.js";
import { Mapping, type NativeBlock } from "./mapping.js";
import { type Bench, measureStep } from "./measure.js";
import { BlasMultiplier, clearly } from "./multiply.js";
import { type Native, native } from "./native.js";
import { copyEntry } from "./pool.js";
import { type Ground, Run } from "./run.js";
import { Stream } from "./stream.js";
import { type Chooser, type Places, Table } from "./table.js";
import { Transfers } from "./transfers.js";

const profiled = profile();

/** A library of products, and in how much of its kernel's time it has to multiply to be taken: by default clearly less. */
export type Library = BlasFile & { readonly margin?: number };

/** Opens the device. Compiles its native half on first use; without a compiler that comes with the first program. */
export async function openC(
  key: TargetKey = cKey(),
  options: DeviceOptions = {},
  library: Library | "none" = findBlas() ?? "none",
): Promise<Device> {
  const threads = options.threads ?? cpu().cores;
  if (!Number.isInteger(threads) || threads < 1 || threads > 1024)
    throw new ArgumentError(`a pool of ${threads} threads cannot be made; threads is a whole number from 1 to 1024`);
  const open = async (half?: Uint8Array): Promise<Device> => new CDevice(await native(half), key, threads, options.guard ?? false, library);
  const compiler = findCompiler();
  return typeof compiler === "string" ? new LateDevice(key, compiler, copyEntry, open) : open();
}

class CDevice implements Device {
  readonly name = "c";
  readonly blocking = true;
  readonly ordered = true;
  readonly key: TargetKey;
  readonly counters: Counters = noCounters();
  readonly #native: Native;
  readonly #memory: Memory<bigint>;
  readonly #queue = new Queue();
  readonly #stream: Stream;
  readonly #transfers: Transfers;
  readonly #ground: Ground;
  readonly #empty: bigint;
  readonly #blocks: Blocks<bigint, bigint>;
  readonly #arena: Arena<bigint>;
  readonly #places: Places;
  readonly #mappings = new Set<Mapping>();
  readonly #multiplier: BlasMultiplier | undefined;
  #scratch = 0;
  #closed: Promise<void> | undefined;

  constructor(n: Native, key: TargetKey, threads: number, guard: boolean, library: Library | "none") {
    this.#native = n;
    this.key = key;
    this.#memory = new Memory<bigint>(
      "the c device",
      { take: (bytes) => n.alloc(bytes) || undefined, give: (address) => n.free(address) },
      this.counters,
    );
    this.#empty = n.alloc(64);
    this.#stream = new Stream(n, threads);
    this.#transfers = new Transfers(n, this.#queue, this.#stream, (error) => this.#blocks.blame(error));
    this.#arena = new Arena(this.#memory, "the arena of temporaries");
    const ground = {
      memory: this.#memory,
      nowhere: this.#empty,
      place: (base: bigint, offset: number) => base + BigInt(offset),
      mark: n.fill,
      differs: n.differs,
      later: (work: () => void) => this.later(work),
    };
    this.#blocks = new Blocks(ground, guard);
    if (library !== "none") this.#multiplier = new BlasMultiplier(library, cpu().model, this.#stream.threads, library.margin ?? clearly);
    this.#places = {
      of: (a) => (a as NativeBlock).place,
      arena: (bytes) => this.#arena.atLeast(bytes, 0n),
      within: (base, offset) => base + BigInt(offset),
      copy: n.copy,
      product: n.product,
    };
    this.#ground = {
      queue: this.#queue,
      stream: this.#stream,
      places: this.#places,
      counters: this.counters,
      profile: profiled,
      reserve: (scratch) => this.#reserve(scratch),
      host: (loaded, step) => this.#host(loaded, step),
    };
  }

  alloc(bytes: number): Allocation {
    return this.#blocks.alloc(bytes);
  }

  map(fd: number, bytes: number): FileMapping | undefined {
    this.#blocks.open();
    const address = bytes > 0 ? this.#native.map(fd, bytes) : 0n;
    if (!address) return undefined;
    const mapping = new Mapping(this.#native, this.#blocks, this.counters, address, bytes, () => this.#mappings.delete(mapping));
    this.#mappings.add(mapping);
    return mapping;
  }

  free(a: Allocation): void {
    this.#blocks.free(a);
  }

  write(to: Allocation, offset: number, data: Uint8Array): void {
    const block = this.#blocks.writable(to, offset, data.length);
    if (data.length === 0) return;
    const place = block.place + BigInt(offset);
    if (block.used) this.#transfers.write(place, data);
    else this.#native.move(place, data, data.length);
  }

  copy(from: Allocation, to: Allocation, bytes: number): void {
    const [a, b] = [this.#blocks.alive(from, 0, bytes), this.#blocks.writable(to, 0, bytes)];
    a.used = b.used = true;
    this.#transfers.copy(a.place, b.place, bytes);
  }

  async read(from: Allocation, offset: number, bytes: number): Promise<Uint8Array> {
    const block = this.#blocks.alive(from, offset, bytes);
    block.used = true;
    return this.#transfers.read(block.place + BigInt(offset), bytes);
  }
  readSync(from: Allocation, offset: number, bytes: number): Uint8Array {
    const block = this.#blocks.alive(from, offset, bytes);
    this.#queue.drain();
    this.#stream.block();
    return this.#transfers.bytes(block.place + BigInt(offset), bytes);
  }

  async load(program: Program, options: LoadOptions = {}): Promise<Loaded> {
    const host = this.#check(program, options);
    const code = new Code(program, this.counters);
    await code.add(code.missing(options.dims), options);
    const loaded = this.#loaded(program, host, code);
    if (loaded.unmeasured) await this.#alone(() => this.#measure(loaded));
    return loaded;
  }
  loadSync(program: Program, options: LoadOptions = {}): Loaded {
    const host = this.#check(program, options);
    const code = new Code(program, this.counters);
    code.addSync(code.missing(options.dims));
    const loaded = this.#loaded(program, host, code);
    if (loaded.unmeasured) {
      this.#queue.drain();
      this.#stream.block();
      this.#measure(loaded);
    }
    return loaded;
  }

  submit(loaded: Loaded, call: Call, signal?: AbortSignal): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      signal?.throwIfAborted();
      this.#queue.push(this.#run(loaded, call, resolve, reject, signal));
    }).then(breathe);
  }
  submitSync(loaded: Loaded, call: Call): void {
    runBlocking(this.#queue, (done, fail) => this.#run(loaded, call, done, fail));
  }

  sync(): Promise<void> {
    return this.#alone(() => this.#blocks.settled());
  }

  close(): Promise<void> {
    this.#closed ??= this.#end();
    this.#blocks.close();
    return this.#closed;
  }
  async #end(): Promise<void> {
    await this.#alone(() => Promise.all([...this.#mappings].map((m) => m.end())));
    await this.#alone(() => this.#stream.close());
    this.#arena.release();
    this.#transfers.close();
    this.counters.bytes -= this.#stream.threads * this.#scratch;
    this.#memory.trim(0);
    this.#native.free(this.#empty);
    this.#native.held.release();
  }

  /** Does something once everything submitted so far has run; what is submitted later does not wait for it. */
  later(work: () => void): void {
    const blame = (error: Error): void => this.#blocks.blame(error);
    const guarded = (): void => {
      try {
        work();
      } catch (cause) {
        blame(new InternalError(`work after a program failed: ${(cause as Error).message}`, { cause }));
      }
    };
    afterwards(this.#queue, () => this.#stream.after(guarded), blame);
  }
  /** Does something once everything submitted so far has run, and before anything that is submitted later. */
  #alone<T>(work: () => T | Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      let result: T | Promise<T>;
      this.#queue.push({
        step: (blocking, wake) => {
          if (!this.#stream.alone(blocking, wake)) return "waiting";
          result = work();
          return "done";
        },
        block: () => this.#stream.block(),
        done: () => resolve(result),
        fail: reject,
      });
    });
  }

  #check(program: Program, options: LoadOptions): ReadonlyMap<string, HostFunction> {
    this.#blocks.open();
    options.signal?.throwIfAborted();
    return hostSteps(program, options.host);
  }
  #loaded(program: Program, host: ReadonlyMap<string, HostFunction>, code: Code): CLoaded {
    const constants: { address: bigint; bytes: number }[] = [];
    const give = (): void => {
      for (const c of constants) this.#memory.give(c.address, c.bytes);
      code.release();
    };
    try {
      this.#blocks.open();
      const places = program.buffers.map((b): bigint | undefined => {
        if (b.role !== "constant") return undefined;
        const data = b.data ?? new Uint8Array();
        if (!data.length) return this.#empty;
        const address = this.#memory.take(data.length, "constants");
        constants.push({ address, bytes: data.length });
        this.#native.move(address, data, data.length);
        return address;
      });
      const { functions } = code;
      const choices = this.#multiplier && new Choices(program, this.#multiplier, this.#multiplier.found);
      const choose: Chooser = (step, sizes) => {
        const chosen = choices?.choose(step, sizes);
        return chosen && this.#multiplier!.record(chosen);
      };
      const table = new Table(program, functions, places, profiled !== undefined, choose);
      const measure = choices?.unknown ? () => choices.measure((i) => measureStep(this.#bench(), program, i, functions)) : undefined;
      return new CLoaded({ device: this, program, host, give }, code, table, measure);
    } catch (error) {
      give();
      throw error;
    }
  }

  /** Measures a program's products, while nothing else runs. */
  #measure(loaded: CLoaded): void {
    try {
      this.#blocks.open();
      loaded.measure();
    } catch (error) {
      loaded.unload();
      throw error;
    }
  }
  #bench(): Bench {
    const record: Bench["record"] = (chosen) => this.#multiplier!.record(chosen);
    const run = (table: Table): number => {
      const [segment] = table.segments;
      if (segment?.kind !== "native") return 0;
      const { result, ns } = this.#stream.run(segment.records, table.scratchBytes);
      if (result !== "done") throw new OutOfMemoryError(`no memory for the scratch of a product of ${table.program.name}`);
      return ns / 1e9;
    };
    return { native: this.#native, places: this.#places, run, record };
  }

  #run(which: Loaded, call: Call, resolve: () => void, reject: (error: unknown) => void, signal?: AbortSignal): Run {
    this.#blocks.open();
    const loaded = ownLoaded(which, CLoaded, this);
    checkAlive(loaded.program, call);
    for (const a of call.buffers) if (a) (a as NativeBlock).used = true;
    return new Run(this.#ground, loaded, call, resolve, reject, signal);
  }

  #host(loaded: CLoaded, step: HostStep): void {
    const { table } = loaded;
    runHost(step, {
      functions: loaded.host,
      sizes: table.sizes,
      bytes: table.bytes,
      read: (b) => this.#transfers.bytes(table.address(b, this.#places), table.bytes[b]!),
      write: (b, bytes) => this.#native.move(table.address(b, this.#places), bytes, bytes.length),
    });
    this.counters.hostSteps++;
  }

  #reserve(scratch: number): void {
    if (scratch <= this.#scratch) return;
    this.counters.bytes += this.#stream.threads * (scratch - this.#scratch);
    this.counters.peakBytes = Math.max(this.counters.peakBytes, this.counters.bytes);
    this.#scratch = scratch;
  }
}
