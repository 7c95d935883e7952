/** The CPU device for compiled C: one native call runs a whole program on a persistent pool of threads. */
import { ArgumentError, DeviceError, InternalError, OutOfMemoryError } from "../../core/errors.js";
import { Arena, Blocks } from "../../runtime/blocks.js";
import { Choices } from "../../runtime/choices.js";
import { cpu } from "../../runtime/cpu.js";
import type { Allocation, Call, Counters, Device, DeviceOptions, FileMapping, Loaded, LoadOptions } from "../../runtime/device.js";
import { checkAlive, type HostStep, hostSteps, sameNumbers } from "../../runtime/encode.js";
import { runHost } from "../../runtime/host-step.js";
import { ownLoaded } from "../../runtime/loaded.js";
import { Memory, noCounters } from "../../runtime/memory.js";
import { profile } from "../../runtime/profile.js";
import type { HostFunction, Program, TargetKey } from "../../runtime/program.js";
import { afterwards, breathe, inTurn, type Job, Queue, runBlocking } from "../../runtime/queue.js";
import { type BlasFile, findBlas } from "./blas.js";
import { type Built, build, buildSync, unitsOf } from "./build.js";
import { findCompiler } from "./cc.js";
import { cKey } from "./key.js";
import { LateDevice } from "./late.js";
import { CLoaded } from "./loaded.js";
import { Mapping, type NativeBlock } from "./mapping.js";
import { type Bench, measureStep } from "./measure.js";
import { BlasMultiplier, clearly } from "./multiply.js";
import { type Native, native } from "./native.js";
import { copyEntry } from "./pool.js";
import { type Chooser, type Places, type Segment, Table, type Words } from "./table.js";

/** A native run that has not ended. */
interface Running {
  readonly ticket: number;
  readonly table: Table;
  /** Nothing follows it in its program, and nobody can abort it. */
  readonly last: boolean;
}

