import { type Graph, roots, topo } from "../../ir/graph.js";
import { is, type Node } from "../../ir/node.js";
import { mapped, type Pass, replaceRoots, withInputs } from "../../ir/rewrite.js";
import { dotIn, dotOp, swapLast } from "../../ops/matmul.js";
import { permuteOp } from "../../ops/movement.js";

/**
 * A transposed product is the product of the transposed operands in the other order: views that a matmul reads for free, instead of
 * a kernel that moves its result. Only where nobody else reads the product.
 */
export const transposedProducts: Pass = {
  name: "transposed-products",
  run(g: Graph): Graph {
    const order = topo(roots(g));
    const readers = new Map<Node, number>();
    for (const n of order) for (const x of n.inputs) readers.set(x, (readers.get(x) ?? 0) + 1);
    for (const r of roots(g)) readers.set(r, (readers.get(r) ?? 0) + 1);
    const to = new Map<Node, Node>();
    for (const n of order) {
      const product = n.inputs[0];
      let now = withInputs(n, mapped(n.inputs, to));
      if (product && isSwap(n) && is(product, dotOp) && readers.get(product) === 1) {
        const [a, b] = now.inputs[0]!.inputs as readonly [Node, Node];
        // Compiled later than it was recorded: another precision may be in force by now.
        now = dotIn(swapped(b), swapped(a), product.attrs.precision);
      }
      to.set(n, now);
    }
    return order.every((n) => to.get(n) === n) ? g : replaceRoots(g, (n) => to.get(n)!);
  },
};

/** Exchanges the last two axes and leaves the others. */
const isSwap = (n: Node): boolean => {
  if (!is(n, permuteOp)) return false;
  const { axes } = n.attrs;
  const r = axes.length;
  return r >= 2 && axes.every((a, i) => a === (i === r - 1 ? r - 2 : i === r - 2 ? r - 1 : i));
};
const swapped = (x: Node): Node => (isSwap(x) ? x.inputs[0]! : swapLast(x));
