/** From a graph to a program: passes, fusion, placement, lowering and linking, in this order. */
import type { Graph } from "../ir/graph.js";
import { type Pass, runPasses } from "../ir/rewrite.js";
import type { Codegen, Target } from "../kernel/codegen.js";
import type { Group } from "../kernel/group.js";
import type { Kernel } from "../kernel/kernel.js";
import { verifyKernel } from "../kernel/verify.js";
import { windowed } from "../kernel/windows.js";
import type { Program } from "../runtime/program.js";
import { dumper } from "./debug.js";
import { fuse } from "./fuse.js";
import { inlineRows } from "./inlined.js";
import { type LinkOptions, link } from "./link.js";
import { lowerGroup } from "./lower/index.js";
import { orderTasks } from "./order.js";
import { cachedAttention } from "./passes/cached.js";
import { canonicalize } from "./passes/canonicalize.js";
import { cse } from "./passes/cse.js";
import { decompose } from "./passes/decompose.js";
import { demanded } from "./passes/demand.js";
import { evenProducts } from "./passes/even.js";
import { extremesInParts } from "./passes/extremes.js";
import { transposedProducts } from "./passes/products.js";
import { attentionRows } from "./passes/rows.js";
import { scansInParts } from "./passes/scans.js";
import { splitProducts } from "./passes/split.js";
import { narrowCats } from "./passes/wide.js";
import { plan } from "./plan.js";
import { regionsOf } from "./regions.js";

/** What a caller may choose. */
export interface CompileOptions extends Omit<LinkOptions, "onKernel"> {
  /** Run after the compiler's own passes, on the primitive graph. */
  readonly passes?: readonly Pass[];
  /** Verify the graph after each pass, and every kernel; default: at TREEPIE_DEBUG >= 1. */
  readonly verify?: boolean;
}

/** The passes that turn a recorded graph into one of primitive and claimed ops. */
export const standardPasses = (codegen: Codegen): readonly Pass[] => [
  cse,
  canonicalize,
  extremesInParts(codegen.target),
  decompose(codegen),
  cse,
  canonicalize,
  demanded,
  decompose(codegen),
  cse,
  canonicalize,
  scansInParts(codegen.target),
  cachedAttention(codegen),
  attentionRows(codegen),
  transposedProducts,
  splitProducts(codegen),
  evenProducts(codegen),
  narrowCats(codegen.target),
  cse,
];

/** Compiles a graph for one kind of device. */
export function compile(graph: Graph, codegen: Codegen, options: CompileOptions = {}): Program {
  const dump = dumper();
  const verify = options.verify ?? dump.level >= 1;
  const g = runPasses(graph, [...standardPasses(codegen), ...(options.passes ?? [])], {
    verify,
    after: dump.graph,
  });
  const fusion = inlineRows(fuse(g, codegen), codegen.target);
  dump.schedule(fusion);
  const placed = plan(g, fusion, codegen.target.rowBytes);
  // What a cache holds that all grid points share costs less than a step of its own.
  const regions = regionsOf(placed, orderTasks(placed), codegen.target.ahead?.next);
  const program = link(g, placed, regions, codegen, verify ? verified : lower, {
    ...options,
    onKernel: dump.kernel,
  });
  dump.program(program);
  return program;
}

/** The kernels of a group, in order: its template's, or generated ones. */
const lower = (group: Group, target: Target): readonly Kernel[] =>
  (group.template ? group.template.lower(group, target) : lowerGroup(group, target)).flatMap((k) => windowed(k, target));
const verified = (group: Group, target: Target): readonly Kernel[] => lower(group, target).map((k) => verifyKernel(k, target));
