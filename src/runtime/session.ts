/// <reference lib="esnext.disposable" preserve="true" />
/** Runs the methods of a `.pie` file on a device. State lives on the device between calls. */
import { ArgumentError, DTypeError, FormatError, NoProgramError, ShapeError } from "../core/errors.js";
import { turn } from "../core/host.js";
import { byteLength } from "../core/ndarray.js";
import type { Allocation, Device, Loaded } from "./device.js";
import { bindDims, type Given, outputTypes, prepare, showRange } from "./execute.js";
import type { ByteSource } from "./file.js";
import { type BlobLike, openAny } from "./folder.js";
import { isSandboxed, meets, showKey } from "./key.js";
import { checkFits, loadPie, type Pie, type PieMethod, type PieState } from "./pie.js";
import type { HostFunctions, Program } from "./program.js";
import { startHash } from "./sha256.js";
import { HostTensor, type HostValue, hostTensor } from "./tensor.js";
import { verifyProgram } from "./verify.js";

/** Makes a program for a device from a method's graph; the full package passes its compiler. */
export type CompileMethod = (method: PieMethod, device: Device, pie: Pie) => Program | Promise<Program>;

/** How a `.pie` file is opened. */
export interface SessionOptions {
  readonly device: Device;
  /**
   * Native code (C, CUDA, binaries) and JavaScript of the file run only if it is trusted: true, or the file's SHA-256 in hex. Otherwise
   * they are ignored and the graph is compiled.
   */
  readonly trust?: boolean | string;
  readonly compile?: CompileMethod;
  /** Functions for steps that the reference interpreter runs. */
  readonly host?: HostFunctions;
  /** Only these methods; default: all. */
  readonly methods?: readonly string[];
  readonly signal?: AbortSignal;
  /** Told of bytes that come from a server: how many so far, and the file's size. */
  onProgress?(got: number, size: number): void;
}
/** How a method runs. */
export interface RunOptions {
  readonly signal?: AbortSignal;
}
interface Ready {
  readonly method: PieMethod;
  readonly program: Program;
  readonly loaded: Loaded;
}

const chunk = 1 << 24;

/** An open `.pie` file on a device: its methods run with the state that it carries. */
export class Session {
  readonly device: Device;
  readonly pie: Pie;
  readonly #ready: ReadonlyMap<string, Ready>;
  readonly #state: ReadonlyMap<string, Allocation>;
  #open = true;

  private constructor(device: Device, pie: Pie, ready: ReadonlyMap<string, Ready>, state: ReadonlyMap<string, Allocation>) {
    this.device = device;
    this.pie = pie;
    this.#ready = ready;
    this.#state = state;
  }

  /** Opens a `.pie` file (a path, an address, a file that a user chose, or its bytes): checks it whole, loads its methods and puts its state on the device. */
  static async open(file: string | URL | Uint8Array | ByteSource | BlobLike, options: SessionOptions): Promise<Session> {
    const { device, signal } = options;
    const source = await openAny(file, { ...(signal && { signal }), ...(options.onProgress && { onProgress: options.onProgress }) });
    const ready = new Map<string, Ready>();
    const state = new Map<string, Allocation>();
    try {
      const pie = await loadPie(source, signal);
      const trusted = typeof options.trust === "string" ? await pinned(source, options.trust, signal) : options.trust === true;
      for (const name of options.methods ?? []) if (!pie.methods.has(name)) throw noMethod(pie, name);
      const wanted = [...pie.methods.values()].filter((m) => !options.methods || options.methods.includes(m.name));
      for (const method of wanted) {
        signal?.throwIfAborted();
        const program = await choose(pie, method, options, trusted);
        const loaded = await device.load(program, { ...(options.host && { host: options.host }), ...(signal && { signal }) });
        ready.set(method.name, { method, program, loaded });
      }
      for (const name of new Set(wanted.flatMap((m) => m.state))) {
        const s = pie.state.get(name)!;
        state.set(name, device.alloc(byteLength(s.dtype, s.shape)));
      }
      // Some devices say later that they have no memory: before weights are read in vain.
      await device.sync();
      const session = new Session(device, pie, ready, state);
      await session.reset(signal);
      return session;
    } catch (error) {
      for (const a of state.values()) device.free(a);
      for (const r of ready.values()) r.loaded.unload();
      source.close();
      throw error;
    }
  }

