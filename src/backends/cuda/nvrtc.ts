/** NVIDIA's run-time compiler: CUDA C++ to machine code, on another thread or on this one. It needs no GPU. */
import { realpathSync, statSync } from "node:fs";
import { basename } from "node:path";
import { CompileError, UnsupportedError } from "../../core/errors.js";
import { ffi, type NativeArg, type NativeType } from "../../runtime/ffi.js";
import { companions, compilerLibrary, findLibrary } from "./libraries.js";
import { signalsAsTheyAre } from "./signals.js";

/** The compiler. Failures are CompileErrors that hold its log. */
export interface Nvrtc {
  readonly path: string;
  /** `13.0`. */
  readonly version: string;
  /** Machine code of a text; the event loop goes on meanwhile. */
  compile(source: string, flags: readonly string[]): Promise<Uint8Array>;
  compileSync(source: string, flags: readonly string[]): Uint8Array;
}

let opened: { readonly path: string; readonly nvrtc: Nvrtc } | undefined;
/** The compiler of this machine, or the one of a path, loaded on the first call. Throws UnsupportedError where there is none. */
export function nvrtc(path: string | undefined = findLibrary(compilerLibrary)): Nvrtc {
  if (!path) throw missing();
  if (opened?.path !== path) opened = { path, nvrtc: open(path) };
  return opened.nvrtc;
}

/** Which compiler this machine has, from its file alone: loading it takes longer than finding all of a program's code on disk. */
export function nvrtcIdentity(): string {
  const path = findLibrary(compilerLibrary);
  if (!path) throw missing();
  const { size, mtimeMs } = statSync(path);
  return `${basename(realpathSync(path))} ${size} ${mtimeMs}`;
}
const missing = (): UnsupportedError => new UnsupportedError(`${compilerLibrary.name} was not found: ${compilerLibrary.effect}`);

const text = (s: string): Uint8Array => new TextEncoder().encode(`${s}\0`);

function open(path: string): Nvrtc {
  const settleSignals = signalsAsTheyAre();
  // NVRTC opens its builtins by name only: loaded before, they are found.
  for (const file of companions(path, "libnvrtc-builtins.so")) ffi().load(file);
  const library = ffi().load(path);
  const malloc = ffi().load(null).func("malloc", "pointer", ["i64"]);
  const f = (name: string, ...args: NativeType[]) => library.func(name, "i32", args);
  const create = f("nvrtcCreateProgram", "pointer", "pointer", "pointer", "i32", "pointer", "pointer");
  const compile = f("nvrtcCompileProgram", "pointer", "i32", "pointer");
  const logSize = f("nvrtcGetProgramLogSize", "pointer", "pointer");
  const log = f("nvrtcGetProgramLog", "pointer", "pointer");
  const codeSize = f("nvrtcGetCUBINSize", "pointer", "pointer");
  const code = f("nvrtcGetCUBIN", "pointer", "pointer");
  const destroy = f("nvrtcDestroyProgram", "pointer");
  const major = new Int32Array(1);
  const minor = new Int32Array(1);
  f("nvrtcVersion", "pointer", "pointer")(major, minor);

  /** Flags in memory that does not move, kept for good: there are as many lists as there are kinds of GPU. */
  const lists = new Map<string, bigint>();
  const place = (bytes: Uint8Array): bigint => {
    const at = malloc(bytes.length) as bigint;
    new Uint8Array(ffi().view(at, bytes.length)).set(bytes);
    return at;
  };
  const listOf = (flags: readonly string[]): bigint => {
    const key = flags.join("\n");
    let at = lists.get(key);
    if (at === undefined) {
      at = place(new Uint8Array(new BigInt64Array([...flags.map((s) => place(text(s))), 0n]).buffer));
      lists.set(key, at);
    }
    return at;
  };

  const begin = (source: string): bigint => {
    const handle = new BigInt64Array(1);
    if (create(handle, text(source), text("kernels.cu"), 0, 0, 0) !== 0) throw new CompileError("NVRTC could not begin a compilation");
    return handle[0]!;
  };
  const bytesFrom = (program: bigint, size: typeof codeSize, get: typeof code): Uint8Array => {
    const n = new BigInt64Array(1);
    size(program, n);
    const bytes = new Uint8Array(Number(n[0]));
    if (bytes.length) get(program, bytes);
    return bytes;
  };
  const end = (program: bigint, source: string, result: unknown): Uint8Array => {
    settleSignals();
    try {
      if (result !== 0) throw refusal(new TextDecoder().decode(bytesFrom(program, logSize, log)), source);
      return bytesFrom(program, codeSize, code);
    } finally {
      destroy(new BigInt64Array([program]));
    }
  };
  return {
    path,
    version: `${major[0]}.${minor[0]}`,
    compileSync(source, flags) {
      const program = begin(source);
      return end(program, source, compile(program, flags.length, listOf(flags)));
    },
    compile(source, flags) {
      const program = begin(source);
      const args: NativeArg[] = [program, flags.length, listOf(flags)];
      return new Promise((resolve, reject) => {
        compile.later(args, (error, result) => {
          try {
            if (error) throw error;
            resolve(end(program, source, result));
          } catch (e) {
            reject(e);
          }
        });
      });
    },
  };
}

/** The log, with the source line of the first complaint and the kernel that it is in. */
function refusal(log: string, source: string): CompileError {
  const lines = source.split("\n");
  const at = Number(/kernels\.cu\((\d+)\)/.exec(log)?.[1] ?? 0);
  const kernel = lines
    .slice(0, at)
    .findLast((l) => l.includes("__global__"))
    ?.match(/(\w+)\(/g)
    ?.at(-1)
    ?.slice(0, -1);
  const where = at ? `\nin ${kernel ? `kernel ${kernel}, ` : ""}line ${at}: ${lines[at - 1]?.trim()}` : "";
  return new CompileError(`NVRTC refused generated code:\n${log.replaceAll("\0", "").trim().slice(0, 4000)}${where}`, { kernel });
}
