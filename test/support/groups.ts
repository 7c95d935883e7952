/** Runs graphs group by group through the fuser, the lowerings and a C compiler, beside the interpreter. */

import { cCodegen } from "../../src/backends/c/codegen.js";
import { interpret } from "../../src/backends/interp/interpret.js";
import { fuse } from "../../src/compile/fuse.js";
import { standardPasses } from "../../src/compile/index.js";
import { lowerGroup } from "../../src/compile/lower/index.js";
import { fromBytes, roundTo, toBytes } from "../../src/core/convert.js";
import { bytesOf, isFloat } from "../../src/core/dtype.js";
import { evaluate } from "../../src/core/expr.js";
import { NdArray } from "../../src/core/ndarray.js";
import { numel } from "../../src/core/type.js";
import type { Graph } from "../../src/ir/graph.js";
import type { Node } from "../../src/ir/node.js";
import { runPasses } from "../../src/ir/rewrite.js";
import type { Target, Template } from "../../src/kernel/codegen.js";
import type { Group } from "../../src/kernel/group.js";
import { interpretKernel } from "../../src/kernel/interpret/index.js";
import type { Kernel } from "../../src/kernel/kernel.js";
import { templates } from "../../src/kernel/templates/index.js";
import { cpu } from "../../src/runtime/cpu.js";
import { compileKernels, type RunKernel } from "./kernels-in-c.js";

/** One graph with the leaves that feed it. */
export interface Case {
  readonly name: string;
  readonly inputs: readonly Node[];
  readonly outputs: readonly Node[];
  readonly dims?: Readonly<Record<string, number>>;
  readonly fill?: (input: Node, shape: readonly number[]) => NdArray;
}

/** The kernels of each group of a case. */
export interface Lowered {
  readonly case: Case;
  readonly graph: Graph;
  readonly groups: readonly { readonly group: Group; readonly kernels: readonly Kernel[] }[];
}

export function lowerCase(c: Case, claims: readonly Template[] = templates, target?: Target): Lowered {
  const here = cCodegen({ arch: cpu().arch, features: cpu().features, parallel: 2 }, claims);
  const codegen = target ? { ...here, target } : here;
  const graph = runPasses({ inputs: c.inputs, state: [], outputs: c.outputs, updates: [] }, standardPasses(codegen));
  const groups = fuse(graph, codegen).groups.map((group) => {
    if (group.kind === "host") throw new Error(`${c.name}: ${group.why.join("; ")}`);
    const kernels = group.template ? group.template.lower(group, codegen.target) : lowerGroup(group, codegen.target);
    return { group, kernels };
  });
  return { case: c, graph, groups };
}

let seed = 1;
/** Begins the random numbers again: a test file gets the same ones, whatever ran before it. */
export function restartRandom(): void {
  seed = 1;
}
export const random = (): number => {
  seed = (seed * 1103515245 + 12345) % 2147483648;
  return seed / 2147483648;
};
/** Values between -2 and 2 (whole numbers for integers). */
export function fill(n: Node, shape: readonly number[]): NdArray {
  const { dtype } = n.type;
  const a = NdArray.of(dtype, shape, () =>
    dtype === "bool"
      ? random() < 0.5
        ? 0
        : 1
      : isFloat(dtype)
        ? random() * 4 - 2
        : dtype.startsWith("u")
          ? Math.floor(random() * 5)
          : Math.floor(random() * 5) - 2,
  );
  return new NdArray(dtype, shape, roundTo(dtype, a.data));
}

