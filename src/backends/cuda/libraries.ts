/** Where NVIDIA's libraries lie on this machine. Only file names are looked at; nothing is loaded. */
import { existsSync, readdirSync } from "node:fs";
import { homedir, platform } from "node:os";
import { delimiter, dirname, join } from "node:path";

/** A library that the device uses, and what its absence means. */
export interface Wanted {
  readonly name: string;
  /** File names, the preferred one first; `*` stands for a version. */
  readonly files: readonly string[];
  /** What does not work without it, and what would help. */
  readonly effect: string;
  /** A variable that names the file, or turns the library off. */
  readonly variable?: string;
}

/** The driver's library. */
export const driverLibrary: Wanted = {
  name: "the NVIDIA driver (libcuda)",
  files: ["libcuda.so.1", "libcuda.so"],
  effect: "the cuda device does not work; install NVIDIA's driver",
};
/** The compiler of kernels. */
export const compilerLibrary: Wanted = {
  name: "NVRTC (libnvrtc)",
  files: ["libnvrtc.so.*", "libnvrtc.so"],
  effect: "kernels cannot be compiled and the cuda device does not work; pip install nvidia-cuda-nvrtc, or install the CUDA toolkit",
};
/** Products of matrices; kernels of our own stand in for it. */
export const productLibrary: Wanted = {
  name: "cuBLASLt (libcublasLt)",
  files: ["libcublasLt.so.*", "libcublasLt.so"],
  effect: "small products of matrices are slower; pip install nvidia-cublas, or install the CUDA toolkit",
};
/** Attention; kernels of our own stand in for it. */
export const attentionLibrary: Wanted = {
  name: "cuDNN (libcudnn)",
  files: ["libcudnn.so.9"],
  effect:
    "attention over 512 positions and more is slower on Hopper GPUs; pip install nvidia-cudnn-cu13 (or -cu12), or name the library in TREEPIE_CUDNN_PATH (none: it is not wanted)",
  variable: "TREEPIE_CUDNN_PATH",
};
const neededLibraries: readonly Wanted[] = [driverLibrary, compilerLibrary];
/** Everything that is looked for. */
export const wantedLibraries: readonly Wanted[] = [...neededLibraries, productLibrary, attentionLibrary];

const folders = (path: string | undefined): string[] => (path ?? "").split(delimiter).filter(Boolean);
const list = (path: string): string[] => {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
};
/** The libraries that pip's packages of NVIDIA's bring, below a folder of Python packages. */
const inPackages = (packages: string): string[] => {
  const base = join(packages, "nvidia");
  return list(base).flatMap((name) => [join(base, name, "lib"), join(base, name, "lib64")]);
};
/** Folders of Python packages of an installation. */
const packagesOf = (prefix: string): string[] =>
  list(join(prefix, "lib"))
    .filter((name) => /^python3/.test(name))
    .flatMap((name) => ["site-packages", "dist-packages"].map((kind) => join(prefix, "lib", name, kind)));

/** Where the Python is installed that a shell would run. */
function pythonPrefix(): string | undefined {
  const folder = folders(process.env["PATH"]).find((f) => existsSync(join(f, "python3")));
  return folder && dirname(folder);
}

/** Folders to look in, in order: those that the user names, the system's, the toolkit's, those of Python packages. */
function* places(): Generator<string> {
  const env = process.env;
  for (const root of folders(env["TREEPIE_CUDA_PATH"])) {
    yield root;
    for (const below of ["lib", "lib64"]) yield join(root, below);
    yield* inPackages(root);
  }
  yield* folders(env["LD_LIBRARY_PATH"]);
  for (const root of [env["CUDA_PATH"], env["CUDA_HOME"]]) if (root) yield join(root, "lib64");
  yield* ["/usr/local/cuda/lib64", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib", "/usr/lib/wsl/lib"];
  yield* ["/usr/local/nvidia/lib64", "/usr/local/nvidia/lib", "/opt/cuda/lib64"];
  for (const name of list("/usr/local").filter((n) => /^cuda-/.test(n)))
    yield* [`/usr/local/${name}/lib64`, `/usr/local/${name}/targets/x86_64-linux/lib`];
  const python = env["TREEPIE_PYTHON"];
  const prefixes = [
    env["VIRTUAL_ENV"],
    env["CONDA_PREFIX"],
    python?.includes("/") ? dirname(dirname(python)) : undefined,
    pythonPrefix(),
    join(homedir(), ".local"),
    "/usr/local",
    "/usr",
  ];
  for (const prefix of prefixes) if (prefix) for (const packages of packagesOf(prefix)) yield* inPackages(packages);
}

/** Names that match, the highest version first. */
function matches(folder: string, file: string): string[] {
  if (!file.includes("*")) return existsSync(join(folder, file)) ? [file] : [];
  const stem = file.slice(0, file.indexOf("*"));
  return list(folder)
    .filter((f) => f.startsWith(stem) && /^[\d.]+$/.test(f.slice(stem.length)))
    .sort((a, b) => b.localeCompare(a, "en", { numeric: true }));
}

const found = new Map<string, string | undefined>();
/** Path of a library, or undefined where there is none. */
export function findLibrary({ files, variable }: Wanted): string | undefined {
  const named = variable && process.env[variable];
  const key = JSON.stringify([files[0], process.env["TREEPIE_CUDA_PATH"], named]);
  if (found.has(key)) return found.get(key);
  const path = named === undefined ? look(files) : isOff(named) || !existsSync(named) ? undefined : named;
  found.set(key, path);
  return path;
}
/** As TREEPIE_BLAS_PATH turns a library off. */
const isOff = (named: string): boolean => /^(false|none|0|)$/.test(named.trim());
function look(files: readonly string[]): string | undefined {
  for (const folder of places()) {
    for (const file of files) {
      const [best] = matches(folder, file);
      if (best) return join(folder, best);
    }
  }
  return undefined;
}

/** Files beside a library that it opens by name only, so that they must be loaded before. */
export const companions = (library: string, stem: string): string[] =>
  list(dirname(library))
    .filter((f) => f.startsWith(stem) && !f.includes(".alt."))
    .map((f) => join(dirname(library), f));

/** What is missing here that nothing works without, with the effect. */
export const missingLibraries = (): Wanted[] => neededLibraries.filter((w) => !findLibrary(w));

/** Whether the system shows an NVIDIA GPU to programs. */
export const seesGpu = (): boolean => ["/dev/nvidiactl", "/dev/nvidia0", "/dev/dxg"].some((f) => existsSync(f));

/** Why the device cannot work on this machine, or undefined; cheap, and a look at files only. */
export function whyNot(): string | undefined {
  if (platform() !== "linux") return `the cuda device works on Linux only so far, and this is ${platform()}`;
  if (!seesGpu() && !process.env["TREEPIE_CUDA_PATH"]) return "no NVIDIA GPU was found (there is no /dev/nvidia0)";
  const missing = missingLibraries();
  return missing.length ? missing.map((m) => `${m.name} was not found: ${m.effect}`).join("; ") : undefined;
}
