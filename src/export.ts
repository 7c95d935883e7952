/** From functions of tensors to a `.pie` file: each becomes a method, and the tensors that they touch become shared state. */
import { compile } from "./compile/index.js";
import { ArgumentError, FormatError, UnsupportedError } from "./core/errors.js";
import { hi, lo, variables } from "./core/expr.js";
import { byteLength } from "./core/ndarray.js";
import { isStatic, showType, type TensorType } from "./core/type.js";
import type { Graph } from "./ir/graph.js";
import { intern } from "./ir/intern.js";
import { parseGraph } from "./ir/parse.js";
import { printGraph } from "./ir/print.js";
import type { Codegen } from "./kernel/codegen.js";
import type { Module } from "./nn/index.js";
import type { DimRange, Port, Program } from "./runtime/program.js";
import { type Pie, type PieContents, type PieMethod, type PieState, writePie } from "./runtime/public.js";
import type { CompileMethod } from "./runtime/session.js";
import { HostTensor } from "./runtime/tensor.js";
import type { Cell } from "./tensor/cell.js";
import { flatten } from "./tensor/compile/values.js";
import type { Dynamic } from "./tensor/index.js";
import { noGrad, Tensor, traceFunction } from "./tensor/index.js";

/** One method to export: a function, and tensors that show the shapes and dtypes of its arguments. */
export interface MethodSpec {
  readonly fn: (...args: never[]) => Tensor | readonly Tensor[] | Readonly<Record<string, Tensor>>;
  /** Arguments by name, in the order in which `fn` takes them. */
  readonly inputs: Readonly<Record<string, Tensor>>;
  /** Axes whose size may change, by argument: `{ tokens: { 1: { min: 1, max: 128 } } }`. */
  readonly dynamic?: Readonly<Record<string, Readonly<Record<number, { readonly min: number; readonly max: number }>>>>;
}
/** What an exported file carries besides its graphs. */
export interface ExportOptions {
  /** Names the state: a tensor of the module is called as in its state dict. */
  readonly module?: Module;
  /** More names for tensors that the methods touch. */
  readonly state?: Readonly<Record<string, Tensor>>;
  /** Backends to compile for; none: the graph alone, which the full package compiles when it opens the file. */
  readonly targets?: readonly Codegen[];
  /** Also store machine code for the targets that have it, for machines without their compiler. */
  readonly binary?: boolean;
  /** Steps that the reference interpreter would run are refused unless this is true. */
  readonly allowHostSteps?: boolean;
  readonly metadata?: Readonly<Record<string, string>>;
}

/** Records the methods and gathers what the file holds. */
export async function exportContents(methods: Readonly<Record<string, MethodSpec>>, options: ExportOptions = {}): Promise<PieContents> {
  const names = namesOf(options);
  checkTargets(options);
  const state = new Map<string, HostTensor>();
  const nameOf = new Map<Cell, string>();
  const made: PieMethod[] = [];
  for (const [name, spec] of Object.entries(methods)) {
    const inputNames = Object.keys(spec.inputs);
    const dynamic: Dynamic = inputNames.map((n) => spec.dynamic?.[n]);
    const { recording: r } = noGrad(() => traceFunction(spec.fn, Object.values(spec.inputs), { dynamic }));
    if (r.trace.host.length)
      throw new UnsupportedError(
        `export: method ${name} asks the host for numbers at each call (random numbers, learning rates); pass them as arguments instead`,
      );
    if (r.changed.length)
      throw new UnsupportedError(
        `export: method ${name} changes its argument ${inputNames[r.changed[0]!.argument]} in place; return the new value instead`,
      );
    if (r.feeds.length || r.packs.length)
      throw new UnsupportedError(
        `export: method ${name} makes tensors from host values while it runs; make them outside, so that they become state`,
      );
    // In the file, whatever is not an argument is state: what is only read keeps its first value.
    const captured = [...r.read, ...r.written];
    for (const c of captured) {
      if (nameOf.has(c.cell)) continue;
      const label = names.get(c.cell) ?? `tensor${nameOf.size}`;
      const t = new Tensor(c.cell);
      nameOf.set(c.cell, label);
      state.set(label, new HostTensor(t.dtype, t.shape, await t.bytes()));
    }
    const graph: Graph = intern({
      inputs: r.argumentLeaves,
      state: captured.map((c) => c.leaf),
      outputs: r.results.map((x, i) => {
        if (x.kind === "output") return r.graph.outputs[x.index]!;
        if (x.kind === "argument") return r.argumentLeaves[x.index]!;
        throw new UnsupportedError(`export: result ${i} of method ${name} is a tensor from outside; return a value computed from it`);
      }),
      updates: r.graph.updates,
    });
    const outputs = outputNames(r.value).map((n, i) => ({ name: n, type: graph.outputs[i]!.type }));
    const inputs = inputNames.map((n, i) => ({ name: n, type: graph.inputs[i]!.type }));
    const stateNames = captured.map((c) => nameOf.get(c.cell)!);
    const dims = dimsOf(graph);
    const programs = await programsFor(name, options, (codegen) =>
      named(
        compile(graph, codegen, { name }),
        name,
        inputNames,
        stateNames,
        outputs.map((o) => o.name),
      ),
    );
    made.push({ name, dims, inputs, outputs, state: stateNames, graph: printGraph(graph), programs });
  }
  return { producer: "treepie", methods: made, state, ...(options.metadata && { metadata: options.metadata }) };
}

