/** From a program to what runs it: machine code on the GPU, constants in its memory, and for products the library or their kernels. */
import { bytesOf } from "../../core/dtype.js";
import { InternalError } from "../../core/errors.js";
import { clamp, roundUp } from "../../core/numbers.js";
import { type Choice, Choices, type Chosen, type Measure } from "../../runtime/choices.js";
import type { Allocation, Call, Counters } from "../../runtime/device.js";
import type { Memory } from "../../runtime/memory.js";
import type { Program } from "../../runtime/program.js";
import { type BuiltAll, build, buildSync } from "./build.js";
import { copyUnit } from "./copy.js";
import type { Driver, Gpu } from "./driver.js";
import type { Fences } from "./fences.js";
import { nvrtcFlags } from "./key.js";
import type { LibraryCall, Places } from "./launch.js";
import { Launches } from "./launches.js";
import { findLibrary, productLibrary } from "./libraries.js";
import { type Algorithm, Lt, ltMultiplier } from "./lt.js";
import type { Modules } from "./modules.js";
import type { Staging } from "./staging.js";

/** What loading needs of the device. */
export interface Site {
  readonly driver: Driver;
  readonly gpu: Gpu;
  readonly stream: bigint;
  readonly memory: Memory<bigint>;
  readonly pinned: Memory<bigint>;
  readonly staging: Staging;
  readonly fences: Fences;
  readonly modules: Modules;
  readonly places: Places;
  readonly counters: Counters;
  /** The place of what has no bytes. */
  readonly empty: bigint;
  alloc(bytes: number): Allocation;
  free(a: Allocation): void;
  enter(): void;
}
/** A program on the GPU. */
export interface Ready {
  readonly launches: Launches;
  /** Gives back what loading took. */
  readonly give: () => void;
}

/** The function attribute that allows a block more shared memory than 48 KiB. */
const dynamicShared = 8;
/** Seconds of a first run that says enough. */
const longRun = 0.1;
/** What is measured: a graph of so many products at least, run so often, on so many bytes that no cache holds them, in so many sets at most. */
const [leastTurns, runs, coldBytes, mostSets] = [8, 3, 128 << 20, 24];

export class Loader {
  readonly #site: Site;
  readonly #flags: readonly string[];
  #lt: Lt | undefined;
  readonly #found = new Map<string, Choice<Algorithm>>();
  copy = 0n;

  constructor(site: Site) {
    this.#site = site;
    this.#flags = nvrtcFlags(site.gpu.sm);
  }

