/** Results of attention, and its derivatives, in the order in which they are read. */
import { type Graph, roots, topo } from "../../ir/graph.js";
import { is, make, type Node } from "../../ir/node.js";
import { pick, pickOp } from "../../ir/pick.js";
import { mapped, type Pass, replaceRoots, withInputs } from "../../ir/rewrite.js";
import type { Codegen } from "../../kernel/codegen.js";
import { attentionBackwardOp, attentionOp } from "../../ops/attention.js";
import { permute, permuteOp } from "../../ops/movement.js";
import { canonicalize } from "./canonicalize.js";
import { claimOf } from "./claim.js";

/**
 * Models put heads beside each other before they multiply. Where a template writes results in that order, rows of the product's
 * operand are contiguous, as matrix units want them, and nobody moves anything.
 */
export function attentionRows(codegen: Codegen): Pass {
  return {
    name: "attention-rows",
    run(g: Graph): Graph {
      if (!codegen.target.units.length) return g;
      const order = topo(roots(g));
      const turned = new Set<Node>();
      for (const n of order) if (isTurned(n) && hasHeads(n.inputs[0]!)) turned.add(n.inputs[0]!);
      for (const r of roots(g)) turned.delete(r);
      const wanted = new Set([...turned].map((p) => p.inputs[0]!));
      for (const n of order) if (hasHeads(n) && !turned.has(n)) wanted.delete(n.inputs[0]!);
      const to = new Map<Node, Node>();
      for (const n of order) {
        const now = withInputs(n, mapped(n.inputs, to));
        to.set(n, now);
        if (wanted.has(n) && !n.attrs.rows) {
          const rows = make(n.op, now.inputs, { ...n.attrs, rows: true });
          if (claimOf(rows, codegen).template) to.set(n, rows);
        } else if (is(n, pickOp) && wanted.has(n.inputs[0]!)) {
          const tuple = to.get(n.inputs[0]!)!;
          if (!tuple.attrs.rows) continue;
          const made = pick(tuple, n.attrs.index);
          to.set(n, hasHeads(n) ? permute(made, swapAxes(made.type.shape.length)) : made);
        }
      }
      // What turned the result back meets its turning, and both are gone.
      return order.every((n) => to.get(n) === n) ? g : canonicalize.run(replaceRoots(g, (n) => to.get(n)!));
    },
  };
}
/** Heads and queries exchanged. */
const swapAxes = (r: number): number[] => [...Array(r).keys()].map((i) => (i === r - 3 ? r - 2 : i === r - 2 ? r - 3 : i));
const isTurned = (n: Node): boolean =>
  is(n, permuteOp) && n.attrs.axes.length >= 3 && swapAxes(n.attrs.axes.length).every((a, i) => n.attrs.axes[i] === a);
/** One of a tuple's values that has rows of every head: attention's result, all derivatives. */
const hasHeads = (n: Node): boolean =>
  is(n, pickOp) && (is(n.inputs[0]!, attentionBackwardOp) || (is(n.inputs[0]!, attentionOp) && n.attrs.index === 0));
