/** From a program to what runs it: machine code on the GPU, constants in its memory, and for some steps libraries or their kernels. */
import { InternalError } from "../../core/errors.js";
import { warnOnce } from "../../core/warn.js";
import { buffersOf, callAt } from "../../runtime/attention.js";
import type { Choice } from "../../runtime/choices.js";
import type { Allocation, Counters } from "../../runtime/device.js";
import type { Memory } from "../../runtime/memory.js";
import type { Program } from "../../runtime/program.js";
import { type BuiltAll, build, buildSync } from "./build.js";
import { type Caller, callerOf } from "./callers.js";
import { copyUnit } from "./copy.js";
import { attentionChoices, Cudnn, type Plan, whyNotCudnn } from "./cudnn/index.js";
import type { Driver, Gpu } from "./driver.js";
import type { Fences } from "./fences.js";
import { nvrtcFlags } from "./key.js";
import type { Chooser, Places } from "./launch.js";
import { Launches } from "./launches.js";
import { attentionLibrary, findLibrary, productLibrary } from "./libraries.js";
import { type Algorithm, Lt, ltMultiplier } from "./lt.js";
import { measureSteps } from "./measure.js";
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
  /** A library computes attention where it takes at most so many times as long as kernels do. */
  readonly margin: number;
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
/** Of a GPU's memory, what the workspace of one call of attention may take. */
const workspaceShare = 1 / 128;

function openLt(): Lt | null {
  const path = findLibrary(productLibrary);
  return path ? new Lt(path) : null;
}
function openCudnn(driver: Driver): Cudnn | null {
  const path = findLibrary(attentionLibrary);
  const why = path && whyNotCudnn(path);
  if (why) warnOnce(`${path}: ${why}; kernels compute attention`);
  return path && !why ? new Cudnn(path, driver) : null;
}

export class Loader {
  readonly #site: Site;
  readonly #flags: readonly string[];
  /** Null: there is none, or it is not used. Each is looked for when a program first has calls for it. */
  #lt: Lt | null | undefined;
  #cudnn: Cudnn | null | undefined;
  readonly #products = new Map<string, Choice<Algorithm>>();
  readonly #attention = new Map<string, Choice<Plan>>();
  copy = 0n;

  constructor(site: Site) {
    this.#site = site;
    this.#flags = nvrtcFlags(site.gpu.sm);
  }

  async load(program: Program, signal?: AbortSignal): Promise<Ready> {
    const callers = this.#callers(program);
    const built: BuiltAll[] = [];
    for (const part of this.#parts(program, callers)) built.push(await build(part, this.#flags, this.#extra(part), signal));
    return this.#ready(program, built, callers);
  }
  loadSync(program: Program): Ready {
    const callers = this.#callers(program);
    const built = this.#parts(program, callers).map((part) => buildSync(part, this.#flags, this.#extra(part)));
    return this.#ready(program, built, callers);
  }
  close(): void {
    this.#lt?.close();
    this.#cudnn?.close();
  }

  /** The kernel that copies, where a program is the first to need it. */
  #extra = (program: Program) => (!this.copy && program.steps.some((s) => s.kind === "copy") ? [copyUnit] : []);

  /** Libraries that are here and may compute steps of a program. */
  #callers(program: Program): readonly Caller[] {
    const has = (what: "product" | "attention"): boolean => program.steps.some((s) => s.kind === "launch" && s[what]);
    this.#site.enter();
    return [...(has("product") ? this.#byLt(program) : []), ...(has("attention") ? this.#byCudnn(program) : [])];
  }
  #byLt(program: Program): readonly Caller[] {
    if (this.#lt === undefined) this.#lt = openLt();
    const lt = this.#lt;
    if (!lt) return [];
    const made = callerOf(program, ltMultiplier(lt, this.#site.gpu.name), this.#products, (_, { way, call: { sized, types } }) => {
      const { enqueue } = lt.describe(sized, types);
      return { workspace: way.workspace, also: [], enqueue: (...at) => enqueue(way, ...at) };
    });
    return [made];
  }
  #byCudnn(program: Program): readonly Caller[] {
    const { gpu, driver, margin } = this.#site;
    if (this.#cudnn === undefined) this.#cudnn = openCudnn(driver);
    const cudnn = this.#cudnn;
    if (!cudnn) return [];
    const library = attentionChoices(cudnn, [gpu.name, driver.version], Math.floor(gpu.bytes * workspaceShare), margin);
    const made = callerOf(program, library, this.#attention, (step, { way, call }) => {
      const [{ enqueue }, at] = [cudnn.describe(call), callAt(program, step)];
      return { workspace: way.workspace, also: at.also, touches: buffersOf(at), enqueue: (...to) => enqueue(way, ...to) };
    });
    return [made];
  }
  /** Kernels that run whatever is chosen, and those that a library may spare, where one of them may run: apart, so that each part is cached as it is. */
  #parts(program: Program, callers: readonly Caller[]): readonly Program[] {
    const spares = callers.map((c) => c.spare).filter((s) => s.kernels.size);
    const only = (of: (kernel: number) => boolean): Program => ({ ...program, kernels: program.kernels.filter((_, i) => of(i)) });
    const others = spares.length ? only((i) => !spares.some((s) => s.kernels.has(i))) : program;
    return [others, ...spares.filter((s) => s.needed).map((s) => ({ ...only((i) => s.kernels.has(i)), steps: [] }))];
  }

  #ready(program: Program, built: readonly BuiltAll[], callers: readonly Caller[]): Ready {
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
      const bench = { ...this.#site, drop: (l: Launches) => this.#drop(l) };
      for (const c of callers) c.measure((steps) => measureSteps(bench, program, steps, functions));
      const at = program.buffers.map((b): bigint | undefined => {
        if (b.role !== "constant") return undefined;
        const data = b.data ?? new Uint8Array();
        if (!data.length) return empty;
        const address = memory.take(data.length, "constants");
        constants.push({ address, bytes: data.length });
        staging.upload(address, data);
        return address;
      });
      const choose: Chooser = (step, sizes) => {
        for (const c of callers) {
          const call = c.choose(step, sizes);
          if (call) return call;
        }
        return undefined;
      };
      launches = new Launches(program, driver, functions, at, choose);
      return { launches, give };
    } catch (error) {
      give();
      throw error;
    }
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
}
