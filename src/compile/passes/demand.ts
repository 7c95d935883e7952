/** Only what is asked for: where a few rows of a value are all that is ever read, nothing in front of them computes the others. */
import { add, type Dim, hi } from "../../core/expr.js";
import { numel, type Shape } from "../../core/type.js";
import { type Graph, roots, topo } from "../../ir/graph.js";
import { is, make, type Node } from "../../ir/node.js";
import { pick, pickOp } from "../../ir/pick.js";
import { mapped, type Pass, replaceRoots, withInputs } from "../../ir/rewrite.js";
import { attentionOp } from "../../ops/attention.js";
import { dotOp } from "../../ops/matmul.js";
import { expandOp, permuteOp, reshape, reshapeOp, slice, sliceOp } from "../../ops/movement.js";
import { scalar } from "../../ops/source.js";

/** `size` neighbours from `start` on along an axis. */
interface Rows {
  readonly axis: number;
  readonly start: Dim;
  readonly size: number;
}
/** What a node computes of its result: rows, or all of it. */
type Demand = Rows | "all";
/** How rows of a result are made: what of each input, and of those the result. */
interface Way {
  readonly from: readonly Demand[];
  make(inputs: readonly Node[]): Node;
}

/** A prompt's logits are those of its last token: the last layer behind its keys and values is computed for that alone. */
export const demanded: Pass = {
  name: "demanded",
  run(g: Graph): Graph {
    const order = topo(roots(g));
    const demands = new Map<Node, Demand>();
    const ask = (n: Node, d: Demand): void => {
      const known = demands.get(n);
      demands.set(n, known === undefined || same(known, d) ? d : "all");
    };
    for (const r of roots(g)) ask(r, "all");
    const ways = new Map<Node, Way>();
    for (const n of order.toReversed()) {
      const wanted = demands.get(n)!;
      const way = wanted === "all" ? undefined : wayOf(n, wanted);
      if (way) ways.set(n, way);
      else demands.set(n, "all");
      const own = is(n, sliceOp) && !way ? few(n) : undefined;
      for (const [i, x] of n.inputs.entries()) ask(x, way?.from[i] ?? own ?? "all");
    }
    if (!ways.size) return g;
    const to = new Map<Node, Node>();
    for (const n of order) {
      const way = ways.get(n);
      if (way) {
        const inputs = n.inputs.map((x, i) => rowsOf(to.get(x)!, way.from[i]!, demands.get(x)!));
        to.set(n, way.make(inputs));
      } else if (is(n, sliceOp) && demands.get(n.inputs[0]!) !== "all") to.set(n, to.get(n.inputs[0]!)!);
      else to.set(n, withInputs(n, mapped(n.inputs, to)));
    }
    return replaceRoots(g, (n) => to.get(n)!);
  },
};
const same = (a: Demand, b: Demand): boolean =>
  a === b || (a !== "all" && b !== "all" && a.axis === b.axis && a.start === b.start && a.size === b.size);
/** Rows of a value of which there are these rows, or all. */
const rowsOf = (x: Node, wanted: Demand, there: Demand): Node =>
  wanted === "all" || there !== "all" || x.tuple
    ? x
    : slice(
        x,
        x.type.shape.map((_, i) => (i === wanted.axis ? wanted.start : 0)),
        withRows(x.type.shape, wanted),
      );
const withRows = (shape: Shape, { axis, size }: Rows): Dim[] => shape.map((d, i) => (i === axis ? size : d));

/** The rows that a slice takes, where they are at most half of one axis and it takes all of the others. */
function few(n: Node): Rows | undefined {
  const { start, size, step } = n.attrs as { start: readonly Dim[]; size: Shape; step: readonly number[] };
  const { shape } = n.inputs[0]!.type;
  const cut = shape.flatMap((d, i) => (start[i] === 0 && size[i] === d && step[i] === 1 ? [] : [i]));
  const [axis] = cut;
  if (cut.length !== 1 || axis === undefined || step[axis] !== 1) return undefined;
  const count = size[axis]!;
  if (typeof count !== "number" || count < 1 || 2 * count > hi(shape[axis]!)) return undefined;
  return { axis, start: start[axis]!, size: count };
}

