/** Compiled kernels of a device, each once, at places of the table that every thread has. */

import { CompileError } from "../../core/errors.js";
import type { Program } from "../../runtime/program.js";
import { type WasmExports, type WasmMemory, type WasmModule, type WasmTable, webAssembly } from "./api.js";
import { access, branch, i32, memoryCopy, op, select } from "./asm/code.js";
import { Module, withoutSharing } from "./asm/module.js";
import { engine } from "./engine.js";
import { copyBlock } from "./table.js";

/** Kernels that somebody holds. */
export interface Held {
  readonly places: readonly number[];
  /** How many were compiled for it. */
  readonly built: number;
  release(): void;
}
interface Entry {
  readonly place: number;
  readonly key: string;
  readonly module: WasmModule;
  holders: number;
}
/** What threads have not been told yet. */
export interface News {
  readonly version: number;
  readonly kernels: readonly (readonly [place: number, module: WasmModule])[];
  readonly dropped: readonly number[];
}

const fixed = new Map<string, WasmModule>();

/** Place of the kernel that copies. */
export const copyPlace = 0;

export class Kernels {
  readonly #shared: boolean;
  readonly #byText = new Map<string, Entry>();
  readonly #live = new Map<number, Entry>();
  readonly #freePlaces: number[] = [];
  readonly #here: WasmTable = new webAssembly.Table({ element: "anyfunc", initial: 64 });
  readonly #imports: { readonly m: { readonly memory: WasmMemory; readonly table: WasmTable }; readonly f: ReturnType<typeof engine> };
  readonly #present = new Set<number>();
  #places = 0;
  #compiled = 0;
  #added: Entry[] = [];
  #dropped: number[] = [];
  #version = 0;

  constructor(memory: WasmMemory, shared: boolean) {
    this.#shared = shared;
    this.#imports = { m: { memory, table: this.#here }, f: engine() };
    this.#hold("copy", this.fixed("copy", copyKernel));
  }
  /** The driver for this thread. */
  instance(driver: WasmModule): WasmExports {
    return new webAssembly.Instance(driver, this.#imports).exports;
  }
  /** A module that every device has, compiled once. */
  fixed(name: string, bytes: () => Uint8Array): WasmModule {
    const key = `${name} ${this.#shared}`;
    let module = fixed.get(key);
    if (!module) fixed.set(key, (module = this.compile(bytes())));
    return module;
  }
  compile(bytes: Uint8Array): WasmModule {
    return new webAssembly.Module(this.#own(bytes));
  }
  #own(bytes: Uint8Array): Uint8Array {
    return this.#shared ? bytes : withoutSharing(bytes);
  }

  /** The kernels of a program, compiled side by side. */
  async load(program: Program): Promise<Held> {
    const sources = this.#sources(program);
    const missing = [...new Map(sources.filter(([key]) => !this.#byText.has(key)))];
    const modules = await this.#try(program, () => Promise.all(missing.map(([, bytes]) => webAssembly.compile(this.#own(bytes)))));
    return this.#take(program, sources, new Map(missing.map(([key], i) => [key, modules[i]!])));
  }
  loadSync(program: Program): Held {
    return this.#take(program, this.#sources(program), new Map());
  }
  #sources(program: Program): readonly (readonly [key: string, bytes: Uint8Array])[] {
    return program.kernels.map((k) => {
      if (typeof k.source === "string") throw new CompileError(`kernel ${k.entry} of ${program.name} is text, not WebAssembly`);
      return [textOf(k.source), k.source] as const;
    });
  }
  async #try<T>(program: Program, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (cause) {
      throw new CompileError(`a kernel of ${program.name} does not compile here: ${(cause as Error).message}`, { cause });
    }
  }
  #take(program: Program, sources: readonly (readonly [string, Uint8Array])[], made: ReadonlyMap<string, WasmModule>): Held {
    const entries: Entry[] = [];
    const before = this.#compiled;
    const release = (): void => {
      for (const e of entries.splice(0)) this.#release(e);
    };
    try {
      for (const [key, bytes] of sources) entries.push(this.#hold(key, made.get(key) ?? (() => this.compile(bytes))));
    } catch (cause) {
      release();
      throw new CompileError(`a kernel of ${program.name} does not compile here: ${(cause as Error).message}`, { cause });
    }
    return { places: entries.map((e) => e.place), built: this.#compiled - before, release };
  }
  #hold(key: string, module: WasmModule | (() => WasmModule)): Entry {
    let entry = this.#byText.get(key);
    if (!entry) {
      const compiled = typeof module === "function" ? module() : module;
      entry = { place: this.#freePlaces.pop() ?? this.#places++, key, module: compiled, holders: 0 };
      this.#byText.set(key, entry);
      this.#live.set(entry.place, entry);
      this.#added.push(entry);
      this.#compiled++;
    }
    entry.holders++;
    return entry;
  }
  #release(entry: Entry): void {
    if (--entry.holders) return;
    this.#byText.delete(entry.key);
    this.#live.delete(entry.place);
    this.#dropped.push(entry.place);
    this.#freePlaces.push(entry.place);
    if (this.#present.delete(entry.place)) this.#here.set(entry.place, null);
  }

  /** Sees to it that this thread can run kernels. */
  bringHere(places: readonly number[]): void {
    for (const place of [copyPlace, ...places]) {
      if (this.#present.has(place)) continue;
      if (place >= this.#here.length) this.#here.grow(Math.max(64, place + 1 - this.#here.length));
      const { exports } = new webAssembly.Instance(this.#live.get(place)!.module, this.#imports);
      this.#here.set(place, exports["k"]);
      this.#present.add(place);
    }
  }
  /** What changed since the last time, undefined where nothing did. */
  news(): News | undefined {
    const kernels = this.#added.filter((e) => this.#live.get(e.place) === e).map((e) => [e.place, e.module] as const);
    if (!kernels.length && this.#dropped.length < 64) return undefined;
    const news: News = { version: ++this.#version, kernels, dropped: this.#dropped };
    this.#added = [];
    this.#dropped = [];
    return news;
  }
  /** Everything, for a thread that starts. */
  all(): News {
    return { version: this.#version, kernels: [...this.#live.values()].map((e) => [e.place, e.module] as const), dropped: [] };
  }
}

function textOf(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return text;
}

/** Copies blocks of one buffer to another: arguments are both addresses and the bytes. */
function copyKernel(): Uint8Array {
  const module = new Module();
  module.add("k", { takes: ["i32", "i32", "i32", "i32"], gives: undefined }, (f) => {
    const [args, begin, end] = [f.read(0), f.read(1), f.read(2)];
    const word = (at: number): ReturnType<typeof i32> => access("i32.load", 4 * at, args);
    const from = f.keep(op("i32.mul", begin, i32(copyBlock)));
    const bytes = f.keep(word(2));
    const to = f.keep(op("i32.mul", end, i32(copyBlock)));
    const stop = f.keep(select(op("i32.lt_u", to, bytes), to, bytes));
    const count = op("i32.sub", stop, from);
    f.push(branch(op("i32.gt_u", stop, from), [memoryCopy(op("i32.add", word(1), from), op("i32.add", word(0), from), count)]));
    return undefined;
  });
  return module.encode();
}
