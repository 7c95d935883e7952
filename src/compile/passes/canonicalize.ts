import { isWide } from "../../core/dtype.js";
import type { Graph } from "../../ir/graph.js";
import type { Node } from "../../ir/node.js";
import { mapGraph, type Pass } from "../../ir/rewrite.js";
import { reshape } from "../../ops/movement.js";
import { full } from "../../ops/source.js";
import { foldConstant } from "./fold.js";
import { simplifyMovement, sinkExpand } from "./movement.js";
import { simplifyScalar } from "./scalars.js";

/** Local rewrites that every later pass profits from: see movement.ts, scalars.ts and fold.ts. Runs until nothing changes. */
export const canonicalize: Pass = {
  name: "canonicalize",
  run(g: Graph): Graph {
    for (let round = 0; round < 8; round++) {
      const next = mapGraph(g, simplify);
      if (next === g) break;
      g = next;
    }
    return g;
  },
};

/** Rewrites a node, and what comes out, as long as a rule applies. */
function simplify(n: Node): Node {
  for (let i = 0; i < 100; i++) {
    const next = once(n);
    if (next === undefined || next === n) return n;
    n = next;
  }
  return n;
}
function once(n: Node): Node | undefined {
  switch (n.op.kind) {
    case "elementwise":
      return simplifyScalar(n) ?? foldConstant(n) ?? sinkExpand(n);
    case "movement":
      return simplifyMovement(n);
    case "reduce":
      return simplifyReduce(n);
    case "leaf":
    case "scan":
    case "composite":
    case "opaque":
      return undefined;
    default:
      return n.op.kind satisfies never;
  }
}

/**
 * A fold over nothing is what it starts from. Folding axes of size 1 leaves the elements as they are; not for sums, where 0 + -0
 * is 0.
 */
function simplifyReduce(n: Node): Node | undefined {
  const { combine } = n.op;
  const { shape } = n.inputs[0]!.type;
  if (combine !== undefined && combine !== "max" && combine !== "min" && (n.attrs.axes as readonly number[]).some((a) => shape[a] === 0)) {
    const start = combine === "mul" || combine === "and" ? 1 : 0;
    return full(n.type.shape, isWide(n.type.dtype) ? BigInt(start) : start, n.type.dtype);
  }
  if (combine === undefined || combine === "add") return undefined;
  const axes = n.attrs.axes as readonly number[];
  return axes.every((a) => shape[a] === 1) && n.type.dtype === n.inputs[0]!.type.dtype ? reshape(n.inputs[0]!, n.type.shape) : undefined;
}
