/** The CPU device for compiled C: one native call runs a whole program on a persistent pool of threads. */
import { ArgumentError, DeviceError, InternalError, OutOfMemoryError } from "../../core/errors.js";
import { Arena, Blocks } from "../../runtime/blocks.js";
import { cpu } from "../../runtime/cpu.js";
import type { Allocation, Call, Counters, Device, DeviceOptions, FileMapping, Loaded, LoadOptions } from "../../runtime/device.js";
import { checkAlive, type HostStep, hostSteps } from "../../runtime/encode.js";
import { runHost } from "../../runtime/host-step.js";
import { Memory, noCounters } from "../../runtime/memory.js";
import { profile } from "../../runtime/profile.js";
import type { HostFunction, Program, TargetKey } from "../../runtime/program.js";
import { afterwards, breathe, inTurn, type Job, Queue, runBlocking } from "../../runtime/queue.js";
import { type Built, build, buildSync, unitsOf } from "./build.js";
import { findCompiler } from "./cc.js";
import { cKey } from "./key.js";
import { LateDevice } from "./late.js";
import { Mapping, type NativeBlock } from "./mapping.js";
import { type Native, native } from "./native.js";
import { copyEntry } from "./pool.js";
import { type Places, Table, type Words } from "./table.js";

class CLoaded implements Loaded {
  readonly program: Program;
  readonly table: Table;
  readonly host: ReadonlyMap<string, HostFunction>;
  readonly device: CDevice;
  readonly #give: () => void;
  unloaded = false;
  /** Expected run time in nanoseconds at the dims of the last call. */
  expected = Number.POSITIVE_INFINITY;
  dims: readonly number[] | undefined;
  constructor(device: CDevice, program: Program, table: Table, host: ReadonlyMap<string, HostFunction>, give: () => void) {
    this.device = device;
    this.program = program;
    this.table = table;
    this.host = host;
    this.#give = give;
  }
  unload(): void {
    if (this.unloaded) return;
    this.unloaded = true;
    this.device.later(this.#give);
  }
}

/** Programs shorter than this run on the calling thread: handing them to another costs about as much. */
const shortNs = 200_000;
const profiled = profile();

/** Opens the device. Compiles its native half on first use; without a compiler that comes with the first program. */
export async function openC(key: TargetKey = cKey(), options: DeviceOptions = {}): Promise<Device> {
  const threads = options.threads ?? cpu().cores;
  if (!Number.isInteger(threads) || threads < 1 || threads > 1024)
    throw new ArgumentError(`a pool of ${threads} threads cannot be made; threads is a whole number from 1 to 1024`);
  const open = async (library?: Uint8Array): Promise<Device> => new CDevice(await native(library), key, threads, options.guard ?? false);
  const compiler = findCompiler();
  return typeof compiler === "string" ? new LateDevice(key, compiler, copyEntry, open) : open();
}

class CDevice implements Device {
  readonly name = "c";
  readonly blocking = true;
  readonly key: TargetKey;
  readonly counters: Counters = noCounters();
  readonly #native: Native;
  readonly #memory: Memory<bigint>;
  readonly #queue = new Queue();
  readonly #pool: bigint;
  readonly #threads: number;
  readonly #control: { address: bigint; flag: Int32Array; numbers: Float64Array };
  readonly #empty: bigint;
  readonly #blocks: Blocks<bigint, bigint>;
  readonly #arena: Arena<bigint>;
  readonly #places: Places;
  readonly #mappings = new Set<Mapping>();
  #scratch = 0;
  #ticket = 0;
  #closed: Promise<void> | undefined;

  constructor(n: Native, key: TargetKey, threads: number, guard: boolean) {
    this.#native = n;
    this.key = key;
    this.#memory = new Memory<bigint>(
      "the c device",
      { take: (bytes) => n.alloc(bytes) || undefined, give: (address) => n.free(address) },
      this.counters,
    );
    const control = n.alloc(64);
    const view = n.ffi.view(control, 64);
    this.#control = { address: control, flag: new Int32Array(view, 0, 1), numbers: new Float64Array(view) };
    this.#control.numbers.fill(0);
    this.#empty = n.alloc(64);
    this.#pool = n.open(threads, control);
    this.#threads = n.threads(this.#pool);
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
    this.#places = {
      of: (a) => (a as NativeBlock).place,
      arena: (bytes) => this.#arena.atLeast(bytes, 0n),
      words: (words, old) => this.#words(words, old),
      copy: n.copy,
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
    const copy = this.#queue.idle ? data : data.slice();
    this.later(() => this.#native.move(block.place + BigInt(offset), copy, copy.length));
  }

