import { platform } from "node:os";
import { cpu } from "../../runtime/cpu.js";
import type { TargetKey } from "../../runtime/program.js";
import { abiVersion } from "./pool.js";

/** What compiled code may ask of this machine. Text asks for instruction sets; a binary also for the system it was linked for. */
export const cKey = (): TargetKey => ({
  backend: "c",
  arch: cpu().arch,
  features: [...cpu().features, `os-${platform()}`],
  format: abiVersion,
});
