/** A device whose memory is ArrayBuffers and whose kernels are JavaScript functions on this thread; three backends are made of it. */
import { ArgumentError } from "../core/errors.js";
import { afterTurn } from "../core/host.js";
import { Arena, type Block, Blocks } from "./blocks.js";
import type { Allocation, Call, Counters, Device, DeviceOptions, Loaded, LoadOptions } from "./device.js";
import { checkAlive, checkBuffers, hostSteps, type Layout, layoutOf, sameNumbers, scratchOf, valueOf } from "./encode.js";
import { runHost } from "./host-step.js";
import { type Kept, LoadedProgram, ownLoaded } from "./loaded.js";
import { Memory, noCounters } from "./memory.js";
import type { KernelCode, Program, Step, TargetKey } from "./program.js";
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

type InlineBlock = Block<ArrayBuffer, Uint8Array>;

class InlineLoaded extends LoadedProgram<InlineDevice> {
  readonly kernels: readonly InlineKernel[];
  readonly constants: readonly (Uint8Array | undefined)[];
  /** Milliseconds that one grid point of each step took lately. */
  readonly pace: (number | undefined)[] = [];
  /** Sizes of the last call. */
  dims: readonly number[] | undefined;
  layout: Layout = { sizes: {}, bytes: [], arenaBytes: 0, offsets: [] };
  plan: readonly Planned[] = [];
  scratchBytes = 0;
  constructor(kept: Kept<InlineDevice>, kernels: readonly InlineKernel[], constants: readonly (Uint8Array | undefined)[]) {
    super(kept);
    this.kernels = kernels;
    this.constants = constants;
  }
  size(dims: readonly number[]): void {
    if (this.dims && sameNumbers(this.dims, dims)) return;
    const p = this.program;
    this.dims = undefined;
    this.layout = layoutOf(p, dims);
    const { sizes } = this.layout;
    this.scratchBytes = scratchOf(p, sizes);
    this.plan = p.steps.map((step) => ({
      step,
      grid: step.kind === "launch" ? valueOf(step.grid, sizes, `the grid of ${p.kernels[step.kernel]!.entry}`) : 0,
      dims: step.kind === "launch" ? step.dims.map((d) => valueOf(d, sizes, "a dim")) : [],
    }));
    this.dims = [...dims];
  }
}
interface Planned {
  readonly step: Step;
  readonly grid: number;
  readonly dims: readonly number[];
}

/** Milliseconds of work between two turns of the event loop. */
const turn = 12;

/** Memory of no bytes. */
const nothing = new ArrayBuffer(0);

export const openInline = (options: InlineOptions): Device => new InlineDevice(options);

class InlineDevice implements Device {
  readonly name: string;
  readonly key: TargetKey;
  readonly blocking = true;
  readonly counters: Counters = noCounters();
  readonly #options: InlineOptions;
  readonly #queue = new Queue();
  readonly #memory: Memory<ArrayBuffer>;
  readonly #blocks: Blocks<ArrayBuffer, Uint8Array>;
  readonly #temporaries: Arena<ArrayBuffer>;
  readonly #shared: Arena<ArrayBuffer>;
  #arena = nothing;
  #scratch = nothing;
  #closed: Promise<void> | undefined;

  constructor(options: InlineOptions) {
    this.name = options.name;
    this.key = options.key;
    this.#options = options;
    const take = (bytes: number): ArrayBuffer | undefined => {
      try {
        return new ArrayBuffer(bytes);
      } catch {
        return undefined;
      }
    };
    this.#memory = new Memory(`the ${options.name} device`, { take, give: () => {} }, this.counters);
    this.#temporaries = new Arena(this.#memory, "the arena of temporaries");
    this.#shared = new Arena(this.#memory, "the kernels' scratch");
    const ground = {
      memory: this.#memory,
      nowhere: new Uint8Array(),
      place: (base: ArrayBuffer, offset: number, bytes: number) => new Uint8Array(base, offset, bytes),
      mark: (at: Uint8Array, byte: number) => void at.fill(byte),
      differs: (at: Uint8Array, byte: number) => at.findIndex((b) => b !== byte),
      later: (work: () => void) => this.later(work),
    };
    this.#blocks = new Blocks(ground, options.guard ?? false);
  }

