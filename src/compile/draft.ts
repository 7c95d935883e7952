/** A group of atoms while it grows, and the group that it becomes. */
import { type Dim, mul } from "../core/expr.js";
import { numel, type Shape } from "../core/type.js";
import type { Node } from "../ir/node.js";
import type { Template } from "../kernel/codegen.js";
import type { Group, Space } from "../kernel/group.js";
import type { Atom, Atoms } from "./atoms.js";

/** A group while it grows. */
export interface Draft {
  readonly id: number;
  readonly atoms: Atom[];
  kind: Atom["kind"];
  /** Elements of the iteration space. */
  size: Dim;
  /** reduce: what is kept and what is reduced, and how many rows. */
  pattern?: string;
  rows?: Dim;
  readonly template?: Template;
  /** Drafts whose values this one reads, and those that read its values. */
  readonly deps: Set<Draft>;
  readonly users: Set<Draft>;
  /** More than the level of every dep. */
  level: number;
  nodes: number;
  /** Where the iteration space is cut into axes. */
  cuts: ReadonlySet<Dim>;
  /** Reductions, and the longest chain of them. */
  reductions: number;
  sweeps: number;
  readonly why: string[];
}

/** A draft of one atom. */
export function newDraft(a: Atom, id: number): Draft {
  return {
    id,
    atoms: [a],
    kind: a.kind,
    size: a.size,
    ...(a.pattern !== undefined && { pattern: a.pattern, rows: numel(a.node.type.shape) }),
    ...(a.template && { template: a.template }),
    deps: new Set(),
    users: new Set(),
    level: 0,
    nodes: a.nodes.length,
    cuts: cutsOf((a.kind === "reduce" ? a.node.inputs[0]! : a.node).type.shape),
    reductions: a.kind === "reduce" ? 1 : 0,
    sweeps: a.kind === "reduce" ? 1 : 0,
    why: [...a.why],
  };
}

/** The group that a draft becomes. */
export function groupOf(d: Draft, { position, readers, roots, of }: Atoms): Group {
  const mine = new Set(d.atoms);
  const nodes = new Set<Node>();
  const inputs = new Set<Node>();
  const outputs: Node[] = [];
  for (const a of d.atoms.sort((x, y) => x.order - y.order)) {
    for (const n of a.nodes) nodes.add(n);
    if (a.node.tuple) for (const v of a.values) nodes.add(v);
    for (const v of a.values) if (a.node.tuple || roots.has(v) || (readers.get(v) ?? []).some((r) => !mine.has(r))) outputs.push(v);
  }
  for (const a of d.atoms)
    for (const r of a.reads.keys()) {
      const from = of.get(r);
      if (!from || !mine.has(from)) inputs.add(r);
    }
  const list = [...nodes].sort((x, y) => (position.get(x) ?? 1e9) - (position.get(y) ?? 1e9));
  const [main, ...beside] = d.atoms.filter((a) => a.template);
  return {
    name: labelOf(d),
    kind: d.kind === "host" ? "host" : d.kind === "template" ? "claimed" : "kernel",
    nodes: list,
    inputs: [...inputs],
    outputs,
    ...((d.kind === "map" || d.kind === "reduce") && { space: spaceOf(d) }),
    ...(main && { root: main.node, template: main.template! }),
    ...(beside.length && { beside: beside.map((a) => a.node) }),
    why: d.why,
  };
}

/** Reductions that wait for each other in both together, at most. */
export const sweepsOf = (a: Draft, b: Draft): number =>
  a.deps.has(b) || b.deps.has(a) ? a.sweeps + b.sweeps : Math.max(a.sweeps, b.sweeps);

/** Sizes of the blocks that a shape's axes cut its elements into, in row-major order. */
function cutsOf(shape: Shape): Set<Dim> {
  const cuts = new Set<Dim>();
  let block: Dim = 1;
  for (const d of shape.toReversed()) {
    block = mul(block, d);
    if (block !== 1) cuts.add(block);
  }
  return cuts;
}
/** One shape splits axes of the other: positions in both are products and sums of the same loops. */
export const nested = (a: ReadonlySet<Dim>, b: ReadonlySet<Dim>): boolean => {
  const [small, large] = a.size <= b.size ? [a, b] : [b, a];
  return [...small].every((x) => large.has(x));
};

function spaceOf(d: Draft): Space {
  const first = d.atoms.find((a) => a.kind === "reduce");
  if (first) return { shape: first.node.inputs[0]!.type.shape, axes: first.node.attrs.axes as readonly number[] };
  return { shape: d.atoms[0]!.node.type.shape, axes: [] };
}

/** The ops that say most about a group. */
export function labelOf(d: Draft): string {
  const ops = d.atoms.map((a) => a.node.op.name);
  const main = d.atoms.filter((a) => a.kind !== "map").map((a) => a.node.op.name);
  const names = [...new Set(main.length ? [...main, ops.at(-1)!] : ops)];
  return names.length > 4 ? `${names.slice(0, 3).join("_")}_and_${names.length - 3}_more` : names.join("_");
}