/** How a node's rows are made, or undefined where all of them are made together. */
function wayOf(n: Node, rows: Rows): Way | undefined {
  const { shape } = n.type;
  const again = (from: readonly Demand[], attrs = n.attrs): Way => ({ from, make: (inputs) => make(n.op, inputs, attrs) });
  if (n.op.kind === "elementwise")
    return n.inputs.every((x) => x.type.shape.length === shape.length && x.type.shape.every((d, i) => d === shape[i]))
      ? again(n.inputs.map(() => rows))
      : undefined;
  if (n.op.kind === "reduce" && n.inputs.length === 1) {
    const axes = n.attrs["axes"] as readonly number[];
    const kept = n.inputs[0]!.type.shape.flatMap((_, i) => (axes.includes(i) ? [] : [i]));
    return kept.length === shape.length ? again([{ ...rows, axis: kept[rows.axis]! }]) : undefined;
  }
  if (is(n, expandOp)) {
    const from = n.inputs[0]!.type.shape;
    const axis = rows.axis - (shape.length - from.length);
    const repeats = axis < 0 || from[axis] !== shape[rows.axis];
    return again([repeats ? "all" : { ...rows, axis }], { ...n.attrs, shape: withRows(shape, rows) });
  }
  if (is(n, permuteOp)) return again([{ ...rows, axis: n.attrs.axes[rows.axis]! }]);
  if (is(n, reshapeOp)) {
    const from = n.inputs[0]!.type.shape;
    const before = numel(shape.slice(0, rows.axis));
    const axis = from.findIndex((d, i) => d === shape[rows.axis] && numel(from.slice(0, i)) === before);
    return axis < 0 ? undefined : { from: [{ ...rows, axis }], make: ([x]) => reshape(x!, withRows(shape, rows)) };
  }
  if (is(n, dotOp)) {
    const r = shape.length;
    if (rows.axis === r - 2) return again([rows, "all"]);
    return again(rows.axis === r - 1 ? ["all", rows] : [rows, rows]);
  }
  // A result of attention has the rows of its queries.
  if (is(n, pickOp)) {
    const [tuple] = n.inputs as readonly [Node];
    const queries = tuple.type.shape.length - (n.attrs.index === 0 ? 2 : 1);
    if (!is(tuple, attentionOp) || n.attrs.index !== 0 || tuple.attrs.rows || rows.axis !== queries) return undefined;
    const whole = tuple.type.shape;
    return {
      from: [rows],
      make([t]) {
        const made = pick(t!, 0);
        return t!.type.shape[queries] === whole[queries] ? rowsOf(made, rows, "all") : made;
      },
    };
  }
  return attentionOf(n, rows);
}

/** Attention of some queries: where all of them see every key it is causal no more, elsewhere they stand behind those that are left out. */
function attentionOf(n: Node, rows: Rows): Way | undefined {
  if (!is(n, attentionOp)) return undefined;
  const { attrs } = n;
  const [q, k] = n.inputs as readonly [Node, Node];
  const masks = Number(attrs.mask) + Number(attrs.dropout);
  const queries = q.type.shape.length - 2;
  const from = n.inputs.map((x, i): Demand => {
    if (i === 0) return { ...rows, axis: queries };
    const ofScores = i > 2 && i < 3 + masks && x.type.shape[queries] !== 1;
    return ofScores ? { ...rows, axis: queries } : "all";
  });
  const again = (more: object, offset?: Node): Way => ({
    from,
    make: (inputs) => make(attentionOp, [...inputs, ...(offset ? [offset] : [])], { ...attrs, ...more }),
  });
  if (!attrs.causal) return again({});
  if (attrs.offset) return undefined;
  if (add(rows.start, 1) === k.type.shape.at(-2)) return again({ causal: false });
  if (typeof rows.start !== "number") return undefined;
  const before = q.type.shape.slice(0, -3).map(() => 1);
  return again({ offset: true }, reshape(scalar(rows.start, "i32"), before));
}
