/** For tests: NVRTC, where it is installed (it compiles for any GPU without having one), and CUDA text as C++ on the CPU. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { parts, word } from "../../src/backends/cuda/prelude.js";
import { CompileError } from "../../src/core/errors.js";
import { evaluate } from "../../src/core/expr.js";
import type { Codegen } from "../../src/kernel/codegen.js";
import type { Kernel } from "../../src/kernel/kernel.js";
import { partsFor } from "../../src/kernel/parts.js";
import { ffi, type NativeLibrary } from "../../src/runtime/ffi.js";

/** Finds libnvrtc: $TREEPIE_NVRTC, the toolkit, or pip's nvidia-cuda-nvrtc under $TREEPIE_PYTHON (default python3). */
export function findNvrtc(): string | undefined {
  const named = process.env.TREEPIE_NVRTC;
  if (named) return existsSync(named) ? named : undefined;
  const folders = ["/usr/local/cuda/lib64", "/usr/lib/x86_64-linux-gnu", "/usr/lib64"];
  try {
    const script = "import nvidia, glob; print('\\n'.join(g for p in nvidia.__path__ for g in glob.glob(p + '/*/lib')))";
    folders.unshift(
      ...execFileSync(process.env.TREEPIE_PYTHON ?? "python3", ["-c", script], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] })
        .trim()
        .split("\n"),
    );
  } catch {
    // No Python, or no packages of NVIDIA's in it.
  }
  for (const folder of folders) {
    if (!folder || !existsSync(folder)) continue;
    const file = readdirSync(folder)
      .filter((f) => /^libnvrtc\.so(\.\d+)*$/.test(f))
      .sort()
      .at(-1);
    if (file) return join(folder, file);
  }
  return undefined;
}

/** A compiler of CUDA text to PTX or machine code. Throws CompileError with the compiler's log. */
export function openNvrtc(path: string): (source: string, flags: readonly string[]) => Uint8Array {
  // NVRTC opens its builtins by name only: loaded before, they are found.
  for (const f of readdirSync(dirname(path))) if (/^libnvrtc-builtins\.so/.test(f)) ffi().load(join(dirname(path), f));
  const lib = ffi().load(path);
  const c = ffi().load(null);
  const malloc = c.func("malloc", "pointer", ["i64"]);
  const free = c.func("free", "void", ["pointer"]);
  const call = (name: string, args: readonly ("pointer" | "i32" | "i64")[]): ReturnType<NativeLibrary["func"]> =>
    lib.func(name, "i32", args);
  const create = call("nvrtcCreateProgram", ["pointer", "pointer", "pointer", "i32", "pointer", "pointer"]);
  const compile = call("nvrtcCompileProgram", ["pointer", "i32", "pointer"]);
  const logSize = call("nvrtcGetProgramLogSize", ["pointer", "pointer"]);
  const log = call("nvrtcGetProgramLog", ["pointer", "pointer"]);
  const codeSize = call("nvrtcGetCUBINSize", ["pointer", "pointer"]);
  const code = call("nvrtcGetCUBIN", ["pointer", "pointer"]);
  const destroy = call("nvrtcDestroyProgram", ["pointer"]);
  const text = (s: string): Uint8Array => new TextEncoder().encode(`${s}\0`);
  return (source, flags) => {
    const handle = new BigInt64Array(1);
    if (create(handle, text(source), text("kernels.cu"), 0, 0, 0) !== 0) throw new CompileError("nvrtcCreateProgram failed");
    const held = flags.map((f) => {
      const bytes = text(f);
      const at = BigInt(malloc(bytes.length) as bigint | number);
      new Uint8Array(ffi().view(at, bytes.length)).set(bytes);
      return at;
    });
    const program = handle[0]!;
    const size = new BigInt64Array(1);
    try {
      if (compile(program, flags.length, new BigInt64Array([...held, 0n])) !== 0) {
        logSize(program, size);
        const bytes = new Uint8Array(Number(size[0]) + 1);
        log(program, bytes);
        throw new CompileError(`NVRTC refused generated code:\n${new TextDecoder().decode(bytes).slice(0, 4000)}`);
      }
      codeSize(program, size);
      const bytes = new Uint8Array(Number(size[0]));
      code(program, bytes);
      return bytes;
    } finally {
      for (const at of held) free(at);
      destroy(handle);
    }
  };
}

