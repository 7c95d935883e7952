/**
 * A WebGPU device. Everything happens in the order of its one queue: a program is one command buffer, submitted at once, and whoever
 * waits for it waits for the queue. Nothing here can block.
 */
import { DeviceError, OutOfMemoryError, UnsupportedError } from "../../core/errors.js";
import { Arena, type Block, Blocks } from "../../runtime/blocks.js";
import type { Allocation, Call, Counters, Device, DeviceOptions, HearStep, Loaded, LoadOptions } from "../../runtime/device.js";
import { checkAlive, type HostStep, hostSteps } from "../../runtime/encode.js";
import { runHost } from "../../runtime/host-step.js";
import { type Kept, LoadedProgram, ownLoaded } from "../../runtime/loaded.js";
import { Memory, noCounters } from "../../runtime/memory.js";
import { type Profile, profile } from "../../runtime/profile.js";
import type { KernelCode, Program, TargetKey } from "../../runtime/program.js";
import { afterwards, type Job, Queue } from "../../runtime/queue.js";
import { usage } from "./flags.js";
import { type OpenedGpu, openGpu } from "./gpu.js";
import { deviceKey } from "./key.js";
import { type Dispatches, Launches, leastBytes, type Places, wantedOf } from "./launches.js";
import { copyKernel, patchKernel } from "./move.js";
import { makePieces, type Pieces, type Place } from "./pieces.js";
import { type Pipeline, Pipelines } from "./pipelines.js";
import { Presence } from "./presence.js";
import { Stamps } from "./stamps.js";
import { Transfers } from "./transfers.js";

class WebGpuLoaded extends LoadedProgram<WebGpuDevice> {
  readonly launches: Launches;
  constructor(kept: Kept<WebGpuDevice>, launches: Launches) {
    super(kept);
    this.launches = launches;
  }
}

const profiled = profile();
/** Opens the best adapter's device. `mostBytes` limits its buffers further, for tests. */
export async function openWebGpu(options: DeviceOptions = {}, mostBytes?: number): Promise<Device> {
  if (options.index) throw new UnsupportedError(`webgpu:${options.index}: WebGPU chooses the adapter itself; use webgpu`);
  const gpu = await openGpu();
  const pipelines = new Pipelines(gpu.device);
  const own = (kernel: KernelCode, dims: number, label: string): Promise<Pipeline> =>
    pipelines.hold(kernel.entry, { kernel, prelude: "", dims, opened: [], label });
  const [patch, copying] = await Promise.all([own(patchKernel, 3, "a write"), own(copyKernel, 1, "a copy")]);
  const most = Math.min(gpu.device.limits.maxBufferSize, mostBytes ?? Number.POSITIVE_INFINITY);
  return new WebGpuDevice(gpu, pipelines, patch, copying, most);
}

class WebGpuDevice implements Device {
  readonly name = "webgpu";
  readonly key: TargetKey;
  readonly blocking = false;
  readonly ordered = true;
  readonly counters: Counters = noCounters();
  readonly #gpu: GPUDevice;
  readonly #adapter: string;
  readonly #memory: Memory<Pieces>;
  readonly #staging: Memory<GPUBuffer>;
  readonly #blocks: Blocks<Pieces, Place>;
  readonly #arena: Arena<Pieces>;
  readonly #pipelines: Pipelines;
  readonly #places: Places;
  readonly #queue = new Queue();
  readonly #nowhere: Place;
  readonly #presence: Presence;
  readonly #transfers: Transfers;
  /** Only where the adapter has timestamps. */
  readonly #profiled: Profile | undefined;
  readonly submitTimed?: NonNullable<Device["submitTimed"]>;
  #arenaPlace: Place | undefined;
  #closed: Promise<void> | undefined;

