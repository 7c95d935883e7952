import { envLevel, tell } from "../core/host.js";
import type { Graph } from "../ir/graph.js";
import { printGraph } from "../ir/print.js";
import type { Group } from "../kernel/group.js";
import type { Kernel } from "../kernel/kernel.js";
import type { KernelCode, Program } from "../runtime/program.js";
import { explain } from "./explain.js";
import type { Fusion } from "./fuse.js";

/** Writes what the compiler does to stderr: 1 programs, 2 the graph after each pass and the groups, 3 kernels, 4 their source. */
export interface Dumper {
  readonly level: number;
  graph(pass: string, g: Graph): void;
  schedule(f: Fusion): void;
  kernel(k: Kernel, code: KernelCode, group: Group): void;
  program(p: Program): void;
}

/** The dumper that TREEPIE_DEBUG asks for. */
export function dumper(level: number = envLevel("TREEPIE_DEBUG")): Dumper {
  const write = tell;
  return {
    level,
    graph: (pass, g) => {
      if (level >= 2) write(`--- graph after ${pass}\n${printGraph(g)}`);
    },
    schedule: ({ groups }) => {
      if (level >= 2) for (const [i, x] of groups.entries()) write(`--- group ${i}: ${showGroup(x)}`);
    },
    kernel: (k, code, group) => {
      if (level >= 3) write(`--- kernel ${k.name} of ${group.name}\n${JSON.stringify(k, plain, 1)}`);
      if (level >= 4 && typeof code.source === "string") write(`--- source of ${k.name}\n${code.source}`);
    },
    program: (p) => {
      if (level >= 1) write(explain(p));
    },
  };
}

function plain(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return `${value}n`;
  return typeof value === "object" && value !== null && "terms" in value && "key" in value ? value.key : value;
}

/** One line about a group, and one for each reason. */
function showGroup(x: Group): string {
  const count = (list: readonly unknown[], word: string): string => `${list.length} ${word}${list.length === 1 ? "" : "s"}`;
  const head = `${x.name} (${x.kind}): ${count(x.nodes, "node")}, ${count(x.inputs, "input")}, ${count(x.outputs, "output")}`;
  return [head, ...x.why.map((w) => `    ${w}`)].join("\n");
}
