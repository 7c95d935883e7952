/** Turns recorded nodes into a graph that runs: realised values become inputs, numbers one packed input for each dtype. */

import { toBytes } from "../core/convert.js";
import type { DType } from "../core/dtype.js";
import { InternalError, TraceError } from "../core/errors.js";
import type { Graph, Update } from "../ir/graph.js";
import type { Node } from "../ir/node.js";
import { reshape, slice } from "../ops/movement.js";
import { input, inputOp } from "../ops/source.js";
import type { Engine } from "./engine.js";
import { filled } from "./fill.js";
import { toKeep } from "./longlived.js";
import { settleCell } from "./pending.js";
import { type HostLiteral, literalOf, Storage, setStorage, storageOf } from "./storage.js";
import { isTracking } from "./track.js";

/** Numbers of one dtype that a program takes as one vector. */
export interface Pack {
  readonly leaf: Node;
  readonly literals: readonly HostLiteral[];
}
/** A graph, with where its inputs come from. */
export interface Plan {
  readonly graph: Graph;
  /** Realised values, for the first inputs. */
  readonly feeds: readonly Storage[];
  /** Packed numbers, for the inputs after them. */
  readonly packs: readonly Pack[];
  /** What each wanted node became. */
  readonly results: readonly Node[];
  /** The recorded nodes that run, inputs before users. */
  readonly order: readonly Node[];
}

/**
 * The graph of `wanted` and `updates`. Nodes in `leaves` stay as they are: they are the caller's inputs and state, and come first.
 */
export function plan(
  wanted: readonly Node[],
  inputs: readonly Node[] = [],
  state: readonly Node[] = [],
  updates: readonly Update[] = [],
): Plan {
  const to = new Map<Node, Node>();
  for (const n of inputs) to.set(n, n);
  for (const n of state) to.set(n, n);
  const feeds: Storage[] = [];
  const fed = new Map<Storage, Node>();
  const numbers = new Map<DType, { node: Node; literal: HostLiteral }[]>();
  const order = pending([...wanted, ...updates.map((u) => u.value)], to);
  for (const n of order) {
    const literal = literalOf(n);
    if (literal) {
      const list = numbers.get(n.type.dtype);
      if (list) list.push({ node: n, literal });
      else numbers.set(n.type.dtype, [{ node: n, literal }]);
      continue;
    }
    const storage = storageOf(n);
    if (storage) {
      let leaf = fed.get(storage);
      if (!leaf) {
        leaf = input(n.type, `x${feeds.length}`);
        fed.set(storage, leaf);
        feeds.push(storage);
      }
      to.set(n, leaf);
    }
  }
  const packs: Pack[] = [];
  for (const [dtype, list] of numbers) {
    const size = list.reduce((n, x) => n + x.literal.values.length, 0);
    const leaf = input({ shape: [size], dtype }, `numbers_${dtype}`);
    let at = 0;
    for (const { node, literal } of list) {
      to.set(node, reshape(slice(leaf, [at], [literal.values.length]), node.type.shape));
      at += literal.values.length;
    }
    packs.push({ leaf, literals: list.map((x) => x.literal) });
  }
  for (const n of order) {
    if (to.has(n)) continue;
    if (isTracking(n)) to.set(n, to.get(n.inputs[0]!)!);
    else if ((n.op as unknown) === inputOp)
      throw new TraceError("a tensor that was made inside a compiled function is used outside of it; return it from the function instead");
    else to.set(n, renewed(n, to));
  }
  const now = (n: Node): Node => {
    const m = to.get(n);
    if (!m) throw new InternalError(`plan: a node of ${n.op.name} was not reached`);
    return m;
  };
  const results = wanted.map(now);
  const graph: Graph = {
    inputs: [...inputs, ...fed.values(), ...packs.map((p) => p.leaf)],
    state,
    outputs: results,
    updates: updates.map((u) => ({ state: u.state, value: now(u.value) })),
  };
  return { graph, feeds, packs, results, order };
}

/** Nodes that have to run, inputs before users; realised nodes and numbers are listed, what lies behind them is not. */
function pending(roots: readonly Node[], border: ReadonlyMap<Node, Node>): Node[] {
  const seen = new Set<Node>();
  const out: Node[] = [];
  const stack: Node[] = [];
  const next: number[] = [];
  const visit = (n: Node): void => {
    if (seen.has(n) || border.has(n)) return;
    seen.add(n);
    stack.push(n);
    next.push(storageOf(n) || literalOf(n) ? n.inputs.length : 0);
  };
  for (const root of roots) {
    visit(root);
    while (stack.length) {
      const n = stack[stack.length - 1]!;
      const i = next[next.length - 1]!++;
      if (i < n.inputs.length) visit(n.inputs[i]!);
      else {
        stack.pop();
        next.pop();
        out.push(n);
      }
    }
  }
  return out;
}
/** The node over mapped inputs. Always a new one: a graph outlives its call, and must not keep values alive that belong to its nodes. */
const renewed = (n: Node, to: ReadonlyMap<Node, Node>): Node => ({ ...n, inputs: n.inputs.map((x) => to.get(x)!) });

