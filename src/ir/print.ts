import { InternalError } from "../core/errors.js";
import { type Dim, show, variables } from "../core/expr.js";
import { writeRanges } from "../core/expr-text.js";
import { showType } from "../core/type.js";
import { writeAttrs } from "./attrs.js";
import { type Graph, roots, topo } from "./graph.js";
import type { Attr, Node } from "./node.js";

/**
 * Text of a graph, one node a line, that `parseGraph` reads back:
 *
 *     graph {
 *       dim n 1 256
 *       %0 = input {dtype="f32", name="x", shape=[<n>, 3]} : f32[n, 3]
 *       %1 = sum(%0) {axes=[1]} : f32[n]
 *       inputs %0
 *       outputs %1
 *     }
 */
export function printGraph(g: Graph): string {
  const nodes = orderOf(g);
  const id = new Map<Node, number>();
  const dims = new Map<string, Dim>();
  const lines: string[] = [];
  for (const n of nodes) {
    id.set(n, id.size);
    for (const t of n.tuple ?? [n.type]) for (const d of t.shape) if (typeof d !== "number") collect(d, dims);
    for (const a of Object.values(n.attrs)) collect(a, dims);
    lines.push(nodeLine(n, id));
  }
  const refs = (list: readonly Node[]): string => list.map((n) => ` %${id.get(n)}`).join("");
  const head = writeRanges(dims).map((range) => `dim ${range}`);
  const tail = [`inputs${refs(g.inputs)}`, ...(g.state.length ? [`state${refs(g.state)}`] : []), `outputs${refs(g.outputs)}`];
  const updates = g.updates.map((u) => `update${refs([u.state])} :=${refs([u.value])}`);
  return `graph {\n${[...head, ...lines, ...tail, ...updates].map((l) => `  ${l.replaceAll("\n", "\n  ")}\n`).join("")}}`;
}

/** Inputs, state, then every other node, inputs before users. */
function orderOf(g: Graph): Node[] {
  return topo([...g.inputs, ...g.state, ...roots(g)]);
}

/** One node as `printGraph` writes it. */
function nodeLine(n: Node, id: ReadonlyMap<Node, number>): string {
  const inputs = n.inputs.length ? `(${n.inputs.map((x) => `%${id.get(x) ?? "?"}`).join(", ")})` : "";
  const attrs = writeAttrs(n.attrs, false);
  const type = n.tuple ? `(${n.tuple.map(showType).join(", ")})` : showType(n.type);
  return `%${id.get(n) ?? "?"} = ${n.op.name}${inputs}${attrs === "{}" ? "" : ` ${attrs}`} : ${type}`;
}

/** Variables of the expressions in an attribute; a nested graph declares its own. */
function collect(a: Attr, into: Map<string, Dim>): void {
  if (a === null || typeof a !== "object") return;
  if (Array.isArray(a)) {
    for (const x of a as readonly Attr[]) collect(x, into);
    return;
  }
  if (!("terms" in a)) return;
  for (const [name, v] of variables(a)) {
    const seen = into.get(name);
    if (seen === undefined) into.set(name, v);
    else if (seen !== v) throw new InternalError(`print: two dims are called ${name} (${show(seen)} and ${show(v)} differ in range)`);
  }
}
