import { platform } from "node:os";
import { cpu } from "../../runtime/cpu.js";
import type { TargetKey } from "../../runtime/program.js";
import { findCompiler } from "./cc.js";
import { abiVersion } from "./pool.js";

/** What text asks for besides instruction sets: a compiler. */
export const compilerFeature = "cc";
/** What a binary asks for besides instruction sets: the system it was linked for. */
export const systemFeature: string = `os-${platform()}`;
/** Features that are instruction sets. */
export const instructionSets = (features: readonly string[]): string[] =>
  features.filter((f) => f !== compilerFeature && !f.startsWith("os-"));

/** What compiled code may ask of this machine. */
export const cKey = (): TargetKey => ({
  backend: "c",
  arch: cpu().arch,
  features: [...cpu().features, systemFeature, ...(typeof findCompiler() === "string" ? [] : [compilerFeature])],
  format: abiVersion,
});
