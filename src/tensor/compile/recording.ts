/** A function recorded once: a graph, where its inputs come from, and where its values go. */
import { TraceError } from "../../core/errors.js";
import { withNumbers } from "../../core/expr.js";
import type { Graph } from "../../ir/graph.js";
import type { Node } from "../../ir/node.js";
import { input } from "../../ops/source.js";
import { Cell } from "../cell.js";
import { zerosLike } from "../create.js";
import { type Pack, plan } from "../evaluate.js";
import { watching } from "../fields.js";
import { mode, mustBeSynchronous, scoped } from "../mode.js";
import { outsideTrace } from "../step.js";
import type { Storage } from "../storage.js";
import { Tensor } from "../tensor.js";
import { type Sizes, tracedShape } from "./sizes.js";
import { type Captured, Trace } from "./trace.js";
import { flatten, rebuild } from "./values.js";

/** Where a tensor of the result comes from. */
export type Result =
  | { readonly kind: "output"; readonly index: number; readonly released: boolean }
  | { readonly kind: "argument"; readonly index: number }
  /** A tensor from outside: given back as it is. */
  | { readonly kind: "outside"; readonly tensor: Tensor };

export interface Recording {
  readonly graph: Graph;
  readonly trace: Trace;
  /** Inputs of the graph, in order: arguments, cells that are only read, realised values, packed numbers. */
  readonly argumentLeaves: readonly Node[];
  readonly read: readonly Captured[];
  readonly feeds: readonly Storage[];
  readonly packs: readonly Pack[];
  /** State of the graph: cells that are written. */
  readonly written: readonly Captured[];
  /** What the function gave back, with tensors to be replaced in order. */
  readonly value: unknown;
  readonly results: readonly Result[];
  /** Arguments that were changed in place, and the output that is their new value. */
  readonly changed: readonly { readonly argument: number; readonly output: number }[];
  /** Gradients of leaves that the function set: null, or the tensor that is updated. */
  readonly grads: readonly { readonly leaf: Tensor; readonly grad: Tensor | null }[];
  /** Gradients of arguments. */
  readonly argumentGrads: readonly { readonly argument: number; readonly output: number | null }[];
}

/** Gradients that calls of one compiled function keep, each in memory of its own. */
export type Kept = WeakMap<Tensor, Tensor>;

/** Calls `fn` once on stand-ins for its arguments. Nothing on the host is changed, so a recording that fails may be tried again. */
export function recordFunction(
  fn: (...args: never[]) => unknown,
  args: readonly unknown[],
  tensors: readonly Tensor[],
  sizes: Sizes,
  kept: Kept,
  known?: Readonly<Record<string, number>>,
): Recording {
  const trace = new Trace(known);
  // Asked before the trace begins: inside it, the question would capture the caller's tensors.
  const wanted = tensors.map((t) => t.isLeaf && t.requiresGrad);
  trace.lazy = mode.grad && tensors.some((t) => t.requiresGrad && !t.isLeaf);
  return scoped("compile", { trace }, () => {
    const argumentLeaves = tensors.map((t, i) => input({ shape: tracedShape(sizes, i), dtype: t.dtype }, `a${i}`));
    const stands = tensors.map((t, i) => {
      const stand = new Tensor(new Cell(argumentLeaves[i]!, t.cell.device));
      return wanted[i] ? stand.requiresGrad_() : stand;
    });
    let next = 0;
    const inside = rebuild(args, () => stands[next++]!) as never[];
    const value = withNumbers(
      (e) => trace.numberOf(e),
      () => watching(trace.watcher, () => mustBeSynchronous("compile", fn(...inside))),
    );
    return finish(trace, value, stands, argumentLeaves, kept);
  });
}

function finish(trace: Trace, value: unknown, stands: readonly Tensor[], argumentLeaves: readonly Node[], kept: Kept): Recording {
  const outputs: Node[] = [];
  const outputOf = (n: Node): number => {
    const known = outputs.indexOf(n);
    return known >= 0 ? known : outputs.push(n) - 1;
  };
  const changed = stands.flatMap((s, i) => (s.cell.value === argumentLeaves[i] ? [] : [{ argument: i, output: outputOf(s.cell.value) }]));
  const argumentGrads: { argument: number; output: number | null }[] = [];
  const grads: { leaf: Tensor; grad: Tensor | null }[] = [];
  for (const [leaf, g] of trace.grads) {
    const argument = stands.indexOf(leaf);
    if (argument >= 0) argumentGrads.push({ argument, output: g && outputOf(g.value()) });
    else if (g === null || !g.cell.trace) grads.push({ leaf, grad: g });
    else {
      let own = kept.get(leaf);
      if (!own) kept.set(leaf, (own = outsideTrace(() => zerosLike(leaf))));
      trace.capture(own.cell).value = g.value();
      grads.push({ leaf, grad: own });
    }
  }
  const results = flatten(value).tensors.map((t): Result => {
    const argument = stands.indexOf(t);
    if (argument >= 0) return { kind: "argument", index: argument };
    if (t.cell.trace !== trace && t.value() === trace.read(t.cell)) return { kind: "outside", tensor: t };
    if (t.cell.trace && t.cell.trace !== trace)
      throw new TraceError("compile: a result comes from another compiled function that is being recorded");
    const grad = mode.grad && t.requiresGrad;
    if (grad && !trace.backwardRan) trace.lazy = true;
    return { kind: "output", index: outputOf(t.value()), released: grad };
  });
  const captured = [...trace.captured.values()];
  const written = captured.filter((c) => c.value !== c.leaf);
  const read = captured.filter((c) => c.value === c.leaf);
  const p = plan(
    outputs,
    [...argumentLeaves, ...read.map((c) => c.leaf)],
    written.map((c) => c.leaf),
    written.map((c) => ({ state: c.leaf, value: c.value })),
  );
  return {
    graph: p.graph,
    trace,
    argumentLeaves,
    read,
    feeds: p.feeds,
    packs: p.packs,
    written,
    value,
    results,
    changed,
    grads,
    argumentGrads,
  };
}
