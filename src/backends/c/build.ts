/** From C texts to loaded libraries: memory first, then the disk cache, then the compiler. */
import { rmSync } from "node:fs";
import { basename, join } from "node:path";
import { CompileError, UnsupportedError } from "../../core/errors.js";
import { cpu } from "../../runtime/cpu.js";
import { ffi, type NativeLibrary } from "../../runtime/ffi.js";
import type { Program } from "../../runtime/program.js";
import { type Cache, openCache, sha256, unique } from "./cache.js";
import { type Compiler, compileAll, compileAllSync, findCompiler, flagsFor } from "./cc.js";
import { abiVersion } from "./pool.js";

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

const caches = new Map<string, Cache>();
const open = new Map<string, Entry>();

/** A compilation unit's worth of source text: beyond it another file pays for another compiler process. */
const unitText = 96 * 1024;

/** The kernels of a program as a few texts of about equal length. */
export function unitsOf(program: Program): readonly { readonly source: string; readonly entries: readonly string[] }[] {
  const total = program.kernels.reduce((sum, k) => sum + k.source.length, 0);
  const count = Math.max(
    1,
    Math.min(program.kernels.length, Math.max(Math.min(cpu().cores, Math.ceil(total / 4096)), Math.ceil(total / unitText))),
  );
  const units: { source: string; entries: string[] }[] = [];
  let done = 0;
  for (const k of program.kernels) {
    if (typeof k.source !== "string") throw new CompileError(`kernel ${k.entry} is not C text`);
    if (!units.length || done >= (total * units.length) / count) units.push({ source: program.prelude, entries: [] });
    const unit = units[units.length - 1]!;
    unit.source += `\n${k.source}\n`;
    unit.entries.push(k.entry);
    done += k.source.length;
  }
  return units;
}

interface Plan {
  readonly compiler: Compiler;
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

function plan(sources: readonly string[]): Plan {
  const compiler = findCompiler();
  if (typeof compiler === "string") throw new UnsupportedError(`the c device needs a C compiler: ${compiler}, or use the js device`);
  const { arch, model, features } = cpu();
  const flags = flagsFor();
  const where = process.env["TREEPIE_CACHE_DIR"] ?? "";
  let cache = caches.get(where);
  if (!cache) caches.set(where, (cache = openCache()));
  const keys = sources.map((source) => sha256(JSON.stringify([abiVersion, compiler, flags, arch, model, features, source])));
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
    const hit = cache.get(key);
    if (hit) paths.set(key, hit);
    else missing.push({ key, path: join(cache.folder, `build-${unique()}`), source: sources[i]! });
  });
  return { compiler, flags, cache, keys, missing, paths, held };
}
function finish({ cache, keys, missing, paths, held }: Plan): Built {
  for (const m of missing) paths.set(m.key, keep(cache, m.key, `${m.path}.so`));
  const libraries = [...new Set(keys)].map((key): [string, Held] => {
    let entry = held.get(key);
    if (!entry) {
      entry = open.get(key);
      if (!entry) open.set(key, (entry = { library: ffi().load(paths.get(key)!), holders: 0 }));
      entry.holders++;
    }
    return [key, { library: entry.library, release: once(() => release(key)) }];
  });
  for (const path of paths.values()) if (!cache.lasting || basename(path).startsWith("build-")) rmSync(path, { force: true });
  const byKey = new Map(libraries);
  return { libraries: keys.map((key) => byKey.get(key)!), compiled: missing.length };
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

/** Loads a library for each text. */
export async function build(sources: readonly string[], signal?: AbortSignal): Promise<Built> {
  const p = plan(sources);
  try {
    if (p.missing.length) await compileAll(p.compiler, p.flags, p.missing, signal);
    return finish(p);
  } catch (error) {
    for (const key of p.held.keys()) release(key);
    throw error;
  }
}
/** The same, blocking. */
export function buildSync(sources: readonly string[]): Built {
  const p = plan(sources);
  try {
    if (p.missing.length) compileAllSync(p.compiler, p.flags, p.missing);
    return finish(p);
  } catch (error) {
    for (const key of p.held.keys()) release(key);
    throw error;
  }
}