/** Programs shorter than this run on the calling thread: handing them to another costs about as much. */
const shortNs = 200_000;
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
  readonly #multiplier: BlasMultiplier | undefined;
  #scratch = 0;
  #ticket = 0;
  #running: Running | undefined;
  #closed: Promise<void> | undefined;

  constructor(n: Native, key: TargetKey, threads: number, guard: boolean, library: Library | "none") {
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
    if (library !== "none") this.#multiplier = new BlasMultiplier(library, cpu().model, this.#threads, library.margin ?? clearly);
    this.#places = {
      of: (a) => (a as NativeBlock).place,
      arena: (bytes) => this.#arena.atLeast(bytes, 0n),
      within: (base, offset) => base + BigInt(offset),
      words: (words, old) => this.#words(words, old),
      copy: n.copy,
      product: n.product,
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
    const now = this.#queue.idle || !block.used;
    const copy = now ? data : data.slice();
    const write = (): void => this.#native.move(block.place + BigInt(offset), copy, copy.length);
    if (now) write();
    else this.#after(write, false);
  }

  copy(from: Allocation, to: Allocation, bytes: number): void {
    const [a, b] = [this.#blocks.alive(from, 0, bytes), this.#blocks.writable(to, 0, bytes)];
    a.used = b.used = true;
    this.#after(() => this.#native.move(b.place, a.place, bytes), false);
  }

  async read(from: Allocation, offset: number, bytes: number): Promise<Uint8Array> {
    const block = this.#blocks.alive(from, offset, bytes);
    block.used = true;
    return inTurn(this.#queue, () => this.#bytes(block.place + BigInt(offset), bytes), [from]);
  }
  readSync(from: Allocation, offset: number, bytes: number): Uint8Array {
    const block = this.#blocks.alive(from, offset, bytes);
    this.#queue.drain();
    return this.#bytes(block.place + BigInt(offset), bytes);
  }

  async load(program: Program, options: LoadOptions = {}): Promise<Loaded> {
    const host = this.#check(program, options);
    const sources = unitsOf(program).map((u) => u.source);
    const loaded = this.#loaded(program, host, await build(sources, options.signal));
    if (loaded.unmeasured) await inTurn(this.#queue, () => this.#measure(loaded));
    return loaded;
  }
  loadSync(program: Program, options: LoadOptions = {}): Loaded {
    const host = this.#check(program, options);
    const sources = unitsOf(program).map((u) => u.source);
    const loaded = this.#loaded(program, host, buildSync(sources));
    if (loaded.unmeasured) {
      this.#queue.drain();
      this.#measure(loaded);
    }
    return loaded;
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
    return inTurn(this.#queue, () => this.#blocks.settled());
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

  /** Does something once everything submitted so far has run; programs submitted later do not wait for it. */
  later(work: () => void): void {
    this.#after(work, true);
  }
  #after(work: () => void, overtaken: boolean): void {
    afterwards(this.#queue, work, (error) => this.#blocks.blame(error), overtaken);
  }

  #check(program: Program, options: LoadOptions): ReadonlyMap<string, HostFunction> {
    this.#blocks.open();
    options.signal?.throwIfAborted();
    return hostSteps(program, options.host);
  }
  #loaded(program: Program, host: ReadonlyMap<string, HostFunction>, built: Built): CLoaded {
    this.#blocks.open();
    this.counters.builds += built.compiled;
    const constants: { address: bigint; bytes: number }[] = [];
    const tables: Table[] = [];
    const give = (): void => {
      for (const c of constants) this.#memory.give(c.address, c.bytes);
      for (const { words } of tables) if (words) this.#memory.give(words.address, words.view.byteLength);
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
      const functions = program.kernels.map((k) => where.get(k.entry)!);
      const choices = this.#multiplier && new Choices(program, this.#multiplier, this.#multiplier.found);
      const choose: Chooser = (step, sizes) => {
        const chosen = choices?.choose(step, sizes);
        return chosen && this.#multiplier!.record(chosen);
      };
      const table = (): Table => new Table(program, functions, places, profiled !== undefined, choose);
      const measure = choices?.unknown ? () => choices.measure((i) => measureStep(this.#bench(), program, i, functions)) : undefined;
      return new CLoaded({ device: this, program, host, give }, tables, table, measure);
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
      this.#control.flag[0] = 0;
      const ticket = ++this.#ticket;
      const result = this.#native.run(this.#pool, table.words!.address, segment.words, table.scratchBytes, ticket, 0);
      if (result !== 0) throw new OutOfMemoryError(`no memory for the scratch of a product of ${table.program.name}`);
      return this.#control.numbers[2 + 3 * (ticket & 1)]! / 1e9;
    };
    return { native: this.#native, places: this.#places, run, record };
  }

  #job(which: Loaded, call: Call, resolve: () => void, reject: (error: unknown) => void, signal?: AbortSignal): Job {
    this.#blocks.open();
    const loaded = ownLoaded(which, CLoaded, this);
    checkAlive(loaded.program, call);
    for (const a of call.buffers) if (a) (a as NativeBlock).used = true;
    let at = 0;
    let begun = false;
    let table: Table;
    let ended: { error: Error | null; result: unknown } | undefined;
    /** Of the native run that has not been accounted for, and of the one that is waited for. */
    let [ticket, waiting] = [0, 0];
    let woken: (() => void) | undefined;
    const stop = (): void => {
      if (begun) this.#control.flag[0] = 1;
      else if (this.#queue.remove(job)) reject(signal!.reason);
    };
    signal?.addEventListener("abort", stop, { once: true });
    /** What the native side has told of this run: launches, nanoseconds, result. */
    const told = (i: number): number => this.#control.numbers[1 + 3 * (ticket & 1) + i]!;
    const account = (): void => {
      const { error, result } = ended!;
      ended = undefined;
      this.counters.launches += told(0);
      const ns = told(1);
      loaded.expected = ns < loaded.expected ? ns : 0.8 * loaded.expected + 0.2 * ns;
      profiled?.add(loaded.program, table.segments[at]!.step, ns, table.sizes);
      if (error) throw new DeviceError(`${loaded.program.name} could not run: ${error.message}`, { cause: error });
      if (result === 1) throw signal?.reason ?? new DeviceError(`${loaded.program.name} was stopped`);
      if (result === 2)
        throw new OutOfMemoryError(
          `${loaded.program.name} has no memory for the kernels' scratch: ${table.scratchBytes} bytes on each of ${this.#threads} threads`,
        );
    };
    const begin = (inUse?: Table): void => {
      begun = true;
      table = loaded.table(inUse);
      table.prepare(call, this.#places);
      this.#reserve(table.scratchBytes);
      this.counters.submissions++;
    };
    const argsOf = (segment: Segment & { readonly kind: "native" }, after: number): readonly (bigint | number)[] => {
      ticket = ++this.#ticket;
      return [this.#pool, table.words!.address + BigInt(segment.at * 8), segment.words, table.scratchBytes, ticket, after];
    };
    /** Starts a segment on another thread, once the run with the ticket `after` has ended. */
    const start = (segment: Segment & { readonly kind: "native" }, after: number): void => {
      const args = argsOf(segment, after);
      const own: Running = { ticket, table, last: at + 1 === table.segments.length && !signal };
      this.#native.run.later(args, (error, result) => {
        if (this.#running === own) this.#running = undefined;
        if (waiting !== own.ticket) return;
        waiting = 0;
        ended = { error, result };
        woken?.();
      });
      waiting = ticket;
      this.#running = own;
    };
    const block = (): void => {
      this.#native.wait(this.#pool, waiting);
      if (this.#running?.ticket === waiting) this.#running = undefined;
      waiting = 0;
      ended = { error: null, result: told(2) };
    };
    const job: Job = {
      step: (blocking, wake) => {
        if (!begun) {
          signal?.throwIfAborted();
          this.#control.flag[0] = 0;
          begin();
          if (!sameNumbers(loaded.dims ?? [-1], call.dims)) loaded.expected = Number.POSITIVE_INFINITY;
          loaded.dims = call.dims;
        }
        if (waiting && blocking) block();
        if (waiting) {
          woken = wake;
          return "waiting";
        }
        if (ended) {
          account();
          at++;
        }
        const segment = table.segments[at];
        if (!segment) return "done";
        if (segment.kind === "host") {
          const since = performance.now();
          this.#host(loaded, table, segment.call);
          profiled?.add(loaded.program, segment.step, (performance.now() - since) * 1e6, table.sizes);
          at++;
          signal?.throwIfAborted();
          return "more";
        }
        if (blocking || loaded.expected < shortNs) {
          ended = { error: null, result: this.#native.run(...argsOf(segment, 0)) };
          account();
          return ++at === table.segments.length ? "done" : "more";
        }
        start(segment, 0);
        woken = wake;
        return "waiting";
      },
      ahead: (reads) => {
        const before = this.#running;
        // What has run with the same sizes before finds an arena that is large enough.
        if (begun || signal || !before?.last || loaded.expected < shortNs || !sameNumbers(loaded.dims ?? [-1], call.dims)) return false;
        if (loaded.writes(call, reads)) return false;
        begin(before.table);
        const [segment, more] = table.segments;
        if (segment?.kind === "native" && !more) start(segment, before.ticket);
        return true;
      },
      block,
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

  #host(loaded: CLoaded, table: Table, step: HostStep): void {
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