  async load(program: Program, signal?: AbortSignal): Promise<Ready> {
    const choices = this.#choices(program);
    const built: BuiltAll[] = [];
    for (const part of this.#parts(program, choices)) built.push(await build(part, this.#flags, this.#extra(part), signal));
    return this.#ready(program, built, choices);
  }
  loadSync(program: Program): Ready {
    const choices = this.#choices(program);
    const built = this.#parts(program, choices).map((part) => buildSync(part, this.#flags, this.#extra(part)));
    return this.#ready(program, built, choices);
  }
  close(): void {
    this.#lt?.close();
  }

  /** The kernel that copies, where a program is the first to need it. */
  #extra = (program: Program) => (!this.copy && program.steps.some((s) => s.kind === "copy") ? [copyUnit] : []);

  #choices(program: Program): Choices<Algorithm> | undefined {
    if (!program.steps.some((s) => s.kind === "launch" && s.product)) return undefined;
    const { enter, gpu } = this.#site;
    enter();
    const path = this.#lt ? undefined : findLibrary(productLibrary);
    if (path) this.#lt = new Lt(path);
    return this.#lt && new Choices(program, ltMultiplier(this.#lt, gpu.name), this.#found);
  }
  /** Kernels that run whatever is chosen, and those of products, where one of them may run: apart, so that each part is cached as it is. */
  #parts(program: Program, choices: Choices<Algorithm> | undefined): readonly Program[] {
    const spare = choices?.spare;
    if (!spare?.kernels.size) return [program];
    const others = { ...program, kernels: program.kernels.filter((_, i) => !spare.kernels.has(i)) };
    const products = { ...program, kernels: program.kernels.filter((_, i) => spare.kernels.has(i)), steps: [] };
    return spare.needed ? [others, products] : [others];
  }

  #ready(program: Program, built: readonly BuiltAll[], choices: Choices<Algorithm> | undefined): Ready {
    const { driver, memory, staging, fences, modules, counters, empty, enter } = this.#site;
    enter();
    const constants: { address: bigint; bytes: number }[] = [];
    const held: string[] = [];
    let launches: Launches | undefined;
    const give = (): void => {
      for (const c of constants) memory.give(c.address, c.bytes);
      if (launches) this.#drop(launches);
      // Code stays until the last run of it is over.
      fences.after(() => {
        for (const key of held) modules.release(key);
      });
    };
    try {
      const where = new Map<string, bigint>();
      for (const { units, compiled } of built) {
        counters.builds += compiled;
        for (const unit of units) {
          const module = modules.hold(unit.key, unit.code);
          held.push(unit.key);
          for (const entry of unit.entries) {
            const f = modules.function(module, entry);
            if (entry === copyUnit.entries[0]) this.#keepCopy(unit.key, unit.code, f);
            else if (where.has(entry)) throw new InternalError(`${program.name} has two kernels called ${entry}`);
            else where.set(entry, f);
          }
        }
      }
      for (const k of program.kernels) {
        const [shared, f] = [Number(k.sharedBytes), where.get(k.entry)];
        if (shared > 48 << 10 && f !== undefined) driver.call("cuFuncSetAttribute", f, dynamicShared, shared);
      }
      const functions = program.kernels.map((k) => where.get(k.entry) ?? 0n);
      choices?.measure((step) => this.#measure(program, step, functions));
      const at = program.buffers.map((b): bigint | undefined => {
        if (b.role !== "constant") return undefined;
        const data = b.data ?? new Uint8Array();
        if (!data.length) return empty;
        const address = memory.take(data.length, "constants");
        constants.push({ address, bytes: data.length });
        staging.upload(address, data);
        return address;
      });
      launches = new Launches(program, driver, functions, at, choices && ((step, sizes) => this.#call(choices.choose(step, sizes))));
      return { launches, give };
    } catch (error) {
      give();
      throw error;
    }
  }
  #call(chosen: Chosen<Algorithm> | undefined): LibraryCall | undefined {
    if (!chosen) return undefined;
    const { way, sized, types } = chosen;
    const described = this.#lt!.describe(sized, types);
    return { workspace: way.workspace, enqueue: (addresses, workspace, stream) => described.enqueue(way, addresses, workspace, stream) };
  }
  /** The copy kernel outlives the program that brought it. */
  #keepCopy(key: string, code: Uint8Array, f: bigint): void {
    if (this.copy) return;
    this.#site.modules.hold(key, code);
    this.copy = f;
  }
  #drop(launches: Launches): void {
    const { places, pinned } = this.#site;
    launches.drop(places);
    launches.release(places);
    if (launches.host) pinned.give(launches.host.address, launches.host.bytes.byteLength);
  }

  /** Times a step of fixed sizes by itself, on memory of its own. */
  #measure(program: Program, number: number, functions: readonly bigint[]): { readonly by: Measure<Algorithm>; close(): void } {
    const { driver, stream, places, alloc, free } = this.#site;
    const step = program.steps[number] as Extract<Program["steps"][number], { kind: "launch" }>;
    const { beside: _, ...alone } = step;
    const used = [...new Set(step.buffers)];
    // Every turn has memory of its own, as every product of a model has: weights do not wait in a cache.
    const sizes = used.map((b) => roundUp((program.buffers[b]!.size as number) * bytesOf(program.buffers[b]!.dtype), 256));
    const bytes = sizes.reduce((sum, n) => sum + n, 0);
    const sets = clamp(Math.ceil(coldBytes / bytes), 1, mostSets);
    const memory = alloc(sets * bytes);
    const base = places.of(memory);
    const at = Array.from({ length: sets * used.length }, (_, i) => {
      const [set, index] = [Math.floor(i / used.length), i % used.length];
      return {
        bytes: sizes[index]!,
        freed: false,
        place: base + BigInt(set * bytes + sizes.slice(0, index).reduce((sum, n) => sum + n, 0)),
      };
    });
    const single: Program = {
      ...program,
      inputs: [],
      outputs: [],
      state: [],
      arena: 0,
      buffers: at.map((_, i) => {
        const { dtype, size } = program.buffers[used[i % used.length]!]!;
        return { role: "state", dtype, size };
      }),
      steps: Array.from({ length: Math.max(sets, leastTurns) }, (_, i) => ({
        ...alone,
        buffers: step.buffers.map((b) => (i % sets) * used.length + used.indexOf(b)),
      })),
    };
    const turns = single.steps.length;
    const call: Call = { buffers: at, dims: program.dims.map((d) => d.min) };
    const here: Places = { ...places, of: (a) => (a as (typeof at)[number]).place };
    const by = (chosen: Chosen<Algorithm> | undefined): number => {
      const library = this.#call(chosen);
      const launches = new Launches(single, driver, functions, [], () => library, true);
      const events = [driver.made("cuEventCreate", 0), driver.made("cuEventCreate", 0)] as const;
      try {
        launches.prepare(call, here);
        const [segment] = launches.segments;
        if (segment?.kind !== "native") return 0;
        const run = (times: number): void => {
          for (let i = 0; i < times; i++) launches.replay(segment, stream, here);
        };
        const begun = performance.now();
        run(1);
        driver.call("cuStreamSynchronize", stream);
        const first = (performance.now() - begun) / 1000;
        if (first > longRun) return first / turns;
        run(1);
        driver.call("cuEventRecord", events[0], stream);
        run(runs);
        driver.call("cuEventRecord", events[1], stream);
        driver.call("cuEventSynchronize", events[1]);
        const ms = new Float32Array(1);
        driver.call("cuEventElapsedTime", ms, ...events);
        return ms[0]! / 1000 / runs / turns;
      } finally {
        for (const e of events) driver.call("cuEventDestroy_v2", e);
        this.#drop(launches);
      }
    };
    return { by, close: () => free(memory) };
  }
}
