/**
 * Programs on disk: a process that meets a graph which another one has compiled neither lowers nor prints it. The key covers the
 * graph, the target, and every file of this package, so a program never outlives the compiler that made it.
 */
import { readFileSync } from "node:fs";
import { FormatError } from "../core/errors.js";
import type { Graph } from "../ir/graph.js";
import { graphKey, intern } from "../ir/intern.js";
import type { Codegen } from "../kernel/codegen.js";
import { type Cache, cacheFor, sha256 } from "../runtime/cache.js";
import type { Program } from "../runtime/program.js";
import { readProgram, writeProgram } from "../runtime/program-text.js";
import { verifyProgram } from "../runtime/verify.js";
import { compile } from "./index.js";

/** What compiles faster than this is not worth a file. */
const leastMs = 40;

let built: string | undefined;
/** What the build has written about itself; empty where the sources run as they are, which may change at any time. */
function build(): string {
  if (built === undefined) {
    try {
      built = readFileSync(new URL("../build.txt", import.meta.url), "utf8").trim();
    } catch {
      built = "";
    }
  }
  return built;
}

/** Compiles a graph, or takes its program from the disk cache. Off at TREEPIE_DEBUG >= 1, and in sources that were not built. */
export function compileCached(graph: Graph, codegen: Codegen): Program {
  const version = build();
  if (!version || Number(process.env["TREEPIE_DEBUG"] ?? 0) >= 1) return compile(graph, codegen);
  return compileWith(graph, codegen, version, cacheFor("program"), leastMs);
}

/** The same for a compiler of that version, with programs that took at least that many milliseconds kept in a cache. */
export function compileWith(graph: Graph, codegen: Codegen, version: string, cache: Cache, least: number): Program {
  const key = programKey(graph, codegen, version);
  const known = cache.read(key);
  const found = known && decode(known);
  if (found) return found;
  const begun = performance.now();
  const program = compile(graph, codegen);
  if (performance.now() - begun >= least) {
    try {
      cache.write(key, encode(program));
    } catch {
      // A full disk costs the next process time, nothing else.
    }
  }
  return program;
}

/** Everything that a program depends on. */
function programKey(graph: Graph, codegen: Codegen, version: string): string {
  const g = intern(graph);
  const names = [g.inputs, g.state].map((list) => list.map((n) => n.attrs["name"] ?? ""));
  const target = JSON.stringify(codegen.target, (_, x: unknown) => {
    if (x instanceof Set) return [...x].sort();
    return typeof x === "number" ? String(x) : x;
  });
  return sha256(JSON.stringify([version, process.version, codegen.key, target, codegen.claims.map((c) => c.name), names, graphKey(g)]));
}

/** A line of JSON, whose blobs follow it. */
function encode(p: Program): Uint8Array {
  const blobs: Uint8Array[] = [];
  const program = writeProgram(p, (bytes) => blobs.push(bytes) - 1);
  return Buffer.concat([Buffer.from(`${JSON.stringify({ blobs: blobs.map((b) => b.length), program })}\n`), ...blobs]);
}
/** The program, verified; undefined where the text is not one. */
function decode(bytes: Uint8Array): Program | undefined {
  try {
    const end = bytes.indexOf(10);
    const { blobs, program } = JSON.parse(new TextDecoder().decode(bytes.subarray(0, end))) as { blobs: number[]; program: unknown };
    const starts: number[] = [];
    let at = end + 1;
    for (const length of blobs) {
      starts.push(at);
      at += length;
    }
    const p = readProgram(
      program,
      (i) => {
        const from = starts[i];
        if (from === undefined || at !== bytes.length) throw new FormatError(`there is no blob ${i}`);
        return bytes.slice(from, from + blobs[i]!);
      },
      "a cached program",
    );
    verifyProgram(p);
    return p;
  } catch {
    return undefined;
  }
}
