/**
 * A WebGPU device. Everything happens in the order of its one queue: a program is one command buffer, submitted at once, and whoever
 * waits for it waits for the queue. Nothing here can block.
 */
import { DeviceError, OutOfMemoryError, UnsupportedError } from "../../core/errors.js";
import { roundUp } from "../../core/numbers.js";
import { Arena, type Block, Blocks } from "../../runtime/blocks.js";
import type { Allocation, Call, Counters, Device, DeviceOptions, Loaded, LoadOptions } from "../../runtime/device.js";
import { checkAlive, type HostStep, hostSteps } from "../../runtime/encode.js";
import { runHost } from "../../runtime/host-step.js";
import { Memory, noCounters } from "../../runtime/memory.js";
import { type Profile, profile } from "../../runtime/profile.js";
import type { HostFunction, KernelCode, Program, TargetKey } from "../../runtime/program.js";
import { afterwards, type Job, Queue } from "../../runtime/queue.js";
import { mapRead, type OpenedGpu, openGpu, usage } from "./gpu.js";
import { deviceKey } from "./key.js";
import { type Dispatches, Launches, leastBytes, type Place, type Places, wantedOf } from "./launches.js";
import { copyKernel, patchKernel } from "./move.js";
import { type Pipeline, Pipelines } from "./pipelines.js";
import { Stamps } from "./stamps.js";

class WebGpuLoaded implements Loaded {
  readonly program: Program;
  readonly launches: Launches;
  readonly host: ReadonlyMap<string, HostFunction>;
  readonly device: WebGpuDevice;
  readonly #give: () => void;
  unloaded = false;
  constructor(device: WebGpuDevice, program: Program, launches: Launches, host: ReadonlyMap<string, HostFunction>, give: () => void) {
    this.device = device;
    this.program = program;
    this.launches = launches;
    this.host = host;
    this.#give = give;
  }
  unload(): void {
    if (this.unloaded) return;
    this.unloaded = true;
    this.device.later(this.#give);
  }
}

const profiled = profile();
/** Bytes that one copy to or from the host takes. */
const pieceBytes = 64 << 20;
/** Where a binding may begin on every device. */
const bindingAlign = 256;

/** Opens the best adapter's device. */
export async function openWebGpu(options: DeviceOptions = {}): Promise<Device> {
  if (options.index) throw new UnsupportedError(`webgpu:${options.index}: WebGPU chooses the adapter itself; use webgpu`);
  const gpu = await openGpu();
  const pipelines = new Pipelines(gpu.device);
  const own = (kernel: KernelCode, dims: number, label: string): Promise<Pipeline> =>
    pipelines.hold(kernel.entry, { kernel, prelude: "", dims, opened: [], label });
  const [patch, copying] = await Promise.all([own(patchKernel, 3, "a write"), own(copyKernel, 1, "a copy")]);
  return new WebGpuDevice(gpu, pipelines, patch, copying);
}

class WebGpuDevice implements Device {
  readonly name = "webgpu";
  readonly key: TargetKey;
  readonly blocking = false;
  readonly counters: Counters = noCounters();
  readonly #gpu: GPUDevice;
  readonly #adapter: string;
  readonly #memory: Memory<GPUBuffer>;
  readonly #staging: Memory<GPUBuffer>;
  readonly #blocks: Blocks<GPUBuffer, GPUBuffer>;
  readonly #arena: Arena<GPUBuffer>;
  readonly #pipelines: Pipelines;
  readonly #places: Places;
  readonly #queue = new Queue();
  readonly #nowhere: GPUBuffer;
  readonly #patch: Pipeline;
  readonly #copying: Pipeline;
  /** Only where the adapter has timestamps. */
  readonly #profiled: Profile | undefined;
  #lost: DeviceError | undefined;
  /** What waits for the GPU: it hears when the GPU is lost. */
  readonly #waiting = new Set<(error: DeviceError) => void>();
  #arenaPlace: Place | undefined;
  #closed: Promise<void> | undefined;