  /** Names of the methods that can be run. */
  get methods(): readonly string[] {
    return [...this.#ready.keys()];
  }
  /** A method with its inputs, outputs and their ranges. */
  method(name: string): PieMethod {
    return this.#find(name).method;
  }
  /** The program that runs a method here. */
  program(name: string): Program {
    return this.#find(name).program;
  }

  /** Runs a method: inputs and results by name. Calls run in the order in which they were made. */
  async run(
    method: string,
    inputs: Readonly<Record<string, HostValue>> = {},
    options: RunOptions = {},
  ): Promise<Record<string, HostTensor>> {
    const r = this.#find(method);
    const given = ordered(r, inputs);
    return this.#with(r, given, async (call, outputs, dims) => {
      const done = this.device.submit(r.loaded, call, options.signal);
      const types = outputTypes(r.program, dims);
      const bytes = types.map((t, i) => this.device.read(outputs[i]!, 0, byteLength(t.dtype, t.shape as number[])));
      const [all] = await Promise.all([Promise.allSettled(bytes), done]);
      return named(
        r.program,
        types.map((t, i) => {
          const b = all[i]!;
          if (b.status === "rejected") throw b.reason;
          return new HostTensor(t.dtype, t.shape as number[], b.value);
        }),
      );
    });
  }
  /** The same on this thread, on devices that can block. */
  runSync(method: string, inputs: Readonly<Record<string, HostValue>> = {}): Record<string, HostTensor> {
    const r = this.#find(method);
    const given = ordered(r, inputs);
    return this.#with(r, given, (call, outputs, dims) => {
      this.device.submitSync(r.loaded, call);
      return named(
        r.program,
        outputTypes(r.program, dims).map((t, i) => {
          const shape = t.shape as number[];
          return new HostTensor(t.dtype, shape, this.device.readSync(outputs[i]!, 0, byteLength(t.dtype, shape)));
        }),
      );
    });
  }

  /** The present value of a state. */
  async readState(name: string): Promise<HostTensor> {
    const { s, a } = this.#cell(name);
    return new HostTensor(s.dtype, s.shape, await this.device.read(a, 0, a.bytes));
  }
  /** Replaces the value of a state. */
  writeState(name: string, value: HostTensor): void {
    const { s, a } = this.#cell(name);
    if (value.dtype !== s.dtype) throw new DTypeError(`state ${name} is ${s.dtype} and was given ${value.dtype}`);
    if (value.shape.length !== s.shape.length || value.shape.some((n, i) => n !== s.shape[i]))
      throw new ShapeError(`state ${name} has shape [${s.shape.join(", ")}] and was given [${value.shape.join(", ")}]`);
    this.device.write(a, 0, value.bytes);
  }
  /** Puts every state back to its first value. */
  async reset(signal?: AbortSignal): Promise<void> {
    for (const [name, a] of this.#state) {
      const { blob } = this.pie.state.get(name)!;
      const buffer = new Uint8Array(Math.min(chunk, a.bytes));
      for (let at = 0; at < a.bytes; at += buffer.length) {
        signal?.throwIfAborted();
        const part = buffer.subarray(0, Math.min(buffer.length, a.bytes - at));
        if (blob !== undefined) {
          await this.pie.load(blob, at, part.length, signal);
          this.pie.readInto(blob, at, part);
          this.pie.release(blob, at, part.length);
        }
        this.device.write(a, at, part);
        if (a.bytes > chunk) await turn();
      }
    }
  }

  /** Gives back the state and the programs; the device stays open. */
  async dispose(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    for (const a of this.#state.values()) this.device.free(a);
    for (const r of this.#ready.values()) r.loaded.unload();
    this.pie.source.close();
    await this.device.sync();
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  #with<T>(
    r: Ready,
    given: readonly HostTensor[],
    work: (call: ReturnType<typeof prepare>["call"], outputs: readonly Allocation[], dims: readonly number[]) => T,
  ): T {
    const dims = bindDims(r.program, given as readonly Given[]);
    const owned: Allocation[] = [];
    const free = (): void => {
      for (const a of owned.splice(0)) this.device.free(a);
    };
    try {
      for (const t of given) {
        const a = this.device.alloc(t.bytes.length);
        owned.push(a);
        this.device.write(a, 0, t.bytes);
      }
      const p = prepare(
        this.device,
        r.program,
        dims,
        owned.slice(),
        r.program.state.map((s) => this.#state.get(s.name)!),
      );
      owned.push(...p.owned);
      const result = work(p.call, p.outputs, dims);
      if (result instanceof Promise) return result.finally(free) as T;
      free();
      return result;
    } catch (error) {
      free();
      throw error;
    }
  }
  #find(name: string): Ready {
    if (!this.#open) throw new ArgumentError("the session is disposed");
    const r = this.#ready.get(name);
    if (!r) throw noMethod(this.pie, name);
    return r;
  }
  #cell(name: string): { s: PieState; a: Allocation } {
    if (!this.#open) throw new ArgumentError("the session is disposed");
    const a = this.#state.get(name);
    const s = this.pie.state.get(name);
    if (!a || !s)
      throw new ArgumentError(
        `${this.pie.source.name} has no state ${name}; it has ${[...this.#state.keys()].slice(0, 8).join(", ") || "none"}`,
      );
    return { s, a };
  }
}

const noMethod = (pie: Pie, name: string): ArgumentError =>
  new ArgumentError(`${pie.source.name} has no method ${name} here; it has ${[...pie.methods.keys()].join(", ") || "none"}`);
const named = (p: Program, tensors: readonly HostTensor[]): Record<string, HostTensor> =>
  Object.fromEntries(p.outputs.map((o, i) => [o.name, tensors[i]!]));

function ordered(r: Ready, inputs: Readonly<Record<string, HostValue>>): HostTensor[] {
  const { inputs: ports } = r.program;
  for (const name of Object.keys(inputs))
    if (!ports.some((p) => p.name === name)) throw new ArgumentError(`${r.method.name} has no input ${name}; it takes ${list(ports)}`);
  return ports.map((p) => {
    const value = Object.hasOwn(inputs, p.name) ? inputs[p.name] : undefined;
    if (value === undefined)
      throw new ArgumentError(`${r.method.name} needs the input ${p.name}: ${showRange(p.type)}; it takes ${list(ports)}`);
    return hostTensor(value, p.type.dtype);
  });
}
const list = (ports: Program["inputs"]): string => ports.map((p) => `${p.name}: ${showRange(p.type)}`).join(", ") || "none";

/** The file's program for this device, or one compiled from its graph. */
async function choose(pie: Pie, method: PieMethod, options: SessionOptions, trusted: boolean): Promise<Program> {
  const { device, compile } = options;
  const here = method.programs.filter((p) => meets(device.key, p.key));
  const usable = here.filter((p) => trusted || isSandboxed(p.key)).sort((a, b) => b.key.features.length - a.key.features.length);
  if (usable[0]) return usable[0];
  if (compile) {
    const program = await compile(method, device, pie);
    verifyProgram(program);
    checkFits(program, method, pie.state, `the compiled program of ${method.name}`);
    if (!meets(device.key, program.key))
      throw new NoProgramError(`${method.name} was compiled for ${showKey(program.key)}, the device is ${showKey(device.key)}`);
    return program;
  }
  const file = pie.source.name;
  const found = method.programs.map((p) => showKey(p.key)).join("; ") || "none";
  const help = here.length
    ? `its code for this device was not used because the file is not trusted: pass trust: true, or the file's SHA-256, if you trust who made it`
    : `export one with: treepie export ${file} --target ${device.key.backend}; or open the file with the full package, which compiles its graph`;
  throw new NoProgramError(
    `${file} holds no program of ${method.name} that may run on ${showKey(device.key)}. Found: ${found}. To run it, ${help}`,
  );
}

/** True if the file's SHA-256 is the pinned one; anything else is an error, for a pin that does not hold is never meant. */
async function pinned(source: ByteSource, pin: string, signal: AbortSignal | undefined): Promise<true> {
  if (!/^[0-9a-fA-F]{64}$/.test(pin)) throw new ArgumentError("trust takes true, false or a SHA-256 as 64 hex digits");
  const hash = startHash();
  const buffer = new Uint8Array(Math.min(chunk, source.size));
  for (let at = 0; at < source.size; at += buffer.length) {
    const part = buffer.subarray(0, Math.min(buffer.length, source.size - at));
    await source.load?.(at, part.length, signal);
    source.readInto(at, part);
    source.release?.(at, part.length);
    hash.update(part);
    await turn();
  }
  const found = hash.digest();
  if (found !== pin.toLowerCase()) throw new FormatError(`${source.name} has the SHA-256 ${found}, not the pinned ${pin.toLowerCase()}`);
  return true;
}
