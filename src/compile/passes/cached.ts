/** Steps of decoding: writing a key and a value into caches and attention over these become one op, where a template takes it. */
import { isInt } from "../../core/dtype.js";
import { hi } from "../../core/expr.js";
import { numel, sameShape } from "../../core/type.js";
import { type Graph, roots, topo } from "../../ir/graph.js";
import { is, make, type Node, type Op } from "../../ir/node.js";
import { pick, pickOp } from "../../ir/pick.js";
import { mapped, type Pass, replaceRoots, withInputs } from "../../ir/rewrite.js";
import type { Codegen } from "../../kernel/codegen.js";
import { sharesOf } from "../../kernel/templates/attention/gpu/tiling.js";
import { attentionOp } from "../../ops/attention.js";
import { cachedAttentionOp, joinShares } from "../../ops/cached-attention.js";
import { scatterOp } from "../../ops/gather.js";
import { reshape } from "../../ops/movement.js";
import { storageOf } from "../views.js";
import { claimOf } from "./claim.js";

/** Attention of one query a head over two caches that the graph updates. */
interface Step {
  readonly attention: Node;
  readonly result: Node;
  /** What writes the caches. */
  readonly writes: readonly [Node<Scatter>, Node<Scatter>];
}
type Scatter = { axis: number; combine: string };

/** Joins them where caches are state that nothing else reads, so that they are written in place. */
export function cachedAttention(codegen: Codegen): Pass {
  const { target } = codegen;
  return {
    name: "cached-attention",
    run(g) {
      if (!target.kernels || !target.warp) return g;
      const steps = stepsOf(g);
      return steps.length ? rewritten(g, steps, codegen) : g;
    },
  };
}

function stepsOf(g: Graph): Step[] {
  const order = topo(roots(g));
  const users = new Map<Node, Node[]>();
  for (const n of order) for (const x of new Set(n.inputs)) users.set(x, [...(users.get(x) ?? []), n]);
  const updated = new Map(g.updates.map((u) => [storageOf(u.value), u.state]));
  const outputs = new Set(g.outputs.map(storageOf));
  /** The write of one key or value into a cache, if that is what `x` is. */
  const writeOf = (x: Node, offset: Node): Node<Scatter> | undefined => {
    const w = storageOf(x);
    if (!is(w, scatterOp) || w.attrs.combine !== "set") return undefined;
    const [base, index, source] = w.inputs as readonly [Node, Node, Node];
    const { shape } = base.type;
    const r = shape.length;
    const alone = updated.get(w) === base && (users.get(base) ?? []).every((u) => u === w) && !outputs.has(base) && !outputs.has(w);
    const placed = w.attrs.axis === r - 2 && index.type.shape.length === r - 1 && index.type.shape.at(-1) === 1;
    const front = x.type.shape.slice(0, x.type.shape.length - r);
    const fits = placed && source.type.shape.at(-2) === 1 && numel(front) === 1 && sameShape(x.type.shape.slice(-r), shape);
    return alone && fits && numberOf(index) === numberOf(offset) && numel(numberOf(index).type.shape) === 1
      ? (w as unknown as Node<Scatter>)
      : undefined;
  };
  return order.flatMap((n): Step[] => {
    if (!is(n, attentionOp)) return [];
    const { causal, offset, mask, dropout, rows } = n.attrs;
    const q = n.inputs[0]!.type.shape;
    if (!causal || !offset || mask || dropout || rows || q.at(-2) !== 1 || q.length < 3) return [];
    const [result, ...others] = users.get(n) ?? [];
    if (!result || others.length || !is(result, pickOp) || result.attrs.index !== 0) return [];
    const [k, v] = [1, 2].map((i) => writeOf(n.inputs[i]!, n.inputs.at(-1)!));
    return k && v && k !== v ? [{ attention: n, result, writes: [k, v] }] : [];
  });
}

/** The one integer that a value is made of by views and by casts between integers. */
function numberOf(x: Node): Node {
  let n = x;
  while (
    (n.op.kind === "movement" && n.inputs.length === 1) ||
    (n.op.name === "cast" && isInt(n.type.dtype) && isInt(n.inputs[0]!.type.dtype))
  )
    n = n.inputs[0]!;
  return n;
}

function rewritten(g: Graph, steps: readonly Step[], codegen: Codegen): Graph {
  const stepOf = new Map<Node, Step>();
  for (const s of steps) for (const n of [...s.writes, s.result]) stepOf.set(n as Node, s);
  const done = new Map<Node, Node>();
  const open = new Set<Node>();
  const needs = (n: Node): readonly Node[] => {
    const s = stepOf.get(n);
    return s ? [s.attention.inputs[0]!, s.attention.inputs.at(-1)!, ...s.writes.flatMap((w) => w.inputs)] : n.inputs;
  };
  const build = (n: Node): void => {
    const s = stepOf.get(n);
    if (!s) return void done.set(n, withInputs(n, mapped(n.inputs, done)));
    const made = joined(s, done, codegen);
    if (made) for (const [from, to] of made) done.set(from, to);
    else {
      // No template takes it: it stays as it is.
      for (const x of [...s.writes, s.result] as Node[]) stepOf.delete(x);
    }
  };
  const stack = [...roots(g)];
  while (stack.length) {
    const n = stack.at(-1)!;
    if (done.has(n)) {
      stack.pop();
      continue;
    }
    const waiting = needs(n).filter((x) => !done.has(x));
    // A query that depends on what is written here: nothing can be joined.
    if (waiting.some((x) => open.has(x))) return g;
    if (waiting.length) {
      open.add(n);
      stack.push(...waiting);
      continue;
    }
    open.delete(n);
    build(n);
  }
  return replaceRoots(g, (n) => done.get(n)!);
}

/** What takes the place of both writes and of the result. */
function joined(s: Step, done: ReadonlyMap<Node, Node>, codegen: Codegen): readonly (readonly [Node, Node])[] | undefined {
  const now = (n: Node): Node => done.get(n)!;
  const { attention, result, writes } = s;
  const q = now(attention.inputs[0]!);
  const cache = attention.inputs[1]!.type.shape;
  const caches = writes.map((w) => reshape(now(w.inputs[0]!), cache));
  const fresh = writes.map((w) => reshape(now(w.inputs[2]!), [...cache.slice(0, -2), 1, cache.at(-1)!]));
  const shares = sharesOf(codegen.target, hi(numel(cache.slice(0, -2))), hi(cache.at(-2)!));
  const attrs = { scale: attention.attrs.scale as number, shares, causal: true, offset: true } as const;
  const inputs = [q, ...caches, ...fresh, now(attention.inputs.at(-1)!)];
  const fits =
    cache.at(-1) === q.type.shape.at(-1) && sameShape(cache, attention.inputs[2]!.type.shape) && cache.every((d) => typeof d === "number");
  if (!fits) return undefined;
  const n: Node = make(cachedAttentionOp as unknown as Op, inputs, attrs);
  if (!claimOf(n, codegen).template) return undefined;
  const whole = shares === 1 ? pick(n, 2) : joinShares(pick(n, 2), q, shares);
  return [...writes.map((w, i) => [w as Node, reshape(pick(n, i), w.type.shape)] as const), [result, whole]];
}
