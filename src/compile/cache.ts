import type { Graph } from "../ir/graph.js";
import { graphKey } from "../ir/intern.js";
import type { Codegen } from "../kernel/codegen.js";
import type { Program } from "../runtime/program.js";
import { type CompileOptions, compile } from "./index.js";

/** Programs kept at most; the one that was used longest ago goes first. */
const limit = 256;
const programs = new Map<string, Program>();
let compiles = 0;

/** How many programs this process has compiled through the cache: tests assert that a loop compiles once. */
export const compileCount = (): number => compiles;

/**
 * Compiles a graph, or gives back the program of an equal one. The key is the canonical text of graph, target and options, so that a
 * hit is equality and not just an equal hash. Equal subexpressions should have been interned.
 */
export function compileCached(graph: Graph, codegen: Codegen, options: CompileOptions = {}): Program {
  if (options.passes?.length) return compileOne(graph, codegen, options);
  const { name, inputNames, outputNames, stateNames } = options;
  const own = [...graph.inputs, ...graph.state].map((n) => n.attrs.name ?? "");
  const key =
    JSON.stringify([codegen.name, codegen.key, targetKey(codegen), name, inputNames, outputNames, stateNames, own]) + graphKey(graph);
  const known = programs.get(key);
  if (known) {
    programs.delete(key);
    programs.set(key, known);
    return known;
  }
  const made = compileOne(graph, codegen, options);
  programs.set(key, made);
  if (programs.size > limit) for (const oldest of programs.keys()) if (programs.delete(oldest)) break;
  return made;
}

function compileOne(graph: Graph, codegen: Codegen, options: CompileOptions): Program {
  compiles++;
  return compile(graph, codegen, options);
}

/** A target as text: its fields decide what is generated. */
const targetKey = (codegen: Codegen): string =>
  JSON.stringify({ ...codegen.target, claims: codegen.claims.map((t) => t.name) }, (_k, v: unknown) => (v instanceof Set ? [...v] : v));

/** Forgets every program. */
export function clearCompileCache(): void {
  programs.clear();
}