  copy(from: Allocation, to: Allocation, bytes: number): void {
    const [a, b] = [this.#blocks.alive(from, 0, bytes), this.#blocks.writable(to, 0, bytes)];
    this.later(() => this.#native.move(b.place, a.place, bytes));
  }

  async read(from: Allocation, offset: number, bytes: number): Promise<Uint8Array> {
    const block = this.#blocks.alive(from, offset, bytes);
    return inTurn(this.#queue, () => this.#bytes(block.place + BigInt(offset), bytes));
  }
  readSync(from: Allocation, offset: number, bytes: number): Uint8Array {
    const block = this.#blocks.alive(from, offset, bytes);
    this.#queue.drain();
    return this.#bytes(block.place + BigInt(offset), bytes);
  }

  async load(program: Program, options: LoadOptions = {}): Promise<Loaded> {
    const host = this.#check(program, options);
    return this.#loaded(
      program,
      host,
      await build(
        unitsOf(program).map((u) => u.source),
        options.signal,
      ),
    );
  }
  loadSync(program: Program, options: LoadOptions = {}): Loaded {
    const host = this.#check(program, options);
    return this.#loaded(program, host, buildSync(unitsOf(program).map((u) => u.source)));
  }

  submit(loaded: Loaded, call: Call, signal?: AbortSignal): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      signal?.throwIfAborted();
      const job = this.#job(loaded, call, resolve, reject, signal);
      this.#queue.push(job);
    }).then(breathe);
  }
  submitSync(loaded: Loaded, call: Call): void {
    runBlocking(this.#queue, (done, fail) => this.#job(loaded, call, done, fail));
  }

  sync(): Promise<void> {
    return inTurn(this.#queue, () => {
      this.#blocks.inspect();
      const fault = this.#blocks.fault();
      if (fault) throw fault;
    });
  }

