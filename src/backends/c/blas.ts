/** Where a library of BLAS lies on this machine, and its functions. Until a product is given to it, only file names are looked at. */
import { existsSync, realpathSync, statSync } from "node:fs";
import { platform, release } from "node:os";
import { delimiter, join } from "node:path";
import type { DType } from "../../core/dtype.js";
import { warnOnce } from "../../core/warn.js";
import { ffi, type NativeLibrary } from "../../runtime/ffi.js";

/** A library that was found. */
export interface BlasFile {
  readonly path: string;
  /** Changes when the library does. */
  readonly identity: readonly unknown[];
}

/** Without it kernels multiply. */
export const withoutBlas =
  "generated kernels multiply, which the library may or may not beat; install OpenBLAS (Debian and Ubuntu: apt install libopenblas0-pthread; Homebrew: brew install openblas) or name one in TREEPIE_BLAS_PATH";

const accelerate = "/System/Library/Frameworks/Accelerate.framework/Accelerate";
/** File names, the preferred one first: Fedora's libopenblas is the one without threads, which is not safe among ours. */
const files = ["libopenblasp.so.0", "libopenblas.so.0", "libopenblas.so", "libopenblas.dylib", "libmkl_rt.so.2", "libmkl_rt.so"];

/** Folders to look in, in order. */
function* places(): Generator<string> {
  const env = process.env;
  yield* (env["LD_LIBRARY_PATH"] ?? "").split(delimiter).filter(Boolean);
  for (const root of [env["VIRTUAL_ENV"], env["CONDA_PREFIX"]]) if (root) yield join(root, "lib");
  if (env["MKLROOT"]) yield* [join(env["MKLROOT"], "lib"), join(env["MKLROOT"], "lib", "intel64")];
  for (const triple of ["x86_64-linux-gnu", "aarch64-linux-gnu"]) yield* [`/usr/lib/${triple}/openblas-pthread`, `/usr/lib/${triple}`];
  yield* ["/usr/lib64", "/usr/lib", "/usr/local/lib", "/opt/OpenBLAS/lib", "/opt/intel/oneapi/mkl/latest/lib"];
  for (const brew of ["/opt/homebrew", "/usr/local", "/home/linuxbrew/.linuxbrew"]) yield `${brew}/opt/openblas/lib`;
}
const found = new Map<string, BlasFile | undefined>();
/**
 * The library that $TREEPIE_BLAS_PATH names, or Accelerate, OpenBLAS or MKL where the system keeps them; undefined where there is none,
 * or the variable turns it off.
 */
export function findBlas(): BlasFile | undefined {
  const wanted = process.env["TREEPIE_BLAS_PATH"];
  const key = wanted ?? "";
  if (!found.has(key)) found.set(key, look(wanted));
  return found.get(key);
}
function look(wanted: string | undefined): BlasFile | undefined {
  if (wanted !== undefined) {
    if (isOff(wanted)) return undefined;
    const file = fileAt(wanted);
    if (!file) warnOnce(`TREEPIE_BLAS_PATH names ${wanted}, which is no file; generated kernels multiply`);
    return file;
  }
  if (platform() === "darwin") return { path: accelerate, identity: [accelerate, release()] };
  for (const folder of places()) {
    const name = existsSync(folder) && files.find((f) => existsSync(join(folder, f)));
    if (name) return fileAt(join(folder, name));
  }
  return undefined;
}
/** As CC turns the compiler off. */
const isOff = (wanted: string): boolean => /^(false|none|0|)$/.test(wanted.trim());
function fileAt(path: string): BlasFile | undefined {
  if (!existsSync(path)) return undefined;
  const at = realpathSync(path);
  const { size, mtimeMs } = statSync(at);
  return { path, identity: [at, size, mtimeMs] };
}

/** A library's functions by address. */
export interface Blas {
  /** Products of a dtype's matrices. */
  readonly products: ReadonlyMap<DType, bigint>;
  /** Called with 1 on each thread before a product: what the library's own threads would do is shared out over ours. 0: there is none. */
  readonly single: bigint;
}

/** Fortran's names of products; those of bf16, whose results are f32, are OpenBLAS's and MKL's. */
const names = [
  ["f32", "sgemm_"],
  ["f64", "dgemm_"],
  ["bf16", "sbgemm_"],
  ["bf16", "gemm_bf16bf16f32_"],
] as const;

/** OpenBLAS starts threads as it is loaded, which look for work for a while; ours are enough. */
function withoutThreads<T>(load: () => T): T {
  const name = "OPENBLAS_NUM_THREADS";
  const before = process.env[name];
  process.env[name] = "1";
  try {
    return load();
  } finally {
    if (before === undefined) delete process.env[name];
    else process.env[name] = before;
  }
}

/** Loads a library; a string says why its products are not to be used. */
export function openBlas({ path }: BlasFile): Blas | string {
  let library: NativeLibrary;
  try {
    library = withoutThreads(() => ffi().load(path));
  } catch (error) {
    return (error as Error).message;
  }
  const optional = (name: string): bigint | undefined => {
    try {
      return library.symbol(name);
    } catch {
      return undefined;
    }
  };
  const products = new Map<DType, bigint>();
  for (const [dtype, name] of names) {
    const at = optional(name);
    if (at) products.set(dtype, at);
  }
  if (!products.has("f32")) return `${path} has no sgemm_`;
  if (optional("openblas_set_num_threads")) {
    // Only the build on POSIX threads is both safe among other threads and content with one.
    if ((library.func("openblas_get_parallel", "i32", [])() as number) !== 1) return `${path} is not OpenBLAS's build on POSIX threads`;
    library.func("openblas_set_num_threads", "void", ["i32"])(1);
  }
  // MKL looks for its threads' library at the first product, and ends the process where there is none.
  if (optional("MKL_Set_Threading_Layer")) library.func("MKL_Set_Threading_Layer", "i32", ["i32"])(1);
  return { products, single: optional("MKL_Set_Num_Threads_Local") ?? optional("BLASSetThreading") ?? 0n };
}
