/** From CUDA texts to machine code: the disk cache first, then the compiler. */
import { cacheFor, sha256 } from "../../runtime/cache.js";
import type { Program } from "../../runtime/program.js";
import { refused } from "../../runtime/refused.js";
import { splitUnits, type Unit } from "../../runtime/units.js";
import { Compilers } from "./compilers.js";
import { compilerLibrary, findLibrary } from "./libraries.js";
import { nvrtc, nvrtcIdentity } from "./nvrtc.js";

/** Machine code of one unit of a program. */
export interface Built {
  /** Of the text, the compiler and its flags; equal keys are equal code. */
  readonly key: string;
  readonly code: Uint8Array;
  readonly entries: readonly string[];
}
/** Machine code of a program, and how many texts were compiled because the cache did not have them. */
export interface BuiltAll {
  readonly units: readonly Built[];
  readonly compiled: number;
}

/** Source text of one compilation: NVRTC starts fast, and what it has compiled is kept by unit. */
const unitText = 48 * 1024;
const leastText = 12 * 1024;
/** Texts of one program that may be compiled side by side: the same on every machine, so that what is cached serves all of them. */
const pieces = 8;

/** Texts that are being compiled, so that two programs with equal kernels compile them once. */
const running = new Map<string, Promise<Uint8Array>>();

interface Plan {
  readonly units: readonly Unit[];
  readonly keys: readonly string[];
  readonly found: Map<string, Uint8Array>;
  readonly missing: readonly { readonly key: string; readonly source: string }[];
}
function plan(program: Program, flags: readonly string[], extra: readonly Unit[]): Plan {
  const units = [...splitUnits(program, { cores: pieces, unitText, leastText }), ...extra].filter((u) => u.entries.length);
  const compiler = units.some((u) => typeof u.source === "string") ? nvrtcIdentity() : "";
  const keys = units.map(({ source }) =>
    typeof source === "string" ? sha256(JSON.stringify(["cuda", 2, compiler, flags, source])) : `binary-${sha256(source)}`,
  );
  const found = new Map<string, Uint8Array>();
  const missing: { key: string; source: string }[] = [];
  keys.forEach((key, i) => {
    const { source } = units[i]!;
    if (found.has(key) || missing.some((m) => m.key === key)) return;
    const code = typeof source === "string" ? cacheFor("cubin").read(key) : source;
    if (code) found.set(key, code);
    else missing.push({ key, source: source as string });
  });
  return { units, keys, found, missing };
}
const finish = ({ units, keys, found, missing }: Plan): BuiltAll => ({
  units: units.map(({ entries }, i) => ({ key: keys[i]!, code: found.get(keys[i]!)!, entries })),
  compiled: missing.length,
});
/** A cache that cannot be written (a full disk) costs the next process time, nothing else. */
function keep(key: string, code: Uint8Array): void {
  try {
    cacheFor("cubin").write(key, code);
  } catch {
    // The next process compiles again.
  }
}

/** Machine code of a program's kernels, and of the units in `extra`. */
export async function build(
  program: Program,
  flags: readonly string[],
  extra: readonly Unit[] = [],
  signal?: AbortSignal,
): Promise<BuiltAll> {
  const p = plan(program, flags, extra);
  const own = p.missing.filter((m) => !running.has(m.key));
  const side = own.length ? Compilers.for(findLibrary(compilerLibrary)!, flags, own.length) : undefined;
  const begun = own.map(({ key, source }) => {
    const code = (side ? side.compile(source) : nvrtc().compile(source, flags)).finally(() => running.delete(key));
    running.set(key, code);
    return code;
  });
  // An abort leaves compilations to end: others may wait for the same texts.
  void Promise.allSettled(begun).then(() => side?.close());
  const codes = p.missing.map(({ key }) => running.get(key)!);
  for (const [i, { key }] of p.missing.entries()) {
    signal?.throwIfAborted();
    const code = await codes[i]!.catch((error: unknown) => {
      throw refused(error, program);
    });
    p.found.set(key, code);
    keep(key, code);
  }
  return finish(p);
}
/** The same, blocking. */
export function buildSync(program: Program, flags: readonly string[], extra: readonly Unit[] = []): BuiltAll {
  const p = plan(program, flags, extra);
  for (const { key, source } of p.missing) {
    try {
      p.found.set(key, nvrtc().compileSync(source, flags));
    } catch (error) {
      throw refused(error, program);
    }
    keep(key, p.found.get(key)!);
  }
  return finish(p);
}
