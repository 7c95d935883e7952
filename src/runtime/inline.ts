/** A device whose memory is ArrayBuffers and whose kernels are JavaScript functions on this thread; three backends are made of it. */
import { ArgumentError, DeviceError, InternalError } from "../core/errors.js";
import type { Allocation, Call, Counters, Device, DeviceOptions, Loaded, LoadOptions } from "./device.js";
import { bufferBytes, checkAlive, checkBuffers, concrete, hostSteps, type Sizes, sameNumbers, sizesOf, valueOf } from "./encode.js";
import { Memory, noCounters } from "./memory.js";
import type { HostFunction, KernelCode, Program, Step, TargetKey } from "./program.js";
import { afterwards, breathe, inTurn, type Job, Queue, runBlocking } from "./queue.js";

/**
 * A kernel: runs grid points [begin, end). `args[i]` are the bytes of its buffers in order, 64-byte aligned in their ArrayBuffer;
 * the kernel makes the typed views that it needs. `scratch` has at least the kernel's `sharedBytes`.
 */
export type InlineKernel = (args: readonly Uint8Array[], dims: readonly number[], begin: number, end: number, scratch: ArrayBuffer) => void;

export interface InlineOptions extends DeviceOptions {
  readonly name: string;
  readonly key: TargetKey;
  /** Kernels of a program, in order. */
  readonly kernels: (program: Program) => readonly InlineKernel[];
  /** False: buffers, sizes and order are checked, and nothing is computed. */
  readonly run?: boolean;
}

class Block implements Allocation {
  readonly bytes: number;
  readonly data: Uint8Array;
  readonly base: ArrayBuffer;
  freed = false;
  constructor(bytes: number, base: ArrayBuffer, data: Uint8Array) {
    this.bytes = bytes;
    this.base = base;
    this.data = data;
  }
}

class InlineLoaded implements Loaded {
  readonly device: InlineDevice;
  readonly program: Program;
  readonly kernels: readonly InlineKernel[];
  readonly host: ReadonlyMap<string, HostFunction>;
  readonly constants: readonly (Uint8Array | undefined)[];
  readonly #give: () => void;
  unloaded = false;
  /** Milliseconds that one grid point of each step took lately. */
  readonly pace: (number | undefined)[] = [];
  /** Sizes of the last call. */
  dims: readonly number[] | undefined;
  sizes: Sizes = {};
  bytes: readonly number[] = [];
  plan: readonly Planned[] = [];
  offsets: readonly number[] = [];
  arenaBytes = 0;
  scratchBytes = 0;
  constructor(
    device: InlineDevice,
    program: Program,
    kernels: readonly InlineKernel[],
    host: ReadonlyMap<string, HostFunction>,
    constants: readonly (Uint8Array | undefined)[],
    give: () => void,
  ) {
    this.device = device;
    this.program = program;
    this.kernels = kernels;
    this.host = host;
    this.constants = constants;
    this.#give = give;
  }
  unload(): void {
    if (this.unloaded) return;
    this.unloaded = true;
    this.device.later(this.#give);
  }
  size(dims: readonly number[]): void {
    if (this.dims && sameNumbers(this.dims, dims)) return;
    const p = this.program;
    this.dims = undefined;
    this.sizes = sizesOf(p, dims);
    this.bytes = bufferBytes(p, this.sizes);
    this.arenaBytes = valueOf(p.arena, this.sizes, `the arena of ${p.name}`);
    this.scratchBytes = p.kernels.reduce((most, k) => Math.max(most, valueOf(k.sharedBytes, this.sizes, `scratch of ${k.entry}`)), 0);
    this.offsets = p.buffers.map((b, i) => {
      const offset = valueOf(b.offset ?? 0, this.sizes, `the place of buffer ${i} of ${p.name}`);
      if (b.role === "temp" && offset + this.bytes[i]! > this.arenaBytes)
        throw new DeviceError(`${p.name}: temporary ${i} reaches beyond the arena`);
      return offset;
    });
    this.plan = p.steps.map((step) => ({
      step,
      grid: step.kind === "launch" ? valueOf(step.grid, this.sizes, `the grid of ${p.kernels[step.kernel]!.entry}`) : 0,
      dims: step.kind === "launch" ? step.dims.map((d) => valueOf(d, this.sizes, "a dim")) : [],
    }));
    this.dims = [...dims];
  }
}
interface Planned {
  readonly step: Step;
  readonly grid: number;
  readonly dims: readonly number[];
}

const guardBytes = 256;
const guardMark = 0xa5;
/** Milliseconds of work between two turns of the event loop. */
const turn = 12;

export const openInline = (options: InlineOptions): Device => new InlineDevice(options);

class InlineDevice implements Device {
  readonly name: string;
  readonly key: TargetKey;
  readonly blocking = true;
  readonly counters: Counters = noCounters();
  readonly #options: InlineOptions;
  readonly #queue = new Queue();
  readonly #memory: Memory<ArrayBuffer>;
  readonly #guarded: Set<Block> | undefined;
  #arena = new ArrayBuffer(0);
  #scratch = new ArrayBuffer(0);
  #fault: Error | undefined;
  #closed: Promise<void> | undefined;