  alloc(bytes: number): Allocation {
    return this.#blocks.alloc(bytes);
  }
  free(a: Allocation): void {
    this.#blocks.free(a);
  }
  write(to: Allocation, offset: number, data: Uint8Array): void {
    const block = this.#blocks.alive(to, offset, data.length);
    const copy = this.#queue.idle ? data : data.slice();
    this.later(() => block.place.set(copy, offset));
  }
  copy(from: Allocation, to: Allocation, bytes: number): void {
    const [a, b] = [this.#blocks.alive(from, 0, bytes), this.#blocks.alive(to, 0, bytes)];
    this.later(() => b.place.set(a.place.subarray(0, bytes)));
  }
  async read(from: Allocation, offset: number, bytes: number): Promise<Uint8Array> {
    const block = this.#blocks.alive(from, offset, bytes);
    return inTurn(this.#queue, () => block.place.slice(offset, offset + bytes));
  }
  readSync(from: Allocation, offset: number, bytes: number): Uint8Array {
    const block = this.#blocks.alive(from, offset, bytes);
    this.#queue.drain();
    return block.place.slice(offset, offset + bytes);
  }

  async load(program: Program, options: LoadOptions = {}): Promise<Loaded> {
    options.signal?.throwIfAborted();
    return this.loadSync(program, options);
  }
  loadSync(program: Program, options: LoadOptions = {}): Loaded {
    this.#blocks.open();
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
    const give = (): void => {
      for (const { base, bytes } of bases) this.#memory.give(base, bytes);
    };
    return new InlineLoaded({ device: this, program, host, give }, kernels, constants);
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
    return inTurn(this.#queue, () => this.#blocks.settled());
  }
  close(): Promise<void> {
    this.#closed ??= inTurn(this.#queue, () => {
      this.#temporaries.release();
      this.#shared.release();
      this.#memory.trim(0);
    });
    this.#blocks.close();
    return this.#closed;
  }

  /** Does something once everything submitted so far has run. */
  later(work: () => void): void {
    afterwards(this.#queue, work, (error) => this.#blocks.blame(error));
  }

  #job(given: Loaded, call: Call, resolve: () => void, reject: (error: unknown) => void, signal?: AbortSignal): Job {
    this.#blocks.open();
    const loaded = ownLoaded(given, InlineLoaded, this);
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
          checkBuffers(loaded.program, call, loaded.layout.bytes);
          if (this.#options.run !== false) {
            this.#arena = this.#temporaries.atLeast(loaded.layout.arenaBytes, nothing);
            this.#scratch = this.#shared.atLeast(loaded.scratchBytes, nothing);
          }
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
            afterTurn(() => pending === mine && wake());
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
        const bytes = loaded.layout.bytes[step.to]!;
        if (bytes === 0) return 0;
        this.counters.launches++;
        if (run) this.#bytes(loaded, call, step.to).set(this.#bytes(loaded, call, step.from).subarray(0, bytes));
        return 0;
      }
      case "host": {
        this.counters.hostSteps++;
        if (!run) return 0;
        runHost(step, {
          functions: loaded.host,
          sizes: loaded.layout.sizes,
          bytes: loaded.layout.bytes,
          read: (b) => this.#bytes(loaded, call, b).slice(),
          write: (b, bytes) => this.#bytes(loaded, call, b).set(bytes),
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
    const bytes = loaded.layout.bytes[buffer]!;
    if (loaded.program.buffers[buffer]!.role === "temp") return new Uint8Array(this.#arena, loaded.layout.offsets[buffer]!, bytes);
    return (call.buffers[buffer] as InlineBlock).place.subarray(0, bytes);
  }
}

/** Kernels of a program that has none: everything is a host step. */
export function noKernels(name: string): (program: Program) => readonly InlineKernel[] {
  return (program) => {
    const kernel: KernelCode | undefined = program.kernels[0];
    if (kernel) throw new ArgumentError(`the ${name} device runs host steps only, and ${program.name} has the kernel ${kernel.entry}`);
    return [];
  };
}
