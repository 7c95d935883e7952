/**
 * Derived state: what a step computes of one state alone and that state's new value would give the next step. It is kept beside the
 * state and written by the kernel that updates it, which has each new value in a register.
 */
import { bytesOf, isFloat } from "../core/dtype.js";
import { numel } from "../core/type.js";
import { type Graph, roots, topo, type Update } from "../ir/graph.js";
import { is, make, type Node } from "../ir/node.js";
import { mapped, replaceRoots, withInputs } from "../ir/rewrite.js";
import { cast, castOp } from "../ops/cast.js";
import { whereOp } from "../ops/comparison.js";
import { expandOp, permuteOp, reshapeOp } from "../ops/movement.js";
import { input } from "../ops/source.js";
import { worthWriting } from "./atoms.js";

/** A value that stands beside a state: the state as a narrower dtype. */
export interface Derived {
  /** Which state of the graph it comes from. */
  readonly of: number;
  /** Its own leaf, among the state behind all that was there before. */
  readonly leaf: Node;
}
/** A graph that reads what its calls before kept. */
export interface WithDerived {
  readonly graph: Graph;
  readonly derived: readonly Derived[];
}

/** Index maps that keep every element: before a cast or after it, they give the same. */
const keepsAll = (n: Node): boolean => is(n, permuteOp) || is(n, reshapeOp) || is(n, expandOp);

/** Takes the narrow casts of states that the graph itself updates out of it: only there the copy is written where the value is at hand. */
export function keepDerived(g: Graph): WithDerived {
  const updated = new Map<Node, Update>();
  for (const u of g.updates) if (worthKeeping(u.state) && writesAll(u)) updated.set(u.state, u);
  const derived: Derived[] = [];
  const found = new Map<string, Node>();
  const kept = (n: Node): Node | undefined => {
    if (!is(n, castOp)) return undefined;
    const { dtype } = n.attrs;
    const views: Node[] = [];
    let from = n.inputs[0]!;
    for (; keepsAll(from); from = from.inputs[0]!) views.push(from);
    if (!updated.has(from) || !isFloat(dtype) || bytesOf(dtype) >= bytesOf(from.type.dtype)) return undefined;
    const of = g.state.indexOf(from);
    const key = `${of} ${dtype}`;
    let leaf = found.get(key);
    if (!leaf) {
      leaf = input({ shape: from.type.shape, dtype }, `${String(from.attrs.name)}_${dtype}`);
      found.set(key, leaf);
      derived.push({ of, leaf });
    }
    return views.reduceRight((x, v) => make(v.op, [x], v.attrs), leaf);
  };
  const to = new Map<Node, Node>();
  for (const x of [...g.inputs, ...g.state]) to.set(x, x);
  for (const n of topo(roots(g))) if (!to.has(n)) to.set(n, kept(n) ?? withInputs(n, mapped(n.inputs, to)));
  if (!derived.length) return { graph: g, derived };
  const now = replaceRoots(g, (n) => to.get(n)!);
  const updates = derived.map(({ of, leaf }): Update => {
    const { value } = now.updates.find((u) => u.state === g.state[of])!;
    return { state: leaf, value: cast(value, leaf.type.dtype) };
  });
  return { graph: { ...now, state: [...g.state, ...derived.map((d) => d.leaf)], updates: [...now.updates, ...updates] }, derived };
}

/** Floats of fixed sizes, of which a copy is worth a kernel. */
function worthKeeping(n: Node): boolean {
  const size = numel(n.type.shape);
  return isFloat(n.type.dtype) && typeof size === "number" && size >= worthWriting;
}
/** Whether an update computes every element anew: a cache that takes a few rows would have to be read whole for its copy. */
function writesAll({ state, value }: Update): boolean {
  if (value.op.kind !== "elementwise") return false;
  const [condition, ...branches] = value.inputs;
  return !is(value, whereOp) || !branches.includes(state) || numel(baseOf(condition!).type.shape) === 1;
}
function baseOf(n: Node): Node {
  let x = n;
  while (keepsAll(x)) x = x.inputs[0]!;
  return x;
}