/** Runs lowered cases (compiled together) and gives what each computed and what the interpreter says. */
export function runCases(
  list: readonly Lowered[],
  compile: (kernels: readonly Kernel[]) => readonly RunKernel[] = compileKernels,
): { name: string; got: NdArray[]; want: NdArray[]; dtypes: readonly string[] }[] {
  const kernels = [...new Set(list.flatMap((l) => l.groups.flatMap((g) => g.kernels)))];
  const runs = compile(kernels);
  const runOf = new Map(kernels.map((k, i) => [k, runs[i]!]));
  return list.map((l) => {
    const { case: c, graph } = l;
    const dims = c.dims ?? {};
    const concrete = (n: Node): number[] => n.type.shape.map((d) => evaluate(d, dims));
    const feeds = new Map(c.inputs.map((n) => [n, (c.fill ?? fill)(n, concrete(n))]));
    const memory = new Map<Node, Uint8Array>();
    const guard = 64;
    const make = (bytes: number): Uint8Array => new Uint8Array(bytes + 2 * guard).fill(0xa5);
    const inside = (m: Uint8Array): Uint8Array => m.subarray(guard, m.length - guard);
    const all: Uint8Array[] = [];
    const alloc = (n: Node): Uint8Array => {
      const m = make(numelAt(n, dims) * bytesOf(n.type.dtype));
      all.push(m);
      memory.set(n, m);
      return m;
    };
    for (const [n, a] of feeds) inside(alloc(n)).set(toBytes(n.type.dtype, a.data as Float64Array));
    for (const { group, kernels: ks } of l.groups) {
      const scratch = new Map<string, Uint8Array>();
      for (const n of group.outputs) alloc(n);
      for (const k of ks) {
        const args = k.buffers
          .filter((b) => b.space === "global")
          .map((b) => {
            const which = /^(in|out)(\d+)$/.exec(b.name);
            if (which) return inside(memory.get((which[1] === "in" ? group.inputs : group.outputs)[Number(which[2])]!)!);
            let m = scratch.get(b.name);
            if (!m) {
              m = make(evaluate(b.size, dims) * bytesOf(b.dtype));
              all.push(m);
              scratch.set(b.name, m);
            }
            return inside(m);
          });
        runOf.get(k)!(args, dims);
      }
    }
    for (const m of all) {
      for (let i = 0; i < guard; i++)
        if (m[i] !== 0xa5 || m[m.length - 1 - i] !== 0xa5) throw new Error(`${c.name}: wrote outside of a buffer`);
    }
    const got = graph.outputs.map((n, i) => {
      const m = memory.get(storedAs(n, memory));
      if (!m) throw new Error(`${c.name}: output ${i} was not computed`);
      return new NdArray(n.type.dtype, concrete(n), fromBytes(n.type.dtype, inside(m)));
    });
    const want = interpret(c.outputs, feeds, { exact: true, dims });
    return { name: c.name, got, want, dtypes: graph.outputs.map((n) => n.type.dtype) };
  });
}
/** Runs kernels by the kernel interpreter: slow, for any target. */
export const interpretKernels = (kernels: readonly Kernel[]): RunKernel[] =>
  kernels.map((k) => (bytes, dims = {}) => {
    const buffers = k.buffers.filter((b) => b.space === "global");
    const data = buffers.map((b, i) => fromBytes(b.dtype, bytes[i]!));
    interpretKernel(k, data, dims);
    buffers.forEach((b, i) => {
      if (b.writes) bytes[i]!.set(toBytes(b.dtype, data[i]! as Float64Array));
    });
  });
function storedAs(n: Node, memory: ReadonlyMap<Node, unknown>): Node {
  let x = n;
  while (!memory.has(x) && x.op.kind === "movement") x = x.inputs[0]!;
  return x;
}
const numelAt = (n: Node, dims: Readonly<Record<string, number>>): number => evaluate(numel(n.type.shape), dims);

/** The largest error beside the largest magnitude of the expected values; NaN where one is NaN and the other not. */
export function errorOf(got: NdArray, want: NdArray): number {
  let worst = 0;
  let scale = 1e-30;
  for (let i = 0; i < want.data.length; i++) {
    const a = Number(got.data[i]);
    const b = Number(want.data[i]);
    if (Object.is(a, b) || a === b) continue;
    if (Number.isNaN(a) && Number.isNaN(b)) continue;
    if (!Number.isFinite(b) || !Number.isFinite(a)) return Number.POSITIVE_INFINITY;
    worst = Math.max(worst, Math.abs(a - b));
    scale = Math.max(scale, Math.abs(b));
  }
  for (let i = 0; i < want.data.length; i++)
    if (Number.isFinite(Number(want.data[i]))) scale = Math.max(scale, Math.abs(Number(want.data[i])));
  return worst / scale;
}
/** What an error may be, for each dtype. */
export const tolerance = (dtype: string): number => ({ f64: 1e-13, f32: 4e-6, f16: 2e-3, bf16: 1.6e-2 })[dtype] ?? 0;
