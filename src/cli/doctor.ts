/** `treepie doctor`: what this machine has, and which backends work or why not. */
import { existsSync } from "node:fs";
import { arch, platform, release, totalmem } from "node:os";
import { backends, preference } from "../devices.js";
import { cpu } from "../runtime/cpu.js";
import { byteSize } from "./progress.js";

interface Report {
  readonly system: string;
  readonly node: string;
  readonly cpu: {
    readonly model: string;
    readonly cores: number;
    readonly features: readonly string[];
    readonly caches: readonly number[];
  };
  readonly memory: number;
  readonly compiler: string | null;
  readonly gpus: readonly string[];
  readonly backends: readonly { readonly name: string; readonly works: boolean; readonly why: string | null }[];
  readonly default: string | null;
}

export async function doctor(options: { readonly json?: boolean }): Promise<void> {
  const r = await report();
  if (options.json) {
    console.log(JSON.stringify(r, null, 1));
    return;
  }
  const lines: readonly (readonly [string, string])[] = [
    ["system", r.system],
    ["node", r.node],
    ["processor", `${r.cpu.model}, ${r.cpu.cores} cores, L1 ${byteSize(r.cpu.caches[0] ?? 0)}, L2 ${byteSize(r.cpu.caches[1] ?? 0)}`],
    ["features", r.cpu.features.join(" ") || "none known"],
    ["memory", byteSize(r.memory)],
    ["C compiler", r.compiler ?? "none"],
    ["GPUs", r.gpus.join(", ") || "none seen"],
  ];
  for (const [name, value] of lines) console.log(`${name.padEnd(12)}${value}`);
  console.log("backends");
  for (const b of r.backends)
    console.log(`  ${b.name.padEnd(10)}${b.works ? "works" : `no: ${b.why}`}${b.name === r.default ? "  (default)" : ""}`);
}

async function report(): Promise<Report> {
  const { findCompiler } = await import("../backends/c/cc.js");
  const compiler = findCompiler();
  const found = await Promise.all(Object.entries(backends).map(async ([name, load]) => ({ name, why: await reasonAgainst(load) })));
  const working = new Set(found.filter((b) => b.why === null).map((b) => b.name));
  const { model, cores, features, caches } = cpu();
  return {
    system: `${platform()} ${release()} ${arch()}`,
    node: process.version,
    cpu: { model, cores, features, caches },
    memory: totalmem(),
    compiler: typeof compiler === "string" ? null : compiler.version,
    gpus: gpus(),
    backends: found.map(({ name, why }) => ({ name, works: why === null, why })),
    default: preference.find((name) => working.has(name)) ?? null,
  };
}

/** Opens and closes the device: the only proof that a backend works. */
async function reasonAgainst(load: (typeof backends)[string]): Promise<string | null> {
  try {
    const backend = await load();
    const why = backend.unavailable();
    if (why) return why;
    await (await backend.open()).close();
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** GPUs that the system names. Backends for them come with later versions; nothing here claims that they work. */
function gpus(): string[] {
  const seen: string[] = [];
  if (existsSync("/dev/nvidia0")) seen.push("NVIDIA (no backend for it in this version)");
  if (existsSync("/dev/dri/renderD128")) seen.push("a DRM render device (no backend for it in this version)");
  if (platform() === "darwin" && arch() === "arm64") seen.push("Apple GPU (no backend for it in this version)");
  return seen;
}