/** Runs one kernel over its whole grid; buffers are changed in place. */
export type RunKernel = (buffers: readonly Uint8Array[], dims?: Readonly<Record<string, number>>) => void;

/** CUDA's own words in C++, enough for kernels of one thread without matrix units and background copies. */
const onCpu = `#include <math.h>
#include <string.h>
#define __device__
#define __forceinline__ inline
#define __global__
#define __shared__
#define __align__(n)
#define __launch_bounds__(n)
static struct { int x; } threadIdx, blockIdx;
unsigned char smem[1 << 20];
static inline int __float_as_int(float x) { int r; memcpy(&r, &x, 4); return r; }
static inline unsigned __float_as_uint(float x) { return __float_as_int(x); }
static inline float __int_as_float(int x) { float r; memcpy(&r, &x, 4); return r; }
static inline float __uint_as_float(unsigned x) { return __int_as_float(x); }
static inline long long __double_as_longlong(double x) { long long r; memcpy(&r, &x, 8); return r; }
static inline double __longlong_as_double(long long x) { double r; memcpy(&r, &x, 8); return r; }
template<class T> static inline void atomicAdd(T* p, T x) { *p += x; }
typedef _Float16 cpu_half;
`;
/** PTX spellings in C++. */
const withoutPtx: Readonly<Record<string, string>> = {
  narrow_bf16:
    "inline_ u16 narrow_bf16(float x) { u32 b = __float_as_uint(x); return x != x ? b >> 16 | 64 : (b + 0x7fff + (b >> 16 & 1)) >> 16; }",
  narrow2_bf16: "inline_ u32 narrow2_bf16(float a, float b) { return narrow_bf16(a) | (u32)narrow_bf16(b) << 16; }",
  widen_f16: "inline_ float widen_f16(u16 x) { cpu_half h; memcpy(&h, &x, 2); return h; }",
  narrow_f16: "inline_ u16 narrow_f16(float x) { cpu_half h = x; u16 r; memcpy(&r, &h, 2); return r; }",
};

/** Compiles CUDA text with the system's C++ compiler; each kernel runs its grid point by point. Undefined where there is no compiler. */
export function compileOnCpu(kernels: readonly Kernel[], codegen: Codegen): RunKernel[] | undefined {
  const codes = kernels.map((k, i) => codegen.render({ ...k, name: `test${i}z` }));
  const replaced = new Map([...parts].map(([name, text]) => [name, withoutPtx[name] ?? text]));
  const prelude = partsFor(replaced, `${Object.keys(withoutPtx).join(" ")} ${codes.map((k) => k.source).join("\n")}`);
  const calls = kernels.map((k, i) => {
    const global = k.buffers.filter((b) => b.space === "global");
    const args = [...global.map((b, j) => `(${word[b.dtype]}*)args[${j}]`), ...k.dims.map((_, j) => `dims[${j}]`)];
    return `extern "C" void run${i}(void** args, long long* dims, long long grid) { for (blockIdx.x = 0; blockIdx.x < grid; blockIdx.x++) test${i}z(${args.join(", ")}); }`;
  });
  const set = 'extern "C" void set_argument(void** args, long long i, void* p) { args[i] = p; }';
  const folder = mkdtempSync(join(tmpdir(), "treepie-"));
  writeFileSync(join(folder, "k.cc"), [onCpu, ...prelude, ...codes.map((k) => k.source), ...calls, set].join("\n"));
  try {
    execFileSync(
      "g++",
      ["-O1", "-w", "-fPIC", "-shared", "-ffp-contract=off", "-fno-strict-aliasing", "-o", join(folder, "k.so"), join(folder, "k.cc")],
      { stdio: ["ignore", "pipe", "pipe"] },
    );
  } catch (e) {
    if ((e as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new CompileError(`g++ refused CUDA text:\n${String((e as { stderr?: Buffer }).stderr).slice(0, 3000)}`);
  }
  const lib = ffi().load(join(folder, "k.so"));
  const put = lib.func("set_argument", "void", ["pointer", "i64", "pointer"]);
  return kernels.map((k, i) => {
    const run = lib.func(`run${i}`, "void", ["pointer", "pointer", "i64"]);
    return (buffers, dims = {}) => {
      const args = new BigInt64Array(buffers.length + 1);
      for (const [at, b] of buffers.entries()) put(args, at, b);
      run(args, new BigInt64Array([...k.dims.map((d) => BigInt(evaluate(d, dims))), 0n]), evaluate(k.grid, dims));
    };
  });
}
