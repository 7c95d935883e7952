import { computeDType, isHalf } from "../../core/dtype.js";
import type { Node } from "../../ir/node.js";
import { make } from "../../ir/node.js";
import { mapGraph, type Pass } from "../../ir/rewrite.js";
import type { Codegen } from "../../kernel/codegen.js";
import { add } from "../../ops/arithmetic.js";
import { cast } from "../../ops/cast.js";
import { permute, reshape, slice } from "../../ops/movement.js";
import { sum } from "../../ops/reduce.js";
import { wideDot } from "../../ops/wide-dot.js";
import { claimOf } from "./claim.js";

/**
 * A product of few results and a long inner dim, as a sum of products of parts of it: parts run side by side, and their sum has a fixed
 * order. Where a template says that this is faster.
 */
export function splitProducts(codegen: Codegen): Pass {
  const split = (n: Node): Node => {
    const parts = codegen.target.kernels ? (claimOf(n, codegen).template?.parts?.(n, codegen.target) ?? 1) : 1;
    if (parts === 1) return n;
    const [a, b] = n.inputs as readonly [Node, Node];
    const [left, right] = [inParts(a, a.type.shape.length - 1, parts), inParts(b, b.type.shape.length - 2, parts)];
    // Half floats are rounded once, behind the sum.
    const products = isHalf(n.type.dtype) ? wideDot(left, right) : make(n.op, [left, right], n.attrs);
    const inPassing = codegen.target.threads > 1 && parts <= few;
    return cast(inPassing ? added(products, parts) : sum(products, [0], { dtype: computeDType(n.type.dtype) }), n.type.dtype);
  };
  return { name: "split-products", run: (g) => mapGraph(g, split) };
}

/** Parts of which the kernels of a GPU that read the product add up an element in passing, instead of one kernel that does nothing else. */
const few = 4;
/** The sum of the leading dim, element by element. */
function added(products: Node, parts: number): Node {
  const { shape } = products.type;
  const part = (i: number): Node => reshape(slice(products, [i, ...shape.slice(1).map(() => 0)], [1, ...shape.slice(1)]), shape.slice(1));
  return Array.from({ length: parts }, (_, i) => part(i)).reduce((a, b) => add(a, b));
}

/** Parts of an axis as a leading dim: a view. */
function inParts(x: Node, axis: number, parts: number): Node {
  const { shape } = x.type;
  const cut = reshape(x, [...shape.slice(0, axis), parts, (shape[axis] as number) / parts, ...shape.slice(axis + 1)]);
  return permute(cut, [axis, ...cut.type.shape.map((_, i) => i).filter((i) => i !== axis)]);
}