  close(): Promise<void> {
    this.#closed ??= this.#end();
    this.#blocks.close();
    return this.#closed;
  }
  async #end(): Promise<void> {
    await inTurn(this.#queue, () => Promise.all([...this.#mappings].map((m) => m.end())));
    await inTurn(this.#queue, () => {
      this.#arena.release();
      this.counters.bytes -= this.#threads * this.#scratch;
      this.#memory.trim(0);
      this.#native.close(this.#pool);
      this.#native.free(this.#control.address);
      this.#native.free(this.#empty);
      this.#native.held.release();
    });
  }

  /** Does something once everything submitted so far has run. */
  later(work: () => void): void {
    afterwards(this.#queue, work, (error) => this.#blocks.blame(error));
  }

  #check(program: Program, options: LoadOptions): ReadonlyMap<string, HostFunction> {
    this.#blocks.open();
    options.signal?.throwIfAborted();
    return hostSteps(program, options.host);
  }
  #loaded(program: Program, host: ReadonlyMap<string, HostFunction>, built: Built): Loaded {
    this.#blocks.open();
    this.counters.builds += built.compiled;
    const constants: { address: bigint; bytes: number }[] = [];
    let table: Table | undefined;
    const give = (): void => {
      for (const c of constants) this.#memory.give(c.address, c.bytes);
      if (table?.words) this.#memory.give(table.words.address, table.words.view.byteLength);
      for (const l of built.libraries) l.release();
    };
    try {
      const where = new Map<string, bigint>();
      unitsOf(program).forEach((unit, i) => {
        for (const entry of unit.entries) {
          if (where.has(entry)) throw new InternalError(`${program.name} has two kernels called ${entry}`);
          where.set(entry, built.libraries[i]!.library.symbol(entry));
        }
      });
      const places = program.buffers.map((b): bigint | undefined => {
        if (b.role !== "constant") return undefined;
        const data = b.data ?? new Uint8Array();
        if (!data.length) return this.#empty;
        const address = this.#memory.take(data.length, "constants");
        constants.push({ address, bytes: data.length });
        this.#native.move(address, data, data.length);
        return address;
      });
      table = new Table(
        program,
        program.kernels.map((k) => where.get(k.entry)!),
        places,
        profiled !== undefined,
      );
      return new CLoaded(this, program, table, host, give);
    } catch (error) {
      give();
      throw error;
    }
  }

  #job(loaded: Loaded, call: Call, resolve: () => void, reject: (error: unknown) => void, signal?: AbortSignal): Job {
    this.#blocks.open();
    if (!(loaded instanceof CLoaded) || loaded.device !== this || loaded.unloaded)
      throw new DeviceError("the program is not loaded on this device");
    checkAlive(loaded.program, call);
    let at = 0;
    let begun = false;
    let ended: { error: Error | null; result: unknown } | undefined;
    let waiting = 0;
    const stop = (): void => {
      if (begun) this.#control.flag[0] = 1;
      else if (this.#queue.remove(job)) reject(signal!.reason);
    };
    signal?.addEventListener("abort", stop, { once: true });
    const account = (): void => {
      const { error, result } = ended!;
      ended = undefined;
      this.counters.launches += this.#control.numbers[1]!;
      const ns = this.#control.numbers[2]!;
      loaded.expected = ns < loaded.expected ? ns : 0.8 * loaded.expected + 0.2 * ns;
      profiled?.add(loaded.program, loaded.table.segments[at]!.step, ns, loaded.table.sizes);
      if (error) throw new DeviceError(`${loaded.program.name} could not run: ${error.message}`, { cause: error });
      if (result === 1) throw signal?.reason ?? new DeviceError(`${loaded.program.name} was stopped`);
      if (result === 2)
        throw new OutOfMemoryError(
          `${loaded.program.name} has no memory for the kernels' scratch: ${loaded.table.scratchBytes} bytes on each of ${this.#threads} threads`,
        );
    };
    const job: Job = {
      step: (blocking, wake) => {
        if (!begun) {
          begun = true;
          signal?.throwIfAborted();
          this.#control.flag[0] = 0;
          loaded.table.prepare(call, this.#places);
          this.#reserve(loaded.table.scratchBytes);
          if (loaded.dims !== call.dims && String(loaded.dims) !== String(call.dims)) loaded.expected = Number.POSITIVE_INFINITY;
          loaded.dims = call.dims;
          this.counters.submissions++;
        }
        if (ended) {
          account();
          at++;
        }
        const { segments, words } = loaded.table;
        const segment = segments[at];
        if (!segment) return "done";
        if (segment.kind === "host") {
          const since = performance.now();
          this.#host(loaded, segment.call);
          profiled?.add(loaded.program, segment.step, (performance.now() - since) * 1e6, loaded.table.sizes);
          at++;
          signal?.throwIfAborted();
          return "more";
        }
        const args = [
          this.#pool,
          words!.address + BigInt(segment.at * 8),
          segment.words,
          loaded.table.scratchBytes,
          ++this.#ticket,
        ] as const;
        if (blocking || loaded.expected < shortNs) {
          ended = { error: null, result: this.#native.run(...args) };
          account();
          return ++at === segments.length ? "done" : "more";
        }
        waiting = this.#ticket;
        this.#native.run.later(args, (error, result) => {
          if (waiting !== args[4]) return;
          waiting = 0;
          ended = { error, result };
          wake();
        });
        return "waiting";
      },
      block: () => {
        this.#native.wait(this.#pool, waiting);
        waiting = 0;
        ended = { error: null, result: this.#control.numbers[3] };
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

  #host(loaded: CLoaded, step: HostStep): void {
    const { table } = loaded;
    runHost(step, {
      functions: loaded.host,
      sizes: table.sizes,
      bytes: table.bytes,
      read: (b) => this.#bytes(table.address(b, this.#places), table.bytes[b]!),
      write: (b, bytes) => this.#native.move(table.address(b, this.#places), bytes, bytes.length),
    });
    this.counters.hostSteps++;
  }

  #bytes(address: bigint, bytes: number): Uint8Array {
    const out = new Uint8Array(bytes);
    if (bytes) this.#native.move(out, address, bytes);
    return out;
  }
  #words(words: number, old: Words | undefined): Words {
    if (old && old.view.length >= words) return old;
    const bytes = words * 8;
    const address = this.#memory.take(bytes, "a program's table");
    if (old) this.#memory.give(old.address, old.view.byteLength);
    return { address, view: new BigInt64Array(this.#native.ffi.view(address, bytes)) };
  }
  #reserve(scratch: number): void {
    if (scratch <= this.#scratch) return;
    this.counters.bytes += this.#threads * (scratch - this.#scratch);
    this.counters.peakBytes = Math.max(this.counters.peakBytes, this.counters.bytes);
    this.#scratch = scratch;
  }
}
