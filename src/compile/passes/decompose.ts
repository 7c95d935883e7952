import { InternalError } from "../../core/errors.js";
import { sameShape, showType } from "../../core/type.js";
import { type Graph, roots, topo } from "../../ir/graph.js";
import type { Node } from "../../ir/node.js";
import { pickOp } from "../../ir/pick.js";
import { mapped, type Pass, replaceRoots, withInputs } from "../../ir/rewrite.js";
import type { Codegen } from "../../kernel/codegen.js";
import { claimOf } from "./claim.js";

/** True for what kernels are generated from: leaves, scalar operations, index maps and folds. */
export const isPrimitive = (n: Node): boolean => {
  const { op } = n;
  switch (op.kind) {
    case "leaf":
      return !op.decompose;
    case "elementwise":
      return op.scalar !== undefined;
    case "movement":
      return op.source !== undefined;
    case "reduce":
      return op.combine !== undefined;
    case "scan":
    case "composite":
    case "opaque":
      return false;
    default:
      return op.kind satisfies never;
  }
};

/** Replaces what is neither primitive nor claimed by its decomposition, down to the bottom. What has none stays: a host step runs it. */
export function decompose(codegen: Codegen): Pass {
  const stays = (n: Node): boolean => {
    if (isPrimitive(n) || !n.op.decompose) return true;
    if (!codegen.target.kernels && n.op.reference) return true;
    return claimOf(n, codegen).template !== undefined;
  };
  return { name: "decompose", run: (g) => decomposeWhere(g, (n) => !stays(n)) };
}

/** Replaces the nodes that `chosen` names by their decompositions; it is asked again about the nodes of each decomposition. */
export function decomposeWhere(g: Graph, chosen: (n: Node) => boolean): Graph {
  const to = new Map<Node, Node>();
  const results = new Map<Node, readonly Node[]>();
  for (const x of [...g.inputs, ...g.state]) to.set(x, x);
  const run = (list: readonly Node[], border?: ReadonlySet<Node>): void => {
    for (const n of topo(list, border)) {
      if (to.has(n)) continue;
      const now = withInputs(n, mapped(n.inputs, to));
      const parts = (now.op as unknown) === pickOp ? results.get(now.inputs[0]!) : undefined;
      if (parts) to.set(n, parts[now.attrs.index as number]!);
      else if (!chosen(now)) to.set(n, now);
      else open(n, now);
    }
  };
  const open = (n: Node, now: Node): void => {
    const given = now.op.decompose!(now, now.inputs);
    const body: readonly Node[] = Array.isArray(given) ? (given as readonly Node[]) : [given as Node];
    const types = now.tuple ?? [now.type];
    if (body.length !== types.length)
      throw new InternalError(`${n.op.name}: decomposes into ${body.length} values instead of ${types.length}`);
    body.forEach((b, i) => {
      if (b.type.dtype !== types[i]!.dtype || !sameShape(b.type.shape, types[i]!.shape))
        throw new InternalError(`${n.op.name}: decomposes into ${showType(b.type)} instead of ${showType(types[i]!)}`);
    });
    const border = new Set(now.inputs);
    for (const x of border) to.set(x, x);
    run(body, border);
    const done = body.map((b) => to.get(b)!);
    if (now.tuple) {
      to.set(n, now);
      results.set(now, done);
    } else to.set(n, done[0]!);
  };
  const all = roots(g);
  run(all);
  return all.every((n) => to.get(n) === n) ? g : replaceRoots(g, (n) => to.get(n)!);
}
