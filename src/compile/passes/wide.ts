import { is, type Node } from "../../ir/node.js";
import { mapGraph, type Pass } from "../../ir/rewrite.js";
import type { Target } from "../../kernel/codegen.js";
import { cat, catOp } from "../../ops/movement.js";

/** Joins more arrays than a kernel may bind in several steps. */
export function narrowCats(target: Target): Pass {
  const most = target.maxBuffers - 1;
  const narrow = (n: Node): Node => {
    if (!is(n, catOp) || n.inputs.length <= most) return n;
    const parts: Node[] = [];
    for (let i = 0; i < n.inputs.length; i += most) parts.push(cat(n.inputs.slice(i, i + most), n.attrs.axis));
    return narrow(cat(parts, n.attrs.axis));
  };
  return { name: "narrow-cats", run: (g) => (target.kernels ? mapGraph(g, narrow) : g) };
}
