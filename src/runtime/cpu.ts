/** What the processor of this machine can do, from what the system tells without native code. */
import { builtin, files } from "../core/host.js";

export interface Cpu {
  /** "x86-64", "arm64", or Node's name for it. */
  readonly arch: string;
  readonly model: string;
  /** Instruction-set extensions in the C compilers' spelling (avx2, avx512f, amx-bf16; neon, fp16, dotprod, bf16, i8mm), sorted. */
  readonly features: readonly string[];
  readonly cores: number;
  /** L1 (data) and L2 of one core in bytes. */
  readonly caches: readonly number[];
}

let found: Cpu | undefined;
/** A page is not told what it runs on, but for the number of cores. */
const arch = (): string => builtin("node:os")?.arch() ?? "unknown";
const platform = (): string => builtin("node:os")?.platform() ?? "unknown";

/** The processor of this machine. */
export function cpu(): Cpu {
  const os = builtin("node:os");
  found ??= {
    arch: { x64: "x86-64", arm64: "arm64" }[arch()] ?? arch(),
    model: os?.cpus()[0]?.model.trim() ?? "unknown",
    features: detect(),
    cores:
      os?.availableParallelism() ?? (globalThis as { navigator?: { hardwareConcurrency?: number } }).navigator?.hardwareConcurrency ?? 1,
    caches: cacheSizes(),
  };
  return found;
}

/** The extensions that generated code may use, by the kernel's spelling; what is not here is not looked for. */
const x86: Readonly<Record<string, string>> = {
  sse4_2: "sse4.2",
  avx: "avx",
  avx2: "avx2",
  fma: "fma",
  f16c: "f16c",
  avx512f: "avx512f",
  avx512bw: "avx512bw",
  avx512dq: "avx512dq",
  avx512vl: "avx512vl",
  avx512_bf16: "avx512bf16",
  avx512_fp16: "avx512fp16",
  avx512_vnni: "avx512vnni",
  amx_tile: "amx-tile",
  amx_bf16: "amx-bf16",
  amx_int8: "amx-int8",
};
const arm: Readonly<Record<string, string>> = {
  asimd: "neon",
  fphp: "fp16",
  asimdhp: "fp16",
  asimddp: "dotprod",
  bf16: "bf16",
  i8mm: "i8mm",
};

function detect(): string[] {
  try {
    if (platform() === "linux") {
      const text = files().readFileSync("/proc/cpuinfo", "utf8");
      const flags = /^(?:flags|Features)\s*:\s*(.*)$/m.exec(text)?.[1]?.split(/\s+/) ?? [];
      return named(flags, arch() === "arm64" ? arm : x86);
    }
    if (platform() === "darwin")
      return arch() === "arm64"
        ? apple()
        : named(sysctl("machdep.cpu.features", "machdep.cpu.leaf7_features").toLowerCase().replaceAll("avx1.0", "avx").split(/\s+/), x86);
  } catch {
    // No extensions known: code for the plain architecture runs everywhere.
  }
  return arch() === "arm64" ? ["neon"] : [];
}
const named = (flags: readonly string[], table: Readonly<Record<string, string>>): string[] =>
  [...new Set(flags.flatMap((f) => table[f] ?? []))].sort();

function apple(): string[] {
  const has = (name: string): boolean => sysctl(`hw.optional.arm.FEAT_${name}`).trim() === "1";
  const optional: readonly (readonly [string, string])[] = [
    ["fp16", "FP16"],
    ["dotprod", "DotProd"],
    ["bf16", "BF16"],
    ["i8mm", "I8MM"],
  ];
  return ["neon", ...optional.filter(([, name]) => has(name)).map(([feature]) => feature)].sort();
}
/** Typical sizes stand where the system does not tell. */
function cacheSizes(): number[] {
  const sizes = [32 << 10, 1 << 20];
  if (platform() === "unknown") return sizes;
  const { readdirSync, readFileSync } = files();
  try {
    if (platform() === "darwin") return [Number(sysctl("hw.l1dcachesize")) || sizes[0]!, Number(sysctl("hw.l2cachesize")) || sizes[1]!];
    const base = "/sys/devices/system/cpu/cpu0/cache";
    for (const name of readdirSync(base).filter((n) => n.startsWith("index"))) {
      const read = (file: string): string => readFileSync(`${base}/${name}/${file}`, "utf8").trim();
      const level = Number(read("level"));
      const bytes = Number.parseInt(read("size"), 10) * 1024;
      if ((level === 1 || level === 2) && read("type") !== "Instruction" && bytes > 0) sizes[level - 1] = bytes;
    }
  } catch {
    // The typical sizes stand.
  }
  return sizes;
}
function sysctl(...keys: readonly string[]): string {
  return keys
    .map((key) => {
      try {
        return builtin("node:child_process")!.execFileSync("sysctl", ["-n", key], {
          encoding: "utf8",
          stdio: ["ignore", "pipe", "ignore"],
        });
      } catch {
        return "";
      }
    })
    .join(" ");
}
