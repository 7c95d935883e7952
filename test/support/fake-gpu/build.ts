/** Builds the fake GPU: libraries with the names of NVIDIA's, in a folder for TREEPIE_CUDA_PATH. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { closeBuild, openBuild } from "../build-once.js";

/** How kernels are compiled: the header, which takes longer than most of them, was read before with the same flags. */
const kernelFlags = ["-Og", "-w", "-fPIC", "-ffp-contract=off", "-fno-strict-aliasing", "-std=c++17"];

/** The folder, which every test file shares, or undefined where there is no C++ compiler. */
export function buildFakeGpu(): string | undefined {
  const hash = createHash("sha256").update(JSON.stringify([import.meta.dirname, kernelFlags]));
  for (const name of ["fake.cc", "kernels.h", "cudnn.h"]) hash.update(readFileSync(join(import.meta.dirname, name)));
  const { folder, aside } = openBuild("fake-gpu", hash.digest("hex"));
  if (!aside) return folder;
  const out = join(aside, "libcuda.so.1");
  const header = join(aside, "kernels.h");
  const defines = [`-DFAKE_HEADER="${join(folder, "kernels.h")}"`, `-DFAKE_FLAGS="${kernelFlags.join(" ")}"`];
  copyFileSync(join(import.meta.dirname, "kernels.h"), header);
  const compile = (args: readonly string[]): unknown => execFileSync("g++", args, { stdio: ["ignore", "ignore", "pipe"] });
  try {
    compile(["-O1", "-shared", "-fPIC", ...defines, "-o", out, join(import.meta.dirname, "fake.cc"), "-ldl"]);
    compile([...kernelFlags, "-x", "c++-header", "-o", `${header}.gch`, header]);
  } catch (error) {
    rmSync(aside, { recursive: true, force: true });
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  for (const name of ["libnvrtc.so.1", "libcublasLt.so.13", "libcudnn.so.9"]) copyFileSync(out, join(aside, name));
  return closeBuild({ folder, aside });
}
