/** Which devices there are, and which one is meant. Backends register a loader; nothing native is loaded before it is used. */
import { ArgumentError, UnsupportedError } from "../core/errors.js";
import { warnOnce } from "../core/warn.js";
import type { Graph } from "../ir/graph.js";
import { type Backend, backendFor, type Codegen } from "../kernel/codegen.js";
import type { DeviceOptions } from "../runtime/device.js";
import { deviceName } from "../runtime/device.js";
import type { HostFunctions, Program } from "../runtime/program.js";
import { Engine } from "./engine.js";
import { mode, scoped } from "./mode.js";

interface Registered {
  readonly load: () => Promise<Backend>;
  readonly compile: (graph: Graph, codegen: Codegen) => Program;
}
const backends = new Map<string, Registered>();
const engines = new Map<string, Engine>();
let preference: readonly string[] = [];
let hostFunctions: HostFunctions | undefined;
let chosen = "";
let deviceOptions: DeviceOptions = {};

/** Makes a backend known by name. `load` imports it when it is first used. */
export function registerBackend(name: string, load: () => Promise<Backend>, compile: Registered["compile"]): void {
  backends.set(name, { load, compile });
}
/** Names of the backends that are known. */
export const backendNames = (): string[] => [...backends.keys()];
/** The backends that "the default device" may mean, best first; the first that works on this machine is taken. */
export function setPreference(names: readonly string[]): void {
  preference = names;
}
/** The functions that host steps call (the reference interpreter). */
export function setHostFunctions(host: HostFunctions): void {
  hostFunctions = host;
}

/** How many threads devices on the processor use (torch.set_num_threads): one per core unless told. It counts for devices that open later. */
export function setThreads(count: number): void {
  if (!Number.isInteger(count) || count < 1) throw new ArgumentError(`setThreads: ${count} threads; it is a whole number above 0`);
  const open = allEngines().find((e) => e.device);
  if (open)
    throw new ArgumentError(
      `setThreads: device ${open.name} is open already; call it before the first value is computed, or after closeDevices()`,
    );
  deviceOptions = { ...deviceOptions, threads: count };
}

/** Makes one backend the default for everything that is recorded from now on. */
export function setDefaultBackend(name: string): void {
  known(name);
  chosen = name;
}
/** Runs `fn` with its tensors on another device. */
export function withDevice<T>(name: string, fn: () => T): T {
  known(name);
  return scoped("withDevice", { device: name }, fn);
}
/** The name of a device that somebody asked for: `ArgumentError` where no backend is called so. */
export function deviceGiven(name: string): string {
  known(name);
  return name;
}
function known(name: string): Registered {
  const b = backends.get(deviceName(name)[0]);
  if (!b) throw new ArgumentError(`there is no device ${name}; known are ${[...backends.keys()].join(", ") || "none"}`);
  return b;
}

/** The device that new tensors are on; "" until the default one was chosen. */
export const currentDevice = (): string => mode.device || chosen;

/** The engine of a device; "" is the default one. */
export function engineOf(name: string): Engine {
  const key = name || chosen;
  let e = engines.get(key);
  if (!e) {
    e = key ? named(key) : preferred();
    engines.set(key, e);
  }
  return e;
}
function named(name: string): Engine {
  const b = known(name);
  return new Engine(name, {
    host: hostFunctions,
    options: () => deviceOptions,
    compile: b.compile,
    async backend() {
      const backend = backendFor(name, await b.load());
      const why = backend.unavailable();
      if (why) throw new UnsupportedError(`device ${name} does not work here: ${why}`);
      return backend;
    },
  });
}
/** The first backend in order of preference that works here. */
function preferred(): Engine {
  let compile: Registered["compile"] | undefined;
  return new Engine("", {
    host: hostFunctions,
    options: () => deviceOptions,
    compile: (graph, codegen) => compile!(graph, codegen),
    async backend() {
      const reasons: string[] = [];
      for (const name of preference) {
        const b = known(name);
        const backend = await b.load();
        const why = backend.unavailable();
        if (!why) {
          if (reasons.length) warnOnce(`tensors are on the ${name} device, which is slower: ${reasons.join("; ")}`);
          compile = b.compile;
          if (!engines.has(name)) engines.set(name, engines.get("")!);
          return backend;
        }
        reasons.push(`${name}: ${why}`);
      }
      throw new UnsupportedError(`no device works here${reasons.length ? ` (${reasons.join("; ")})` : "; no backend is registered"}`);
    },
  });
}
/** Every engine that was asked for. */
export const allEngines = (): Engine[] => [...new Set(engines.values())];

/** Opens a device, if no other then the current one, so that blocking reads such as `dataSync` work. */
export const ready = (device: string = currentDevice()): Promise<void> => engineOf(device).open();
/** Whether a device, once it is open, has one queue for programs and reads: a read then holds up what is asked for after it. */
export const keepsOrder = (device: string = currentDevice()): boolean => engineOf(device).device?.ordered ?? false;
/** Name of the current device, once it is open. */
export const currentDeviceName = (): string => engineOf(currentDevice()).name;
/** Waits until everything that was asked for has run. */
export async function synchronize(): Promise<void> {
  for (const e of allEngines()) await e.sync();
}
/** Closes every device and forgets it; values that live there are lost. */
export async function closeDevices(): Promise<void> {
  const all = allEngines();
  engines.clear();
  for (const e of all) await e.close();
}
