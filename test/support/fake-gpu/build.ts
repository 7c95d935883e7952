/** Builds the fake GPU: libraries with the names of NVIDIA's, in a folder for TREEPIE_CUDA_PATH. */
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The folder, or undefined where there is no C++ compiler. */
export function buildFakeGpu(): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), "treepie-fake-gpu-"));
  const here = import.meta.dirname;
  const out = join(folder, "libcuda.so.1");
  try {
    execFileSync(
      "g++",
      ["-O1", "-shared", "-fPIC", `-DFAKE_HEADER="${join(here, "kernels.h")}"`, "-o", out, join(here, "fake.cc"), "-ldl"],
      { stdio: ["ignore", "ignore", "pipe"] },
    );
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  for (const name of ["libnvrtc.so.1", "libcublasLt.so.13"]) copyFileSync(out, join(folder, name));
  return folder;
}
