/** Builds the fake GPU: libraries with the names of NVIDIA's, in a folder for TREEPIE_CUDA_PATH. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { closeBuild, openBuild } from "../build-once.js";

/** The folder, which every test file shares, or undefined where there is no C++ compiler. */
export function buildFakeGpu(): string | undefined {
  const [source, header, cudnn] = ["fake.cc", "kernels.h", "cudnn.h"].map((name) => join(import.meta.dirname, name)) as [
    string,
    string,
    string,
  ];
  const { folder, aside } = openBuild(
    "fake-gpu",
    createHash("sha256").update(readFileSync(source)).update(readFileSync(header)).update(readFileSync(cudnn)).update(header).digest("hex"),
  );
  if (!aside) return folder;
  const out = join(aside, "libcuda.so.1");
  try {
    execFileSync("g++", ["-O1", "-shared", "-fPIC", `-DFAKE_HEADER="${header}"`, "-o", out, source, "-ldl"], {
      stdio: ["ignore", "ignore", "pipe"],
    });
  } catch (error) {
    rmSync(aside, { recursive: true, force: true });
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  for (const name of ["libnvrtc.so.1", "libcublasLt.so.13", "libcudnn.so.9"]) copyFileSync(out, join(aside, name));
  return closeBuild({ folder, aside });
}
