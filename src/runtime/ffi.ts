/** Native calls behind one small interface. Nothing is loaded before the first call, so importing Treepie loads no native code. */
import { createRequire } from "node:module";
import { UnsupportedError } from "../core/errors.js";

/** C types that cross the border. `pointer` takes an address or a typed array, whose memory the callee may read and write during the call. */
export type NativeType = "void" | "i32" | "i64" | "f64" | "pointer";
export type NativeArg = number | bigint | ArrayBufferView;

/** A C function. Results of type pointer are bigint, i64 a number (a bigint beyond 2^53). */
export interface NativeFunction {
  (...args: readonly NativeArg[]): unknown;
  /** Runs on another thread and calls back on this one. */
  later(args: readonly NativeArg[], done: (error: Error | null, result: unknown) => void): void;
}
/** A loaded shared library. It stays loaded for as long as this object is reachable, and until `unload`. */
export interface NativeLibrary {
  func(name: string, result: NativeType, args: readonly NativeType[]): NativeFunction;
  /** Address of a symbol. Throws where there is none. */
  symbol(name: string): bigint;
  unload(): void;
}
export interface Ffi {
  /** Loads a library by path, or the running process where `path` is null. */
  load(path: string | null): NativeLibrary;
  /** A window onto native memory. Whoever owns the memory must outlive it. */
  view(address: bigint, bytes: number): ArrayBuffer;
}

interface Koffi {
  load(path: string | null): {
    func(name: string, result: string, args: string[]): KoffiFunction;
    symbol(name: string): bigint;
    unload(): void;
  };
  view(ref: bigint, length: number): ArrayBuffer;
  config(settings: Record<string, number>): unknown;
}
type KoffiFunction = ((...args: readonly NativeArg[]) => unknown) & { async(...args: readonly unknown[]): void };

const names: Readonly<Record<NativeType, string>> = { void: "void", i32: "int32_t", i64: "int64_t", f64: "double", pointer: "void*" };
/** Stack of calls that run on another thread: kernels keep register tiles and unrolled values there. */
const asyncStack = 1 << 21;

let loaded: Ffi | undefined;

/** The native interface of this process, loaded on the first call. Throws UnsupportedError where there is none. */
export function ffi(): Ffi {
  loaded ??= open();
  return loaded;
}

function open(): Ffi {
  let koffi: Koffi;
  try {
    koffi = createRequire(import.meta.url)("koffi") as Koffi;
    koffi.config({ async_stack_size: asyncStack });
  } catch (cause) {
    throw new UnsupportedError(
      "native code cannot be called: the package koffi does not load here; reinstall it (npm install koffi) or use the wasm device",
      { cause },
    );
  }
  // A library whose handle is collected is unloaded, and the next call into it jumps into nothing.
  const alive = new Set<object>();
  return {
    view: (address, bytes) => koffi.view(address, bytes),
    load(path) {
      const where = path ?? "this process";
      const library = asking(`the library ${where} does not load`, () => koffi.load(path));
      alive.add(library);
      return {
        func(name, result, args) {
          const types = args.map((a) => names[a]);
          const f = asking(`${where} has no function ${name}`, () => library.func(name, names[result], types));
          const call = (...xs: readonly NativeArg[]): unknown => f(...xs);
          return Object.assign(call, {
            later: (xs: readonly NativeArg[], done: (error: Error | null, result: unknown) => void) => f.async(...xs, done),
          });
        },
        symbol: (name) => asking(`${where} has no symbol ${name}`, () => library.symbol(name)),
        unload() {
          if (alive.delete(library)) library.unload();
        },
      };
    },
  };
}

/** What koffi refuses, with the library that it was about: its own words do not name it. */
function asking<T>(what: string, ask: () => T): T {
  try {
    return ask();
  } catch (cause) {
    throw new UnsupportedError(`${what}: ${(cause as Error).message}`, { cause });
  }
}
