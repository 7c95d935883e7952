/** What this machine can do, measured by a small C program (bench/peers/limits.c) that the system's compiler builds for it. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { type PeerProcess, peersFolder, startProcess } from "../peer.js";
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

/** The program that measures. */
function limits(): string {
  const source = join(peersFolder, "limits.c");
  const built = benchPath(`limits-${createHash("sha256").update(readFileSync(source)).digest("hex").slice(0, 16)}`);
  if (!existsSync(built)) {
    const compiler = process.env["CC"] ?? "cc";
    execFileSync(compiler, ["-O3", "-march=native", "-pthread", "-o", built, source], { stdio: ["ignore", "inherit", "inherit"] });
  }
  return built;
}

/**
 * Measures for about a second. A shared machine changes by the minute, so every case measures before and after itself and takes the
 * better values.
 */
export const measureMachine = (): Machine =>
  JSON.parse(execFileSync(limits(), [String(availableParallelism())], { encoding: "utf8" })) as Machine;

/** Bytes that a row moves, and how. */
export interface Traffic {
  readonly how: "read" | "copy";
  readonly bytes: number;
}
/** More than this is no slower than this: no cache holds any of it. */
const mostBytes = 2 ** 30;

/**
 * Memory's bandwidth changes by a factor of two within seconds where neighbours share it, so a row that stands or falls with it is
 * compared with plain reading or copying of as many bytes (what a cache holds of the one, it holds of the other), on as many threads,
 * in turn with the row itself.
 */
export async function startTraffic({ how, bytes }: Traffic): Promise<{ readonly process: PeerProcess; readonly bytes: number }> {
  const size = Math.min(bytes, mostBytes);
  const started = await startProcess([limits(), String(availableParallelism()), how, String(size)]);
  if (typeof started === "string") throw new Error(started);
  return { process: started, bytes: size };
}

/** The better value of each. */
export const better = (a: Machine, b: Machine): Machine => ({
  copy: Math.max(a.copy, b.copy),
  read: Math.max(a.read, b.read),
  f32: Math.max(a.f32, b.f32),
  bf16: Math.max(a.bf16, b.bf16),
  bf16Unit: a.bf16Unit,
});
