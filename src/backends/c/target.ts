/** What the C backend generates for, from CPU features given as data: no look at this machine. */
import { type DType, isHalf, realDTypes } from "../../core/dtype.js";
import type { Target } from "../../kernel/codegen.js";
import type { MatrixUnit } from "../../kernel/kernel.js";

/** A processor as the C backend needs to know it. */
export interface CpuTarget {
  readonly arch: string;
  readonly features: readonly string[];
  /** Worker threads. */
  readonly parallel?: number;
  /** L1 and L2 of one core in bytes. */
  readonly caches?: readonly number[];
  /** A library of BLAS may multiply. */
  readonly products?: true;
}

/** Intel's tile registers: 16 rows of 64 bytes, opaque to everything but its own instructions. */
export const amx: MatrixUnit = {
  name: "amx",
  m: 16,
  n: 16,
  k: 32,
  lanes: 1,
  operands: "registers",
  input: "bf16",
  regs: { a: 1, b: 1, acc: 0 },
};

export const amxInt8: MatrixUnit = { ...amx, name: "amx-int8", k: 64, input: "i8" };

/** The Target of a processor: how wide its vectors are, how many it has, whether it multiplies matrices. */
export function cTarget(cpu: CpuTarget): Target {
  const has = (f: string): boolean => cpu.features.includes(f);
  const wide = has("avx512f") && has("avx512vl") && has("avx512bw") && has("avx512dq");
  const lanes = wide ? 16 : has("avx2") && has("fma") ? 8 : 4;
  return {
    dtypes: realDTypes,
    kernels: true,
    threads: 1,
    lanes,
    vectors: "native",
    registers: wide || cpu.arch === "arm64" ? 32 : 16,
    caches: cpu.caches ?? [32 << 10, 1 << 20],
    // Memory of Intel's servers with tiles is far: rows asked for 2 KiB ahead come at 0.68-0.83 of plain reading, 8 KiB ahead at 0.90-0.97.
    prefetch: has("amx-bf16") ? 8192 : 2048,
    // Zen 4 (bf16 in vectors, no tiles) reads rows at 0.96-1.04 of plain reading so, and at 0.62-0.87 where they are asked for.
    ...(has("avx512bf16") && !has("amx-bf16") && { streams: 4 }),
    sharedBytes: 64 << 20,
    parallel: cpu.parallel ?? 1,
    units: wide ? [...(has("amx-bf16") ? [amx] : []), ...(has("amx-int8") ? [amxInt8] : [])] : [],
    ...(wide && { turns: true }),
    ...(wide && { dots: new Set<DType>([...(has("avx512bf16") ? ["bf16" as const] : []), ...(has("avx512vnni") ? ["i8" as const] : [])]) }),
    maxBuffers: Number.POSITIVE_INFINITY,
    aliasing: true,
    maxGrid: Number.MAX_SAFE_INTEGER,
    maxBinding: Number.MAX_SAFE_INTEGER,
    atomics: new Set([...realDTypes].filter((t) => !isHalf(t))),
    ieee: true,
    ...(cpu.products && { products: { library: "blas", dtypes: new Set<DType>(["f32", "f64", "bf16"]), alignment: 1 } }),
  };
}

/**
 * Compiler flags that generated C needs for its meaning: integers wrap, floats are neither contracted nor reassociated, and any
 * two pointers may meet.
 */
export const meaning: readonly string[] = ["-fwrapv", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-fno-strict-aliasing"];

/** Flags that choose instructions: exactly the features of the target, so a file means the same wherever it was compiled. */
export function instructionFlags(target: { readonly arch: string; readonly features: readonly string[] }): string[] {
  if (target.arch === "x86-64") {
    const flags = ["-march=x86-64", ...target.features.map((f) => `-m${f}`)];
    return cTarget(target).lanes === 16 ? [...flags, "-mprefer-vector-width=512"] : flags;
  }
  if (target.arch === "arm64") {
    const named: Readonly<Record<string, string>> = { fp16: "+fp16", dotprod: "+dotprod", bf16: "+bf16", i8mm: "+i8mm" };
    return [`-march=armv8.2-a${target.features.map((f) => named[f] ?? "").join("")}`];
  }
  return [];
}