  constructor({ device, adapter, limits }: OpenedGpu, pipelines: Pipelines, patch: Pipeline, copying: Pipeline, most: number) {
    this.key = deviceKey(limits);
    this.#gpu = device;
    this.#adapter = adapter;
    this.#pipelines = pipelines;
    if (device.features.has("timestamp-query")) {
      this.#profiled = profiled;
      this.submitTimed = (loaded, call, hear, signal) => this.#submit(loaded, call, signal, hear);
    }
    const all = usage.storage | usage.copySource | usage.copyTarget;
    const pieces = {
      take: (bytes: number): Pieces => makePieces(bytes, most, (size) => this.#buffer(size, all)),
      give: (p: Pieces): void => {
        for (const b of p.buffers) b.destroy();
      },
    };
    const results = {
      take: (bytes: number): GPUBuffer => this.#buffer(bytes, usage.mapRead | usage.copyTarget),
      give: (b: GPUBuffer): void => b.destroy(),
    };
    this.#memory = new Memory("the webgpu device", pieces, this.counters);
    this.#staging = new Memory("the webgpu device", results, noCounters());
    this.#nowhere = { pieces: makePieces(leastBytes, most, (size) => device.createBuffer({ size, usage: all })), offset: 0 };
    this.#presence = new Presence(device, (message) =>
      this.#closed ? "the device is closed" : `the WebGPU device ${adapter} was lost: ${message}`,
    );
    const uniform = (bytes: number): GPUBuffer => this.#buffer(bytes, usage.uniform | usage.copyTarget);
    this.#transfers = new Transfers({ gpu: device, presence: this.#presence, staging: this.#staging, patch, copying, uniform });
    // WebGPU itself keeps kernels inside what is bound: there is nothing to mark.
    const ground = {
      memory: this.#memory,
      nowhere: this.#nowhere,
      place: (base: Pieces): Place => ({ pieces: base, offset: 0 }),
      mark: () => {},
      differs: () => -1,
      later: (work: () => void) => this.later(work),
    };
    this.#blocks = new Blocks(ground, false);
    this.#arena = new Arena(this.#memory, "the arena of temporaries");
    this.#places = {
      device,
      of: (a) => (a as Block<Pieces, Place>).place,
      arena: (bytes) => this.#arenaOf(bytes),
      within: ({ pieces }, offset) => ({ pieces, offset }),
      uniforms: (bytes, old) => {
        if (old && old.size >= bytes) return old;
        old?.destroy();
        return uniform(bytes);
      },
    };
    device.addEventListener("uncapturederror", (event) => this.#blocks.blame(new DeviceError(`WebGPU: ${event.error.message}`)));
  }

  alloc(bytes: number): Allocation {
    this.#check();
    return this.#blocks.alloc(bytes);
  }
  free(a: Allocation): void {
    this.#blocks.free(a);
  }