  constructor(options: InlineOptions) {
    this.name = options.name;
    this.key = options.key;
    this.#options = options;
    this.#guarded = options.guard ? new Set() : undefined;
    const take = (bytes: number): ArrayBuffer | undefined => {
      try {
        return new ArrayBuffer(bytes);
      } catch {
        return undefined;
      }
    };
    this.#memory = new Memory(`the ${options.name} device`, { take, give: () => {} }, this.counters);
  }

  alloc(bytes: number): Allocation {
    this.#open();
    if (bytes === 0) return new Block(0, new ArrayBuffer(0), new Uint8Array());
    const margin = this.#guarded ? guardBytes : 0;
    const base = this.#memory.take(bytes + 2 * margin);
    const block = new Block(bytes, base, new Uint8Array(base, margin, bytes));
    if (this.#guarded) {
      new Uint8Array(base, 0, margin).fill(guardMark);
      new Uint8Array(base, margin + bytes, margin).fill(guardMark);
      this.#guarded.add(block);
    }
    return block;
  }
  free(a: Allocation): void {
    const block = this.#own(a);
    if (block.freed) return;
    block.freed = true;
    if (block.bytes === 0) return;
    this.later(() => {
      if (this.#guarded?.delete(block)) this.#fault ??= overrun(block);
      this.#memory.give(block.base, block.bytes + (this.#guarded ? 2 * guardBytes : 0));
    });
  }
  write(to: Allocation, offset: number, data: Uint8Array): void {
    const block = this.#alive(to, offset, data.length);
    const copy = this.#queue.idle ? data : data.slice();
    this.later(() => block.data.set(copy, offset));
  }
  copy(from: Allocation, to: Allocation, bytes: number): void {
    const [a, b] = [this.#alive(from, 0, bytes), this.#alive(to, 0, bytes)];
    this.later(() => b.data.set(a.data.subarray(0, bytes)));
  }
  async read(from: Allocation, offset: number, bytes: number): Promise<Uint8Array> {
    const block = this.#alive(from, offset, bytes);
    return inTurn(this.#queue, () => block.data.slice(offset, offset + bytes));
  }
  readSync(from: Allocation, offset: number, bytes: number): Uint8Array {
    const block = this.#alive(from, offset, bytes);
    this.#queue.drain();
    return block.data.slice(offset, offset + bytes);
  }

  async load(program: Program, options: LoadOptions = {}): Promise<Loaded> {
    options.signal?.throwIfAborted();
    return this.loadSync(program, options);
  }
  loadSync(program: Program, options: LoadOptions = {}): Loaded {
    this.#open();
    const host = hostSteps(program, this.#options.run === false ? () => () => [] : options.host);
    const kernels = this.#options.kernels(program);
    this.counters.builds += kernels.length;
    const bases: { base: ArrayBuffer; bytes: number }[] = [];
    const constants = program.buffers.map((b) => {
      if (b.role !== "constant") return undefined;
      const data = b.data ?? new Uint8Array();
      if (!data.length) return new Uint8Array();
      const base = this.#memory.take(data.length, "constants");
      bases.push({ base, bytes: data.length });
      const view = new Uint8Array(base, 0, data.length);
      view.set(data);
      return view;
    });
    return new InlineLoaded(this, program, kernels, host, constants, () => {
      for (const { base, bytes } of bases) this.#memory.give(base, bytes);
    });
  }

  submit(loaded: Loaded, call: Call, signal?: AbortSignal): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      signal?.throwIfAborted();
      this.#queue.push(this.#job(loaded, call, resolve, reject, signal));
    }).then(breathe);
  }
  submitSync(loaded: Loaded, call: Call): void {
    runBlocking(this.#queue, (done, fail) => this.#job(loaded, call, done, fail));
  }
  sync(): Promise<void> {
    return inTurn(this.#queue, () => {
      for (const block of this.#guarded ?? []) this.#fault ??= overrun(block);
      const fault = this.#fault;
      this.#fault = undefined;
      if (fault) throw fault;
    });
  }
  close(): Promise<void> {
    this.#closed ??= inTurn(this.#queue, () => {
      for (const b of [this.#arena, this.#scratch]) if (b.byteLength) this.#memory.give(b, b.byteLength);
      this.#memory.trim(0);
    });
    return this.#closed;
  }

  /** Does something once everything submitted so far has run. */
  later(work: () => void): void {
    afterwards(this.#queue, work, (error) => {
      this.#fault ??= error;
    });
  }

  #job(loaded: Loaded, call: Call, resolve: () => void, reject: (error: unknown) => void, signal?: AbortSignal): Job {
    this.#open();
    if (!(loaded instanceof InlineLoaded) || loaded.device !== this || loaded.unloaded)
      throw new DeviceError("the program is not loaded on this device");
    checkAlive(loaded.program, call);
    let at = -1;
    let point = 0;
    let pending: { wake: () => void } | undefined;
    const stop = (): void => {
      if (at < 0 && this.#queue.remove(job)) reject(signal!.reason);
    };
    signal?.addEventListener("abort", stop, { once: true });
    const job: Job = {
      step: (blocking, wake) => {
        if (at < 0) {
          loaded.size(call.dims);
          checkBuffers(loaded.program, call, loaded.bytes);
          this.#arena = this.#atLeast(this.#arena, loaded.arenaBytes, "the arena of temporaries");
          this.#scratch = this.#atLeast(this.#scratch, loaded.scratchBytes, "the kernels' scratch");
          this.counters.submissions++;
          at = 0;
        }
        const begun = performance.now();
        while (at < loaded.plan.length) {
          signal?.throwIfAborted();
          point = this.#part(loaded, call, at, point, blocking ? Number.POSITIVE_INFINITY : begun + turn);
          if (point === 0) at++;
          if (!blocking && performance.now() - begun >= turn) {
            const mine = { wake };
            pending = mine;
            setImmediate(() => pending === mine && wake());
            return "waiting";
          }
        }
        return "done";
      },
      block() {
        pending = undefined;
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

  /** Runs a step from a grid point on, until it or the time ends; returns the point to go on from, 0 where the step has ended. */
  #part(loaded: InlineLoaded, call: Call, at: number, from: number, until: number): number {
    const { step, grid, dims } = loaded.plan[at]!;
    const run = this.#options.run !== false;
    switch (step.kind) {
      case "launch": {
        if (grid === 0) return 0;
        if (from === 0) this.counters.launches++;
        if (!run) return 0;
        const args = step.buffers.map((b) => this.#bytes(loaded, call, b));
        const kernel = loaded.kernels[step.kernel]!;
        let count = loaded.pace[at] === undefined ? 1 : grid;
        for (let point = from; point < grid; ) {
          const before = performance.now();
          const pace = loaded.pace[at];
          if (pace !== undefined && until < Number.POSITIVE_INFINITY)
            count = Math.max(1, Math.min(count * 4, Math.floor((until - before) / Math.max(pace, 1e-7))));
          if (until === Number.POSITIVE_INFINITY) count = grid;
          const end = Math.min(grid, point + count);
          kernel(args, dims, point, end, this.#scratch);
          const now = performance.now();
          loaded.pace[at] = (now - before) / (end - point);
          point = end;
          count *= 4;
          if (now >= until && point < grid) return point;
        }
        return 0;
      }
      case "copy": {
        const bytes = loaded.bytes[step.to]!;
        if (bytes === 0) return 0;
        this.counters.launches++;
        if (run) this.#bytes(loaded, call, step.to).set(this.#bytes(loaded, call, step.from).subarray(0, bytes));
        return 0;
      }
      case "host": {
        this.counters.hostSteps++;
        if (!run) return 0;
        const inputs = step.inputs.map((b, i) => ({
          type: concrete(step.inputTypes[i]!, loaded.sizes),
          bytes: this.#bytes(loaded, call, b).slice(),
        }));
        const results = loaded.host.get(step.call)!(
          step.payload,
          inputs,
          step.outputTypes.map((t) => concrete(t, loaded.sizes)),
          loaded.sizes,
        );
        step.outputs.forEach((b, i) => {
          const result = results[i];
          if (!result || result.length !== loaded.bytes[b])
            throw new DeviceError(
              `the host function ${step.call} gave ${result?.length ?? "no"} bytes for result ${i}, ${loaded.bytes[b]} are needed`,
            );
          this.#bytes(loaded, call, b).set(result);
        });
        return 0;
      }
      default:
        return step satisfies never;
    }
  }

  #bytes(loaded: InlineLoaded, call: Call, buffer: number): Uint8Array {
    const constant = loaded.constants[buffer];
    if (constant) return constant;
    const bytes = loaded.bytes[buffer]!;
    if (loaded.program.buffers[buffer]!.role === "temp") return new Uint8Array(this.#arena, loaded.offsets[buffer]!, bytes);
    return (call.buffers[buffer] as Block).data.subarray(0, bytes);
  }
  #atLeast(held: ArrayBuffer, bytes: number, what: string): ArrayBuffer {
    if (bytes <= held.byteLength || this.#options.run === false) return held;
    if (held.byteLength) this.#memory.give(held, held.byteLength);
    const block = this.#memory.take(bytes, what);
    return block;
  }
  #own(a: Allocation): Block {
    if (!(a instanceof Block)) throw new DeviceError("the buffer belongs to another device");
    return a;
  }
  #alive(a: Allocation, offset: number, bytes: number): Block {
    this.#open();
    const block = this.#own(a);
    if (block.freed) throw new DeviceError(`a buffer of ${block.bytes} bytes was used after it was freed`);
    if (!(offset >= 0 && bytes >= 0 && offset + bytes <= block.bytes))
      throw new DeviceError(`bytes ${offset} to ${offset + bytes} of a buffer of ${block.bytes} bytes`);
    return block;
  }
  #open(): void {
    if (this.#closed) throw new DeviceError("the device is closed");
  }
}

function overrun(block: Block): Error | undefined {
  const all = new Uint8Array(block.base);
  const { byteOffset: from, byteLength } = block.data;
  for (let i = 0; i < guardBytes; i++) {
    if (all[from - guardBytes + i] !== guardMark)
      return new InternalError(`a kernel wrote ${guardBytes - i} bytes before a buffer of ${byteLength} bytes`);
    if (all[from + byteLength + i] !== guardMark)
      return new InternalError(`a kernel wrote at byte ${byteLength + i} of a buffer of ${byteLength} bytes`);
  }
  return undefined;
}

/** Kernels of a program that has none: everything is a host step. */
export function noKernels(name: string): (program: Program) => readonly InlineKernel[] {
  return (program) => {
    const kernel: KernelCode | undefined = program.kernels[0];
    if (kernel) throw new ArgumentError(`the ${name} device runs host steps only, and ${program.name} has the kernel ${kernel.entry}`);
    return [];
  };
}