/** Numbers as one vector; `current` has those of a trace, by slot. */
export function packed(p: Pack, current?: readonly (readonly (number | bigint)[])[]): Storage {
  const values: (number | bigint)[] = new Array(p.leaf.type.shape[0] as number);
  let at = 0;
  for (const l of p.literals) {
    const now = l.slot !== undefined && current ? current[l.slot]! : l.values;
    for (let i = 0; i < now.length; i++) values[at++] = now[i]!;
  }
  return new Storage(p.leaf.type, toBytes(p.leaf.type.dtype, values));
}

/** A value to be replaced by another in the memory that it has. */
export interface Replacement {
  readonly before: Node;
  readonly value: Node;
}

/**
 * Makes the values of nodes exist, in one program; does not wait. `replace` lists values that may be written over the ones they
 * take the place of, where no recorded node still reads those.
 */
export function submit(engine: Engine, nodes: readonly Node[], replace: readonly Replacement[] = []): Promise<void> {
  const wanted = [...new Set(nodes)].filter((n) => !storageOf(n));
  const free: { before: Storage; value: Node; state: Node }[] = [];
  const seen = new Set<Storage>();
  for (const { before, value } of replace) {
    const s = storageOf(before);
    if (storageOf(value)) continue;
    if (s && !s.pinned && !s.shared && !s.gone && !seen.has(s) && !s.job?.failed) {
      seen.add(s);
      free.push({ before: s, value, state: before });
    } else if (!wanted.includes(value)) wanted.push(value);
  }
  for (const n of wanted) {
    const literal = literalOf(n);
    const made = literal ? new Storage(n.type, toBytes(n.type.dtype, literal.values)) : filled(engine, n);
    if (made) setStorage(n, made);
  }
  const overwritten = new Set(free.map((f) => f.value));
  const rest = wanted.filter((n) => !storageOf(n) && !overwritten.has(n));
  if (rest.length === 0 && free.length === 0) return waitFor(nodes);
  const p = plan(
    rest,
    [],
    free.map((f) => f.state),
    free.map((f) => ({ state: f.state, value: f.value })),
  );
  const kept = toKeep(p.order, new Set([...rest, ...overwritten]));
  if (kept.length) {
    submit(
      engine,
      kept.map((k) => k.node),
    );
    for (const k of kept) settleCell(k.cell);
    return submit(engine, nodes, replace);
  }
  // A value that is also read under another name must survive.
  const alsoRead = free.filter((f) => p.feeds.includes(f.before));
  if (alsoRead.length) {
    for (const f of alsoRead) f.before.pinned = true;
    return submit(engine, nodes, replace);
  }
  // Several wanted nodes may be one value, or an input that already exists.
  const outputs = new Map<Node, Storage>();
  const found: (readonly [Node, Storage])[] = [];
  const at = new Map<Node, Storage>(p.feeds.map((s, i) => [p.graph.inputs[i]!, s]));
  rest.forEach((n, i) => {
    const result = p.results[i]!;
    const known = at.get(result) ?? outputs.get(result);
    if (known) known.shared = true;
    else outputs.set(result, new Storage(n.type));
    found.push([n, known ?? outputs.get(result)!]);
  });
  const states = free.map((f) => f.before);
  const becomes = free.map((f) => new Storage(f.value.type));
  free.forEach((f, i) => void found.push([f.value, becomes[i]!]));
  const runs = outputs.size > 0 || states.length > 0;
  // Compiling may fail: only then do the nodes get their values.
  const prepared = runs ? engine.prepare({ ...p.graph, outputs: [...outputs.keys()] }) : undefined;
  for (const [n, s] of found) setStorage(n, s);
  if (!prepared) return waitFor(nodes);
  const inputs = [...p.feeds, ...p.packs.map((x) => packed(x))];
  return engine.enqueue({ prepared, inputs, states, becomes, outputs: [...outputs.values()], name: "lazy" }).done;
}
async function waitFor(nodes: readonly Node[]): Promise<void> {
  for (const n of nodes) await storageOf(n)?.job?.done;
}
