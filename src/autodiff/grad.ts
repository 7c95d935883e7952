/** Reverse-mode differentiation, graph to graph: cotangents are ordinary nodes, so derivatives can be differentiated again. */
import { isFloat } from "../core/dtype.js";
import { ArgumentError, DTypeError, InternalError, ShapeError, UnsupportedError } from "../core/errors.js";
import { sameShape, showType } from "../core/type.js";
import type { Node } from "../ir/node.js";
import { pickOp } from "../ir/pick.js";
import { add } from "../ops/elementwise.js";
import { full } from "../ops/source.js";

/** Derivatives of a loss with one element with respect to `wrt`; zeros where the loss does not depend on one of them. */
export function grad(loss: Node, wrt: readonly Node[]): Node[] {
  if (!isFloat(loss.type.dtype)) throw new DTypeError(`grad: a loss must be a float, not ${showType(loss.type)}`);
  if (loss.type.shape.some((d) => d !== 1))
    throw new ShapeError(`grad: a loss has one element, not ${showType(loss.type)}; reduce it, or use vjp`);
  return vjp([loss], [full(loss.type.shape, 1, loss.type.dtype)], wrt).map((g, i) => g ?? full(wrt[i]!.type.shape, 0, wrt[i]!.type.dtype));
}

/** Cotangents of `wrt` given those of `outputs` (null: none). null for what does not contribute, and for integers. */
export function vjp(outputs: readonly Node[], cotangents: readonly (Node | null)[], wrt: readonly Node[]): (Node | null)[] {
  if (outputs.length !== cotangents.length) throw new ArgumentError(`vjp: ${outputs.length} outputs, but ${cotangents.length} cotangents`);
  return pull(outputs, cotangents, wrt, new Set());
}

/** `border` nodes are not entered: the inputs of a decomposition. */
function pull(outputs: readonly Node[], seeds: readonly (Node | null)[], wrt: readonly Node[], border: ReadonlySet<Node>): (Node | null)[] {
  const wanted = new Set(wrt);
  const order = dependents(outputs, wanted, border);
  const needs = new Set(order);
  const ct = new Map<Node, Node>();
  const tuples = new Map<Node, (Node | null)[]>();
  const put = (n: Node, c: Node, from: string): void => {
    if (!needs.has(n)) return;
    if (c.type.dtype !== n.type.dtype || !sameShape(c.type.shape, n.type.shape))
      throw new InternalError(`${from}: a cotangent of type ${showType(c.type)} for a value of type ${showType(n.type)}`);
    const seen = ct.get(n);
    ct.set(n, seen ? add(seen, c) : c);
  };
  outputs.forEach((n, i) => {
    const c = seeds[i];
    if (c) put(n, c, "vjp");
  });
  for (let k = order.length - 1; k >= 0; k--) {
    const y = order[k]!;
    if (border.has(y)) continue;
    const c = ct.get(y) ?? null;
    const cts = tuples.get(y);
    if (!c && !cts) continue;
    if ((y.op as unknown) === pickOp) {
      const source = y.inputs[0]!;
      if (!needs.has(source)) continue;
      let list = tuples.get(source);
      if (!list) tuples.set(source, (list = source.tuple!.map(() => null)));
      const i = y.attrs.index as number;
      list[i] = list[i] ? add(list[i]!, c!) : c;
      continue;
    }
    if (!y.inputs.some((x) => needs.has(x))) continue;
    const given = cotangentsOf(y, c, cts ?? [c], needs);
    if (given.length !== y.inputs.length)
      throw new InternalError(`${y.op.name}: vjp gives ${given.length} cotangents for ${y.inputs.length} inputs`);
    for (let i = 0; i < given.length; i++) {
      const g = given[i];
      if (g) put(y.inputs[i]!, g, y.op.name);
    }
  }
  return wrt.map((x) => ct.get(x) ?? null);
}

function cotangentsOf(y: Node, c: Node | null, cts: readonly (Node | null)[], needs: ReadonlySet<Node>): readonly (Node | null)[] {
  if (y.op.vjp) return y.op.vjp(c ?? cts.find((x) => x !== null)!, y, cts);
  if (!y.op.decompose)
    throw new UnsupportedError(
      `${y.op.name} has no derivative, and a gradient with respect to its input was asked for; detach the input, or give the op a vjp`,
    );
  const body = y.op.decompose(y, y.inputs);
  const results = Array.isArray(body) ? (body as readonly Node[]) : [body as Node];
  const inner = [...new Set(y.inputs)].filter((x) => needs.has(x));
  const given = pull(results, cts, inner, new Set(y.inputs));
  return y.inputs.map((x, i) => (y.inputs.indexOf(x) === i ? (given[inner.indexOf(x)] ?? null) : null));
}

/** Nodes between `wanted` and `outputs` that carry a float, inputs before users. */
function dependents(outputs: readonly Node[], wanted: ReadonlySet<Node>, border: ReadonlySet<Node>): Node[] {
  const needs = new Map<Node, boolean>();
  const order: Node[] = [];
  const stack: Node[] = [];
  const next: number[] = [];
  const visit = (n: Node): void => {
    if (needs.has(n)) return;
    needs.set(n, false);
    stack.push(n);
    next.push(border.has(n) ? n.inputs.length : 0);
  };
  for (const root of outputs) {
    visit(root);
    while (stack.length) {
      const n = stack[stack.length - 1]!;
      const i = next[next.length - 1]!++;
      if (i < n.inputs.length) {
        visit(n.inputs[i]!);
        continue;
      }
      stack.pop();
      next.pop();
      const carries = n.tuple ? n.tuple.some((t) => isFloat(t.dtype)) : isFloat(n.type.dtype);
      if (carries && (wanted.has(n) || (!border.has(n) && n.inputs.some((x) => needs.get(x))))) {
        needs.set(n, true);
        order.push(n);
      }
    }
  }
  return order;
}
