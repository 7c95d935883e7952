import type { Node } from "./node.js";

/** A closed, first-order program over nodes. Mutation exists only here, as state updates applied after the outputs are computed. */
export interface Graph {
  /** Leaves whose value the caller supplies on each call, in order. */
  readonly inputs: readonly Node[];
  /** Leaves whose value lives between calls: parameters, optimizer state, caches. */
  readonly state: readonly Node[];
  readonly outputs: readonly Node[];
  readonly updates: readonly Update[];
}

/** `state` takes `value` once the outputs are computed. Shapes and dtypes are equal. */
export interface Update {
  readonly state: Node;
  readonly value: Node;
}

/** Every value a graph computes for its caller. */
export const roots = (g: Graph): readonly Node[] => [...g.outputs, ...g.updates.map((u) => u.value)];

/** Nodes that the roots need, inputs before users; iterative, so depth does not matter. `border` nodes are neither entered nor listed. */
export function topo(roots: readonly Node[], border?: ReadonlySet<Node>): Node[] {
  const seen = new Set<Node>(border);
  const out: Node[] = [];
  const stack: Node[] = [];
  const next: number[] = [];
  for (const root of roots) {
    if (seen.has(root)) continue;
    seen.add(root);
    stack.push(root);
    next.push(0);
    while (stack.length) {
      const n = stack[stack.length - 1]!;
      const i = next[next.length - 1]!;
      if (i === n.inputs.length) {
        stack.pop();
        next.pop();
        out.push(n);
        continue;
      }
      next[next.length - 1] = i + 1;
      const x = n.inputs[i]!;
      if (!seen.has(x)) {
        seen.add(x);
        stack.push(x);
        next.push(0);
      }
    }
  }
  return out;
}