/** Writes the methods as a `.pie` file. */
export async function exportPie(file: string, methods: Readonly<Record<string, MethodSpec>>, options: ExportOptions = {}): Promise<void> {
  writePie(file, await exportContents(methods, options));
}

/** A file's methods compiled anew from their graphs, with its state: what it carried of programs is not kept. */
export async function recompiled(pie: Pie, options: Pick<ExportOptions, "targets" | "binary" | "allowHostSteps">): Promise<PieContents> {
  checkTargets(options);
  const methods: PieMethod[] = [];
  for (const m of pie.methods.values())
    methods.push({ ...m, programs: await programsFor(m.name, options, (codegen) => programOf(codegen, m)) });
  const state = new Map<string, HostTensor | PieState>();
  for (const s of pie.state.values()) {
    const bytes = new Uint8Array(byteLength(s.dtype, s.shape));
    if (s.blob !== undefined) {
      await pie.load(s.blob, 0, bytes.length);
      pie.readInto(s.blob, 0, bytes);
      pie.release(s.blob, 0, bytes.length);
    }
    state.set(s.name, s.blob === undefined ? s : new HostTensor(s.dtype, s.shape, bytes));
  }
  return { producer: "treepie", methods, state, metadata: pie.metadata };
}

/** One program for each target, and its machine code where that is asked for. */
async function programsFor(
  method: string,
  options: Pick<ExportOptions, "targets" | "binary" | "allowHostSteps">,
  make: (codegen: Codegen) => Program,
): Promise<Program[]> {
  const programs: Program[] = [];
  for (const codegen of options.targets ?? []) {
    const program = make(codegen);
    const host = program.steps.flatMap((s) => (s.kind === "host" ? [s.call] : []));
    if (host.length && !options.allowHostSteps)
      throw new UnsupportedError(
        `export: method ${method} for ${codegen.name} needs the reference interpreter for ${[...new Set(host)].join(", ")}, which the small runtime does not have; allow it with allowHostSteps`,
      );
    if (options.binary && codegen.binary) programs.push(await codegen.binary(program));
    programs.push(program);
  }
  return programs;
}
function checkTargets(options: ExportOptions): void {
  if (options.binary && !options.targets?.some((t) => t.binary))
    throw new ArgumentError("export: binary needs a target with machine code (c) among the targets");
}

/** Compiles a method's graph when a file without a fitting program is opened: `Session.open(file, { device, compile: compileMethod(codegen) })`. */
export const compileMethod =
  (codegen: Codegen): CompileMethod =>
  (method) =>
    programOf(codegen, method);

function programOf(codegen: Codegen, method: PieMethod): Program {
  const graph = parseGraph(method.graph);
  if (
    graph.inputs.length !== method.inputs.length ||
    graph.state.length !== method.state.length ||
    graph.outputs.length !== method.outputs.length
  )
    throw new FormatError(`the graph of ${method.name} does not have the inputs, state and outputs that the file names`);
  return named(
    compile(graph, codegen, { name: method.name }),
    method.name,
    method.inputs.map((p) => p.name),
    method.state,
    method.outputs.map((p) => p.name),
  );
}

const rename = (ports: readonly Port[], names: readonly string[]): Port[] => ports.map((p, i) => ({ ...p, name: names[i]! }));
const named = (p: Program, name: string, inputs: readonly string[], state: readonly string[], outputs: readonly string[]): Program => ({
  ...p,
  name,
  inputs: rename(p.inputs, inputs),
  state: rename(p.state, state),
  outputs: rename(p.outputs, outputs),
});
function namesOf(options: ExportOptions): Map<Cell, string> {
  const names = new Map<Cell, string>();
  for (const [name, t] of [
    ...(options.module?.namedParameters() ?? []),
    ...(options.module?.namedBuffers() ?? []),
    ...Object.entries(options.state ?? {}),
  ]) {
    if ([...names.values()].includes(name)) throw new ArgumentError(`export: two tensors are called ${name}`);
    names.set(t.cell, name);
  }
  return names;
}
/** `out0`, `out1`, ... for a tensor or a list; the keys of an object. */
function outputNames(value: unknown): string[] {
  if (value instanceof Tensor || Array.isArray(value))
    return flatten(value).tensors.map((_, i) => (value instanceof Tensor ? "out" : `out${i}`));
  const entries = Object.entries(value as Record<string, unknown>);
  const odd = entries.find(([, v]) => !(v instanceof Tensor));
  if (odd) throw new ArgumentError(`export: result ${odd[0]} is not a tensor; return a tensor, a list of them, or an object of them`);
  return entries.map(([k]) => k);
}
function dimsOf(g: Graph): DimRange[] {
  const found = new Map<string, DimRange>();
  for (const n of g.inputs)
    for (const d of n.type.shape) for (const [name, v] of variables(d)) found.set(name, { name, min: lo(v), max: hi(v) });
  for (const n of g.state)
    if (!isStatic((n.type satisfies TensorType).shape)) throw new UnsupportedError(`export: state of changing size: ${showType(n.type)}`);
  return [...found.values()];
}