  constructor({ device, adapter, limits }: OpenedGpu, pipelines: Pipelines, patch: Pipeline, copying: Pipeline) {
    this.key = deviceKey(limits);
    this.#gpu = device;
    this.#adapter = adapter;
    this.#pipelines = pipelines;
    this.#patch = patch;
    this.#copying = copying;
    this.#profiled = device.features.has("timestamp-query") ? profiled : undefined;
    const source = (flags: number) => ({
      take: (bytes: number): GPUBuffer | undefined => (bytes > device.limits.maxBufferSize ? undefined : this.#buffer(bytes, flags)),
      give: (b: GPUBuffer): void => b.destroy(),
    });
    const all = usage.storage | usage.copySource | usage.copyTarget;
    this.#memory = new Memory("the webgpu device", source(all), this.counters);
    this.#staging = new Memory("the webgpu device", source(usage.mapRead | usage.copyTarget), noCounters());
    this.#nowhere = device.createBuffer({ size: leastBytes, usage: all });
    // WebGPU itself keeps kernels inside what is bound: there is nothing to mark.
    const ground = {
      memory: this.#memory,
      nowhere: this.#nowhere,
      place: (base: GPUBuffer) => base,
      mark: () => {},
      differs: () => -1,
      later: (work: () => void) => this.later(work),
    };
    this.#blocks = new Blocks(ground, false);
    this.#arena = new Arena(this.#memory, "the arena of temporaries");
    this.#places = {
      device,
      of: (a) => ({ buffer: (a as Block<GPUBuffer, GPUBuffer>).place, offset: 0 }),
      arena: (bytes) => this.#arenaOf(bytes),
      within: ({ buffer }, offset) => ({ buffer, offset }),
      uniforms: (bytes, old) => {
        if (old && old.size >= bytes) return old;
        old?.destroy();
        return this.#buffer(bytes, usage.uniform | usage.copyTarget);
      },
    };
    device.lost.then(({ message }) => {
      this.#lost = new DeviceError(this.#closed ? "the device is closed" : `the WebGPU device ${adapter} was lost: ${message}`);
      for (const reject of this.#waiting) reject(this.#lost);
    });
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
    this.later(() => this.#put(block.place, offset, copy, block.bytes));
  }
  copy(from: Allocation, to: Allocation, bytes: number): void {
    const [a, b] = [this.#blocks.alive(from, 0, bytes), this.#blocks.writable(to, 0, bytes)];
    if (bytes === 0 || a === b) return;
    const whole = bytes - (bytes % 4);
    this.later(() => {
      const encoder = this.#gpu.createCommandEncoder();
      if (whole) encoder.copyBufferToBuffer(a.place, 0, b.place, 0, whole);
      this.#gpu.queue.submit([encoder.finish()]);
      if (whole === bytes) return;
      // Part of a word is copied by a kernel, with what stands before it back to where a binding may begin.
      const offset = whole - (whole % bindingAlign);
      const size = roundUp(bytes, 4) - offset;
      const part = ({ place }: Block<GPUBuffer, GPUBuffer>): GPUBufferBinding => ({ buffer: place, offset, size });
      this.#dispatch(this.#copying, [part(a), part(b)], [bytes - offset]);
    });
  }
  read(from: Allocation, offset: number, bytes: number): Promise<Uint8Array> {
    const block = this.#blocks.alive(from, offset, bytes);
    return new Promise((resolve, reject) => {
      this.#queue.push({
        step: () => {
          this.#fetch(block.place, offset, bytes).then(resolve, reject);
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
    const constants: { buffer: GPUBuffer; bytes: number }[] = [];
    const held: string[] = [];
    let launches: Launches | undefined;
    const give = (): void => {
      for (const c of constants) this.#memory.give(c.buffer, c.bytes);
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
      if (failed) throw this.#lost ?? failed.reason;
      options.signal?.throwIfAborted();
      this.#check();
      const places = program.buffers.map((b): Place | undefined => {
        if (b.role !== "constant") return undefined;
        const data = b.data ?? new Uint8Array();
        if (!data.length) return { buffer: this.#nowhere, offset: 0 };
        const buffer = this.#memory.take(data.length, "constants");
        constants.push({ buffer, bytes: data.length });
        this.#put(buffer, 0, data, data.length);
        return { buffer, offset: 0 };
      });
      const pipelines = settled.map((s) => (s as PromiseFulfilledResult<Pipeline | undefined>).value);
      launches = new Launches(program, pipelines, places);
      return new WebGpuLoaded(this, program, launches, host, give);
    } catch (error) {
      give();
      throw error;
    }
  }
  loadSync(): never {
    throw new UnsupportedError("WebGPU makes pipelines off this thread: use `await` with load()");
  }

  submit(loaded: Loaded, call: Call, signal?: AbortSignal): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      signal?.throwIfAborted();
      this.#queue.push(this.#job(loaded, call, resolve, reject, signal));
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
          this.#settled().then(() => {
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
    this.#nowhere.destroy();
    this.#gpu.destroy();
  }

  /** Does something once everything submitted so far has been enqueued. */
  later(work: () => void): void {
    afterwards(this.#queue, work, (error) => this.#blocks.blame(error));
  }

  #job(loaded: Loaded, call: Call, resolve: () => void, reject: (error: unknown) => void, signal?: AbortSignal): Job {
    this.#check();
    if (!(loaded instanceof WebGpuLoaded) || loaded.device !== this || loaded.unloaded)
      throw new DeviceError("the program is not loaded on this device");
    checkAlive(loaded.program, call);
    const { launches } = loaded;
    let at = 0;
    let begun = false;
    let fetched: ReadonlyMap<number, Uint8Array> | undefined;
    let failed: Error | undefined;
    const refused: Promise<GPUError | null>[] = [];
    // What the GPU has begun it ends; its results are left behind.
    const stop = (): void => {
      if (!begun) this.#queue.remove(job);
      reject(signal!.reason);
    };
    signal?.addEventListener("abort", stop, { once: true });
    const job: Job = {
      step: (_blocking, wake) => {
        if (!begun || fetched) signal?.throwIfAborted();
        if (failed ?? this.#lost) throw failed ?? this.#lost;
        if (!begun) {
          begun = true;
          launches.prepare(call, this.#places);
        }
        const segment = launches.segments[at];
        if (!segment) return "done";
        if (segment.kind === "launches") {
          this.#gpu.pushErrorScope("validation");
          const encoder = this.#gpu.createCommandEncoder({ label: loaded.program.name });
          if (this.#profiled) this.#timed(loaded, segment, encoder);
          else {
            this.counters.launches += launches.encode(encoder, segment, this.#places);
            this.#gpu.queue.submit([encoder.finish()]);
          }
          this.counters.submissions++;
          refused.push(this.#gpu.popErrorScope());
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
        Promise.all([Promise.all(refused), this.#settled()])
          .then(([errors]) => {
            const wrong = errors.find((e) => e);
            if (wrong) throw new DeviceError(`WebGPU refused ${loaded.program.name}: ${wrong.message}`);
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

  /** Submits a segment and tells the profile what its dispatches took. */
  #timed({ program, launches }: WebGpuLoaded, segment: Dispatches, encoder: GPUCommandEncoder): void {
    const steps = launches.stepsOf(segment);
    const { sizes } = launches;
    const stamps = new Stamps(this.#gpu, steps.length);
    launches.encodeTimed(encoder, segment, this.#places, stamps);
    this.counters.launches += steps.length;
    this.#gpu.queue.submit([encoder.finish()]);
    stamps.times().then(
      (times) => {
        for (const [i, ns] of times.entries()) this.#profiled!.add(program, steps[i]!, ns, sizes);
      },
      () => {},
    );
  }
  async #inputs({ launches }: WebGpuLoaded, step: HostStep): Promise<ReadonlyMap<number, Uint8Array>> {
    const all = [...new Set(step.inputs)].map(async (b) => {
      const { buffer, offset } = launches.address(b, this.#places);
      return [b, await this.#fetch(buffer, offset, launches.bytes[b]!)] as const;
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
      write: (b, bytes) => {
        const { buffer, offset } = launches.address(b, this.#places);
        this.#put(buffer, offset, bytes, Number.POSITIVE_INFINITY);
      },
    });
    this.counters.hostSteps++;
  }

  /** Writes bytes anywhere in a buffer of `size` bytes: words that it covers in part are patched by a kernel. */
  #put(to: GPUBuffer, offset: number, data: Uint8Array, size: number): void {
    const head = Math.min(data.length, (4 - (offset % 4)) % 4);
    const tail = (data.length - head) % 4;
    const end = data.length - tail;
    if (head) this.#patched(to, offset, data.subarray(0, head));
    for (let at = head; at < end; at += pieceBytes)
      this.#gpu.queue.writeBuffer(to, offset + at, data.buffer as ArrayBuffer, data.byteOffset + at, Math.min(pieceBytes, end - at));
    if (!tail) return;
    // What lies behind a buffer up to a whole word is nobody's.
    if (offset + data.length < size) {
      this.#patched(to, offset + end, data.subarray(end));
      return;
    }
    const last = new Uint8Array(4);
    last.set(data.subarray(end));
    this.#gpu.queue.writeBuffer(to, offset + end, last);
  }
  /** Sets bytes of one word. */
  #patched(to: GPUBuffer, offset: number, data: Uint8Array): void {
    const first = 8 * (offset % 4);
    let [mask, value] = [0, 0];
    data.forEach((b, i) => {
      mask |= 255 << (first + 8 * i);
      value |= b << (first + 8 * i);
    });
    this.#dispatch(this.#patch, [{ buffer: to }], [Math.floor(offset / 4), mask, value]);
  }
  /** Runs one workgroup of a kernel of the device itself. */
  #dispatch({ pipeline, layout }: Pipeline, buffers: readonly GPUBufferBinding[], dims: readonly number[]): void {
    const uniform = this.#buffer(16, usage.uniform | usage.copyTarget);
    this.#gpu.queue.writeBuffer(uniform, 0, new Int32Array(dims));
    const resources = [...buffers, { buffer: uniform, size: 4 * dims.length }];
    const entries = resources.map((resource, binding) => ({ binding, resource }));
    const encoder = this.#gpu.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, this.#gpu.createBindGroup({ layout, entries }));
    pass.dispatchWorkgroups(1);
    pass.end();
    this.#gpu.queue.submit([encoder.finish()]);
    uniform.destroy();
  }

  /** Bytes of device memory, after everything that was submitted. */
  async #fetch(from: GPUBuffer, offset: number, bytes: number): Promise<Uint8Array> {
    const out = new Uint8Array(bytes);
    for (let at = 0; at < bytes; at += pieceBytes) await this.#piece(from, offset + at, out.subarray(at, Math.min(bytes, at + pieceBytes)));
    return out;
  }
  async #piece(from: GPUBuffer, offset: number, out: Uint8Array): Promise<void> {
    if (this.#lost) throw this.#lost;
    const begin = offset - (offset % 4);
    const size = roundUp(offset + out.length, 4) - begin;
    const staging = this.#staging.take(size, "a result on its way back");
    try {
      const encoder = this.#gpu.createCommandEncoder();
      encoder.copyBufferToBuffer(from, begin, staging, 0, size);
      this.#gpu.queue.submit([encoder.finish()]);
      await this.#unlessLost(staging.mapAsync(mapRead, 0, size));
      out.set(new Uint8Array(staging.getMappedRange(0, size), offset - begin, out.length));
      staging.unmap();
    } catch (cause) {
      throw this.#lost ?? new DeviceError(`WebGPU gave no result: ${(cause as Error).message}`, { cause });
    } finally {
      this.#staging.give(staging, size);
    }
  }

  /** Resolves when the GPU is done with everything submitted so far. */
  async #settled(): Promise<void> {
    await this.#unlessLost(this.#gpu.queue.onSubmittedWorkDone());
    if (this.#lost) throw this.#lost;
  }
  /** The promise, or the loss of the GPU where that comes first. */
  #unlessLost<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#waiting.add(reject);
      work.then(resolve, reject).finally(() => this.#waiting.delete(reject));
    });
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
    const buffer = this.#arena.atLeast(bytes, this.#nowhere);
    if (this.#arenaPlace?.buffer !== buffer) this.#arenaPlace = { buffer, offset: 0 };
    return this.#arenaPlace;
  }
  #check(): void {
    this.#blocks.open();
    if (this.#lost) throw this.#lost;
  }
}
