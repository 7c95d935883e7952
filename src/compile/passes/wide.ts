import { add } from "../../core/expr.js";
import { numel } from "../../core/type.js";
import { is, type Node } from "../../ir/node.js";
import { mapGraph, type Pass } from "../../ir/rewrite.js";
import { bindings } from "../../kernel/bindings.js";
import type { Target } from "../../kernel/codegen.js";
import { cat, catOp } from "../../ops/movement.js";

/** Joins more arrays than a kernel may bind in several steps. */
export function narrowCats(target: Target): Pass {
  /** Bindings of a kernel that joins these. */
  const bound = (list: readonly Node[]): number => {
    const sizes = list.map((x) => numel(x.type.shape));
    return [add(0, ...sizes), ...sizes].reduce<number>((n, size) => n + bindings(size, list[0]!.type.dtype, target), 0);
  };
  const narrow = (n: Node): Node => {
    if (!is(n, catOp) || bound(n.inputs) <= target.maxBuffers) return n;
    const runs: Node[][] = [];
    for (const x of n.inputs) {
      const run = runs.at(-1);
      if (run && bound([...run, x]) <= target.maxBuffers) run.push(x);
      else runs.push([x]);
    }
    // No two of them fit in one kernel.
    if (runs.length === n.inputs.length) return n;
    return narrow(
      cat(
        runs.map((run) => (run.length > 1 ? cat(run, n.attrs.axis) : run[0]!)),
        n.attrs.axis,
      ),
    );
  };
  return { name: "narrow-cats", run: (g) => (target.kernels ? mapGraph(g, narrow) : g) };
}
