import type { TargetKey } from "../../runtime/program.js";

/** What code for a GPU asks of a device: the same compute capability. */
export const cudaKey = (sm: number): TargetKey => ({ backend: "cuda", arch: `sm_${sm}`, features: [], format: 1 });

/** Flags for NVRTC: wgmma needs the architecture's own variant; a product and a sum are one operation only where a kernel says fma. */
export const nvrtcFlags = (sm: number): readonly string[] => [
  `--gpu-architecture=sm_${sm}${sm === 90 ? "a" : ""}`,
  "--std=c++17",
  "--fmad=false",
  "--device-as-default-execution-space",
  "--disable-warnings",
];
