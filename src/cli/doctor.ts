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
  /** Libraries that devices need or may use. */
  readonly libraries: readonly { readonly name: string; readonly path: string | null; readonly without: string }[];
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
  console.log("libraries");
  for (const l of r.libraries) console.log(`  ${l.name}: ${l.path ?? `not found; ${l.without}`}`);
  console.log("backends");
  for (const b of r.backends)
    console.log(`  ${b.name.padEnd(10)}${b.works ? "works" : `no: ${b.why}`}${b.name === r.default ? "  (default)" : ""}`);
}

async function report(): Promise<Report> {
  const { findCompiler } = await import("../backends/c/cc.js");
  const { findBlas, openBlas, withoutBlas } = await import("../backends/c/blas.js");
  const blas = (): { readonly path: string | null; readonly without: string } => {
    const file = findBlas();
    const opened = file && openBlas(file);
    return typeof opened === "string"
      ? { path: null, without: `${opened}: ${withoutBlas}` }
      : { path: file?.path ?? null, without: withoutBlas };
  };
  const { attentionLibrary, findLibrary, wantedLibraries } = await import("../backends/cuda/libraries.js");
  const { whyNotCudnn } = await import("../backends/cuda/cudnn/index.js");
  const usable = (
    w: (typeof wantedLibraries)[number],
    path: string | undefined,
  ): { readonly path: string | null; readonly without: string } => {
    const why = path && w === attentionLibrary ? whyNotCudnn(path) : undefined;
    return why ? { path: null, without: `${path}: ${why}: ${w.effect}` } : { path: path ?? null, without: w.effect };
  };
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
    gpus: await gpus(),
    libraries: [
      ...wantedLibraries.map((w) => ({ name: w.name, ...usable(w, findLibrary(w)) })),
      { name: "BLAS, for products on the c device", ...blas() },
    ],
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

/** GPUs that the system names, those of NVIDIA as their driver describes them. */
async function gpus(): Promise<string[]> {
  const seen: string[] = [];
  const { seesGpu, whyNot } = await import("../backends/cuda/libraries.js");
  if (!whyNot()) {
    try {
      const { gpus: all } = await import("../backends/cuda/driver.js");
      for (const g of all()) seen.push(`cuda:${g.index} ${g.name} (sm_${g.sm}, ${byteSize(g.bytes)})`);
    } catch (error) {
      seen.push(`NVIDIA (${error instanceof Error ? error.message : String(error)})`);
    }
  } else if (seesGpu()) seen.push(`NVIDIA (${whyNot()})`);
  if (existsSync("/dev/dri/renderD128")) seen.push("a DRM render device (no backend for it in this version)");
  if (platform() === "darwin" && arch() === "arm64") seen.push("Apple GPU (no backend for it in this version)");
  return seen;
}
