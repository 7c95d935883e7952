/** What this machine can do, measured by a small C program (bench/peers/limits.c) that the system's compiler builds for it. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { peersFolder } from "../peer.js";
import { benchPath } from "./folder.js";

/** Bytes and operations in a second, on all cores. */
export interface Machine {
  /** Bytes read plus bytes written, with stores that pass the caches. */
  readonly copy: number;
  readonly read: number;
  readonly f32: number;
  readonly bf16: number;
  /** What multiplies in bf16: "amx", "avx512_bf16", "none". */
  readonly bf16Unit: string;
}

/**
 * Measures for about a second. A shared machine changes by the minute, so every case measures before and after itself and takes the
 * better values.
 */
export function measureMachine(): Machine {
  const source = join(peersFolder, "limits.c");
  const built = benchPath(`limits-${createHash("sha256").update(readFileSync(source)).digest("hex").slice(0, 16)}`);
  if (!existsSync(built)) {
    const compiler = process.env["CC"] ?? "cc";
    execFileSync(compiler, ["-O3", "-march=native", "-pthread", "-o", built, source], { stdio: ["ignore", "inherit", "inherit"] });
  }
  return JSON.parse(execFileSync(built, [String(availableParallelism())], { encoding: "utf8" })) as Machine;
}

/** The better value of each. */
export const better = (a: Machine, b: Machine): Machine => ({
  copy: Math.max(a.copy, b.copy),
  read: Math.max(a.read, b.read),
  f32: Math.max(a.f32, b.f32),
  bf16: Math.max(a.bf16, b.bf16),
  bf16Unit: a.bf16Unit,
});
