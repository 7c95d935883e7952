import { type Graph, roots, topo } from "./graph.js";
import { type Attrs, make, type Node, type Op } from "./node.js";
import { verifyGraph } from "./verify.js";

/** A named step from graph to graph. Inputs and state keep their identity and order. */
export interface Pass {
  readonly name: string;
  run(g: Graph): Graph;
}

/** One local rewrite. `undefined` declines. Keyed by op, so that attributes are typed and dispatch is a Map lookup. */
export interface Rule {
  readonly op: Op;
  readonly apply: (n: Node) => Node | undefined;
}
export const on = <I extends readonly Node[], A extends Attrs>(
  op: Op<I, A>,
  apply: (n: Node<A>, ...inputs: I) => Node | undefined,
): Rule => ({
  op: op as unknown as Op,
  apply: (n) => apply(n as unknown as Node<A>, ...(n.inputs as unknown as I)),
});

/** A pass that applies rules bottom-up until none applies. */
export function rules(name: string, list: readonly Rule[]): Pass {
  const table = new Map<Op, Rule[]>();
  for (const r of list) {
    const seen = table.get(r.op);
    if (seen) seen.push(r);
    else table.set(r.op, [r]);
  }
  return { name, run: (g) => applyRules(g, (op) => table.get(op)) };
}

/** Applies the rules of each node's op bottom-up; what they build is seen again in the next round. */
function applyRules(g: Graph, rulesOf: (op: Op) => readonly Rule[] | undefined, rounds = 8): Graph {
  for (let round = 0; round < rounds; round++) {
    let changed = false;
    g = mapGraph(g, (n) => {
      for (let i = 0; i < 100; i++) {
        const next = firstRewrite(n, rulesOf(n.op));
        if (!next || next === n) break;
        n = next;
        changed = true;
      }
      return n;
    });
    if (!changed) break;
  }
  return g;
}
function firstRewrite(n: Node, list: readonly Rule[] | undefined): Node | undefined {
  if (list)
    for (const r of list) {
      const next = r.apply(n);
      if (next && next !== n) return next;
    }
  return undefined;
}

/** Rebuilds a graph bottom-up: `f` gets each node with its inputs already mapped. Inputs and state stay. */
export function mapGraph(g: Graph, f: (n: Node) => Node): Graph {
  const to = new Map<Node, Node>();
  for (const x of g.inputs) to.set(x, x);
  for (const x of g.state) to.set(x, x);
  let same = true;
  for (const n of topo(roots(g))) {
    if (to.has(n)) continue;
    const next = f(withInputs(n, mapped(n.inputs, to)));
    if (next !== n) same = false;
    to.set(n, next);
  }
  return same ? g : replaceRoots(g, (n) => to.get(n)!);
}
/** The same graph with other roots. */
export const replaceRoots = (g: Graph, f: (n: Node) => Node): Graph => ({
  ...g,
  outputs: g.outputs.map(f),
  updates: g.updates.map((u) => ({ state: u.state, value: f(u.value) })),
});

/** `list` itself when no element changes. */
export function mapped(list: readonly Node[], to: ReadonlyMap<Node, Node>): readonly Node[] {
  for (let i = 0; i < list.length; i++) if (to.get(list[i]!) !== list[i]) return list.map((x) => to.get(x)!);
  return list;
}

/** The node over other inputs; its type is inferred again only where an input's type changed. */
export function withInputs(n: Node, inputs: readonly Node[]): Node {
  if (inputs === n.inputs) return n;
  for (let i = 0; i < inputs.length; i++) if (!sameType(inputs[i]!, n.inputs[i]!)) return make(n.op, inputs, n.attrs);
  return n.tuple ? { op: n.op, inputs, attrs: n.attrs, type: n.type, tuple: n.tuple } : { op: n.op, inputs, attrs: n.attrs, type: n.type };
}
function sameType(a: Node, b: Node): boolean {
  if (a.type === b.type) return true;
  if (a.type.dtype !== b.type.dtype || a.type.shape.length !== b.type.shape.length) return false;
  for (let i = 0; i < a.type.shape.length; i++) if (a.type.shape[i] !== b.type.shape[i]) return false;
  return true;
}

export interface PassOptions {
  /** Verify the graph before the first pass and after each one. */
  readonly verify?: boolean;
  /** Called with the result of each pass, for dumps. */
  readonly after?: (pass: string, g: Graph) => void;
}
/** Runs passes in order. */
export function runPasses(g: Graph, passes: readonly Pass[], options: PassOptions = {}): Graph {
  if (options.verify) verifyGraph(g, "before the first pass");
  for (const p of passes) {
    g = p.run(g);
    options.after?.(p.name, g);
    if (options.verify) verifyGraph(g, `after ${p.name}`);
  }
  return g;
}