  write(to: Allocation, offset: number, data: Uint8Array): void {
    const block = this.#blocks.writable(to, offset, data.length);
    if (data.length === 0) return;
    const copy = this.#queue.idle ? data : data.slice();
    this.later(() => this.#transfers.put(block.place, offset, copy, block.bytes));
  }
  copy(from: Allocation, to: Allocation, bytes: number): void {
    const [a, b] = [this.#blocks.alive(from, 0, bytes), this.#blocks.writable(to, 0, bytes)];
    if (bytes === 0 || a === b) return;
    this.later(() => this.#transfers.copy(a.place, b.place, bytes));
  }
  read(from: Allocation, offset: number, bytes: number): Promise<Uint8Array> {
    const block = this.#blocks.alive(from, offset, bytes);
    return new Promise((resolve, reject) => {
      this.#queue.push({
        step: () => {
          this.#transfers.fetch(block.place, offset, bytes).then(resolve, reject);
          return "done";
        },
        done: () => {},
        fail: reject,
      });
    });
  }
  readSync(): never {
    throw new UnsupportedError("WebGPU cannot block: use `await` with read()");
  }

  async load(program: Program, options: LoadOptions = {}): Promise<Loaded> {
    this.#check();
    options.signal?.throwIfAborted();
    const host = hostSteps(program, options.host);
    const constants: { pieces: Pieces; bytes: number }[] = [];
    const held: string[] = [];
    let launches: Launches | undefined;
    const give = (): void => {
      for (const c of constants) this.#memory.give(c.pieces, c.bytes);
      for (const key of held) this.#pipelines.release(key);
      launches?.uniforms?.destroy();
    };
    try {
      const before = this.#pipelines.made;
      const making = wantedOf(program).map((w) => {
        if (!w) return undefined;
        const key = Pipelines.key(w);
        held.push(key);
        return this.#pipelines.hold(key, w);
      });
      this.counters.builds += this.#pipelines.made - before;
      // All of them settle before what they hold is given back.
      const settled = await Promise.allSettled(making);
      const failed = settled.find((s) => s.status === "rejected");
      if (failed) throw this.#presence.lost ?? failed.reason;
      options.signal?.throwIfAborted();
      this.#check();
      const places = program.buffers.map((b): Place | undefined => {
        if (b.role !== "constant") return undefined;
        const data = b.data ?? new Uint8Array();
        if (!data.length) return this.#nowhere;
        const pieces = this.#memory.take(data.length, "constants");
        constants.push({ pieces, bytes: data.length });
        const place = { pieces, offset: 0 };
        this.#transfers.put(place, 0, data, data.length);
        return place;
      });
      const pipelines = settled.map((s) => (s as PromiseFulfilledResult<Pipeline | undefined>).value);
      launches = new Launches(program, pipelines, places);
      return new WebGpuLoaded({ device: this, program, host, give }, launches);
    } catch (error) {
      give();
      throw error;
    }
  }
  loadSync(): never {
    throw new UnsupportedError("WebGPU makes pipelines off this thread: use `await` with load()");
  }

  submit(loaded: Loaded, call: Call, signal?: AbortSignal): Promise<void> {
    return this.#submit(loaded, call, signal);
  }
  #submit(loaded: Loaded, call: Call, signal?: AbortSignal, hear?: HearStep): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      signal?.throwIfAborted();
      this.#queue.push(this.#job(loaded, call, resolve, reject, signal, hear));
    });
  }
  submitSync(): never {
    throw new UnsupportedError("WebGPU cannot block: use `await` with submit()");
  }
  sync(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#queue.push({
        step: () => "done",
        done: () =>
          this.#presence.settled().then(() => {
            const fault = this.#blocks.fault();
            if (fault) reject(fault);
            else resolve();
          }, reject),
        fail: reject,
      });
    });
  }
  close(): Promise<void> {
    this.#closed ??= this.#end();
    this.#blocks.close();
    return this.#closed;
  }
  async #end(): Promise<void> {
    // What was begun ends first; a lost device has nothing to wait for.
    await this.sync().catch(() => {});
    this.#arena.release();
    this.#memory.trim(0);
    this.#staging.trim(0);
    for (const b of this.#nowhere.pieces.buffers) b.destroy();
    this.#gpu.destroy();
  }

  /** Does something once everything submitted so far has been enqueued. */
  later(work: () => void): void {
    afterwards(this.#queue, work, (error) => this.#blocks.blame(error));
  }

  #job(given: Loaded, call: Call, resolve: () => void, reject: (error: unknown) => void, signal?: AbortSignal, hear?: HearStep): Job {
    this.#check();
    const loaded = ownLoaded(given, WebGpuLoaded, this);
    checkAlive(loaded.program, call);
    const { launches } = loaded;
    let at = 0;
    let begun = false;
    let fetched: ReadonlyMap<number, Uint8Array> | undefined;
    let failed: Error | undefined;
    const refused: Promise<GPUError | null>[] = [];
    const told: Promise<void>[] = [];
    // What the GPU has begun it ends; its results are left behind.
    const stop = (): void => {
      if (!begun) this.#queue.remove(job);
      reject(signal!.reason);
    };
    signal?.addEventListener("abort", stop, { once: true });
    const job: Job = {
      step: (_blocking, wake) => {
        if (!begun || fetched) signal?.throwIfAborted();
        if (failed ?? this.#presence.lost) throw failed ?? this.#presence.lost;
        if (!begun) {
          begun = true;
          launches.prepare(call, this.#places);
        }
        const segment = launches.segments[at];
        if (!segment) return "done";
        if (segment.kind === "launches") {
          this.#gpu.pushErrorScope("validation");
          try {
            const encoder = this.#gpu.createCommandEncoder({ label: loaded.program.name });
            if (this.#profiled || hear) told.push(this.#timed(loaded, segment, encoder, hear));
            else {
              this.counters.launches += launches.encode(encoder, segment, this.#places);
              this.#gpu.queue.submit([encoder.finish()]);
            }
            this.counters.submissions++;
          } finally {
            // Also where a binding is refused before there is anything to submit: scopes are a stack.
            refused.push(this.#gpu.popErrorScope());
          }
        } else if (!fetched) {
          this.#inputs(loaded, segment.step).then(
            (inputs) => {
              fetched = inputs;
              wake();
            },
            (error: Error) => {
              failed = error;
              wake();
            },
          );
          return "waiting";
        } else {
          this.#host(loaded, segment.step, fetched);
          fetched = undefined;
        }
        return ++at === launches.segments.length ? "done" : "more";
      },
      done: () => {
        Promise.all([Promise.all(refused), this.#presence.settled(), ...told])
          .then(([errors]) => {
            const wrong = errors.find((e) => e);
            // What a buffer lacked says more than what then refused it.
            if (wrong) throw this.#blocks.fault() ?? new DeviceError(`WebGPU refused ${loaded.program.name}: ${wrong.message}`);
          })
          .then(resolve, reject)
          .finally(() => signal?.removeEventListener("abort", stop));
      },
      fail: (error) => {
        signal?.removeEventListener("abort", stop);
        reject(error);
      },
    };
    return job;
  }

  /** Submits a segment and tells what its dispatches took. */
  async #timed({ program, launches }: WebGpuLoaded, segment: Dispatches, encoder: GPUCommandEncoder, hear?: HearStep): Promise<void> {
    const steps = launches.stepsOf(segment);
    const { sizes } = launches;
    const stamps = new Stamps(this.#gpu, steps.length);
    launches.encodeTimed(encoder, segment, this.#places, stamps);
    this.counters.launches += steps.length;
    this.#gpu.queue.submit([encoder.finish()]);
    // A device that is lost says so elsewhere.
    for (const [i, ns] of (await stamps.times().catch(() => [])).entries()) {
      this.#profiled?.add(program, steps[i]!, ns, sizes);
      hear?.(steps[i]!, ns / 1e6);
    }
  }
  async #inputs({ launches }: WebGpuLoaded, step: HostStep): Promise<ReadonlyMap<number, Uint8Array>> {
    const all = [...new Set(step.inputs)].map(async (b) => {
      return [b, await this.#transfers.fetch(launches.address(b, this.#places), 0, launches.bytes[b]!)] as const;
    });
    return new Map(await Promise.all(all));
  }
  #host(loaded: WebGpuLoaded, step: HostStep, inputs: ReadonlyMap<number, Uint8Array>): void {
    const { launches } = loaded;
    runHost(step, {
      functions: loaded.host,
      sizes: launches.sizes,
      bytes: launches.bytes,
      read: (b) => inputs.get(b)!,
      write: (b, bytes) => this.#transfers.put(launches.address(b, this.#places), 0, bytes, Number.POSITIVE_INFINITY),
    });
    this.counters.hostSteps++;
  }

  #buffer(size: number, flags: number): GPUBuffer {
    this.#gpu.pushErrorScope("out-of-memory");
    const buffer = this.#gpu.createBuffer({ size, usage: flags });
    this.#gpu.popErrorScope().then(
      (error) => {
        if (error)
          this.#blocks.blame(new OutOfMemoryError(`${this.#adapter} has no memory for a buffer of ${size} bytes: ${error.message}`));
      },
      () => {},
    );
    return buffer;
  }
  #arenaOf(bytes: number): Place {
    const pieces = this.#arena.atLeast(bytes, this.#nowhere.pieces);
    if (this.#arenaPlace?.pieces !== pieces) this.#arenaPlace = { pieces, offset: 0 };
    return this.#arenaPlace;
  }
  #check(): void {
    this.#blocks.open();
    this.#presence.check();
  }
}
