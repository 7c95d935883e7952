/** From C texts to loaded libraries: memory first, then the disk cache, then the compiler. */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { UnsupportedError } from "../../core/errors.js";
import { type Cache, cacheFor, sha256, unique } from "../../runtime/cache.js";
import { cpu } from "../../runtime/cpu.js";
import { ffi, type NativeLibrary } from "../../runtime/ffi.js";
import type { Program } from "../../runtime/program.js";
import { splitUnits, type Unit } from "../../runtime/units.js";
import { type Compiler, compileAll, compileAllSync, findCompiler, flagsFor, type Haste } from "./cc.js";
import { instructionSets, systemFeature } from "./key.js";
import { abiVersion, copyEntry, poolSource } from "./pool.js";

/** A library that stays loaded while somebody holds it. */
export interface Held {
  readonly library: NativeLibrary;
  release(): void;
}
/** How many texts were compiled because no cache had them. */
export interface Built {
  readonly libraries: readonly Held[];
  readonly compiled: number;
}

const open = new Map<string, Entry>();

/** A compilation unit's worth of source text: beyond it another file pays for another compiler process. */
const unitText = 64 * 1024;
/** Source text that is worth a process of its own while a core is idle. */
const leastText = 4 * 1024;

/** The kernels of a program as a few texts for this machine's cores. */
export const unitsOf = (program: Program): readonly Unit[] => splitUnits(program, { cores: cpu().cores, unitText, leastText }, true);

/** The program with its kernels compiled for every machine that has the key's features and this operating system. */
export async function toBinary(program: Program, signal?: AbortSignal): Promise<Program> {
  const [compiler, cache] = [tool(), cacheFor("so")];
  const target = { arch: program.key.arch, features: instructionSets(program.key.features) };
  const units = unitsOf(program).filter((u): u is Unit & { source: string } => typeof u.source === "string");
  const flags = flagsFor(target, false);
  const half = JSON.stringify([compiler, flags]);
  if (!halves.has(half)) units.push({ source: poolSource, entries: [copyEntry] });
  const jobs = units.map((u) => ({ path: join(cache.folder, `build-${unique()}`), source: u.source }));
  const where = new Map<string, Uint8Array>();
  try {
    await compileAll(compiler, flags, jobs, { signal });
    units.forEach((u, i) => {
      const library = new Uint8Array(readFileSync(`${jobs[i]!.path}.so`));
      if (u.source === poolSource) halves.set(half, library);
      else for (const entry of u.entries) where.set(entry, library);
    });
  } finally {
    for (const j of jobs) rmSync(`${j.path}.so`, { force: true });
  }
  return {
    ...program,
    key: { ...program.key, features: [...target.features, systemFeature] },
    prelude: "",
    kernels: [
      ...program.kernels.map((k) => ({ ...k, source: where.get(k.entry) ?? k.source })),
      { entry: copyEntry, source: halves.get(half)!, threads: 1, sharedBytes: 0, writes: [false, true] },
    ],
  };
}
/** The device's native half as a library, by compiler and flags: equal bytes are stored once in a file. */
const halves = new Map<string, Uint8Array>();

function tool(): Compiler {
  const compiler = findCompiler();
  if (typeof compiler === "string") throw new UnsupportedError(`the c device needs a C compiler: ${compiler}, or use the wasm device`);
  return compiler;
}

interface Plan {
  /** Undefined where nothing is text. */
  readonly compiler: Compiler | undefined;
  readonly flags: readonly string[];
  readonly cache: Cache;
  readonly keys: readonly string[];
  readonly missing: readonly { readonly key: string; readonly path: string; readonly source: string }[];
  readonly paths: Map<string, string>;
  /** Libraries that were loaded already, held from now on. */
  readonly held: Map<string, Entry>;
}
interface Entry {
  readonly library: NativeLibrary;
  holders: number;
}

function plan(sources: readonly (string | Uint8Array)[]): Plan {
  const cache = cacheFor("so");
  const compiler = sources.some((s) => typeof s === "string") ? tool() : undefined;
  const flags = compiler ? flagsFor() : [];
  const { arch, model, features } = cpu();
  const keys = sources.map((source) =>
    typeof source === "string"
      ? sha256(JSON.stringify([abiVersion, compiler, flags, arch, model, features, source]))
      : `binary-${sha256(source)}`,
  );
  const paths = new Map<string, string>();
  const missing: { key: string; path: string; source: string }[] = [];
  const held = new Map<string, Entry>();
  keys.forEach((key, i) => {
    const loaded = open.get(key);
    if (loaded && !held.has(key)) {
      loaded.holders++;
      held.set(key, loaded);
    }
    if (loaded || paths.has(key) || missing.some((m) => m.key === key)) return;
    const source = sources[i]!;
    if (typeof source !== "string") {
      const path = join(cache.folder, `build-${unique()}.so`);
      writeFileSync(path, source, { mode: 0o600, flag: "wx" });
      paths.set(key, path);
      return;
    }
    const hit = cache.get(key);
    if (hit) paths.set(key, hit);
    else missing.push({ key, path: join(cache.folder, `build-${unique()}`), source });
  });
  return { compiler, flags, cache, keys, missing, paths, held };
}
function finish({ cache, keys, missing, paths, held }: Plan): Built {
  for (const m of missing) paths.set(m.key, keep(cache, m.key, `${m.path}.so`));
  const libraries = [...new Set(keys)].map((key): [string, Held] => {
    let entry = held.get(key);
    if (!entry) {
      entry = open.get(key);
      if (!entry) open.set(key, (entry = { library: load(paths.get(key)!), holders: 0 }));
      entry.holders++;
    }
    return [key, { library: entry.library, release: once(() => release(key)) }];
  });
  for (const path of paths.values()) if (!cache.lasting || basename(path).startsWith("build-")) rmSync(path, { force: true });
  const byKey = new Map(libraries);
  return { libraries: keys.map((key) => byKey.get(key)!), compiled: missing.length };
}
function load(path: string): NativeLibrary {
  try {
    return ffi().load(path);
  } catch (cause) {
    if (cause instanceof UnsupportedError) throw cause;
    throw new UnsupportedError(
      `a program's machine code does not load here (${(cause as Error).message}): it was made for another system; export it here, or use the wasm device`,
      { cause },
    );
  }
}
/** A cache that cannot be written (a full disk) costs the next process time, nothing else. */
function keep(cache: Cache, key: string, built: string): string {
  try {
    return cache.put(key, built);
  } catch {
    return built;
  }
}
function release(key: string): void {
  const entry = open.get(key);
  if (!entry || --entry.holders) return;
  open.delete(key);
  entry.library.unload();
}
const once = (f: () => void): (() => void) => {
  let done = false;
  return () => {
    if (!done) f();
    done = true;
  };
};

function giveUp(p: Plan): void {
  for (const key of p.held.keys()) release(key);
  for (const m of p.missing) rmSync(`${m.path}.so`, { force: true });
}

/** Loads a library for each text. */
export async function build(sources: readonly (string | Uint8Array)[], haste?: Haste): Promise<Built> {
  const p = plan(sources);
  try {
    if (p.missing.length) await compileAll(p.compiler!, p.flags, p.missing, haste);
    return finish(p);
  } catch (error) {
    giveUp(p);
    throw error;
  }
}
/** The same, blocking. */
export function buildSync(sources: readonly (string | Uint8Array)[]): Built {
  const p = plan(sources);
  try {
    if (p.missing.length) compileAllSync(p.compiler!, p.flags, p.missing);
    return finish(p);
  } catch (error) {
    giveUp(p);
    throw error;
  }
}
