import { writeAttrs } from "./attrs.js";
import { type Graph, roots, topo } from "./graph.js";
import type { Node, Op } from "./node.js";
import { mapped, replaceRoots, withInputs } from "./rewrite.js";
import { isOutside } from "./verify.js";

/**
 * Common subexpressions: nodes with equal op, inputs and attributes become one. The table dies with the call. Its keys are the
 * canonical text of the node, so a hit is equality, not just an equal hash. Leaves from outside keep their identity.
 */
export function intern(g: Graph): Graph {
  if (interned.has(g)) return g;
  const result = internNow(g);
  interned.add(result);
  return result;
}
/** Graphs that are as `intern` leaves them. */
const interned = new WeakSet<Graph>();
function internNow(g: Graph): Graph {
  const table = new Map<string, Node>();
  const to = new Map<Node, Node>();
  const ids = new Map<Node, number>();
  const opIds = new Map<Op, number>();
  let same = true;
  const settle = (n: Node, as: Node): void => {
    to.set(n, as);
    if (!ids.has(as)) ids.set(as, ids.size);
  };
  for (const x of g.inputs) settle(x, x);
  for (const x of g.state) settle(x, x);
  for (const n of topo(roots(g))) {
    if (to.has(n)) continue;
    if (isOutside(n)) {
      settle(n, n);
      continue;
    }
    const now = withInputs(n, mapped(n.inputs, to));
    let op = opIds.get(n.op);
    if (op === undefined) opIds.set(n.op, (op = opIds.size));
    let key = `${op}`;
    for (const x of now.inputs) key += ` ${ids.get(x)}`;
    key += writeAttrs(n.attrs);
    const seen = table.get(key);
    if (seen === undefined) table.set(key, now);
    const as = seen ?? now;
    if (as !== n) same = false;
    settle(n, as);
  }
  return same ? g : replaceRoots(g, (n) => to.get(n)!);
}

/**
 * Text that two graphs share exactly when they compute the same thing in the same way: leaves are numbered by their place among
 * inputs and state, their names do not count. Equal subexpressions count once only after `intern`.
 */
export function graphKey(g: Graph): string {
  let key = keys.get(g);
  if (key === undefined) keys.set(g, (key = keyOf(g)));
  return key;
}
const keys = new WeakMap<Graph, string>();
function keyOf(g: Graph): string {
  const ids = new Map<Node, number>();
  const parts: string[] = [];
  const leaf = (n: Node): void => {
    ids.set(n, ids.size);
    parts.push(`${n.type.dtype}${writeAttrs({ shape: n.type.shape })}`);
  };
  g.inputs.forEach(leaf);
  parts.push("state");
  g.state.forEach(leaf);
  for (const n of topo(roots(g))) {
    if (ids.has(n)) continue;
    ids.set(n, ids.size);
    let key = n.op.name;
    for (const x of n.inputs) key += ` ${ids.get(x)}`;
    const attrs = writeAttrs(n.attrs);
    parts.push(attrs === "{}" ? key : key + attrs);
  }
  parts.push(`out ${g.outputs.map((n) => ids.get(n)).join(" ")}`);
  for (const u of g.updates) parts.push(`${ids.get(u.state)}:=${ids.get(u.value)}`);
  return parts.join("\n");
}
