/**
 * Attention and its derivatives as graphs that cuDNN has engines for. It finds them by their form, so operations stand as it knows them,
 * even where one does nothing.
 */
import { type HeadsPlace, placesOf, type SizedAttention } from "../../../runtime/attention.js";
import type { GraphMaker, Tensor } from "./graph.js";

/** What a score becomes that a query does not see: its weight is 0, and no row's largest one is infinite. */
const unseen = -3.4028234663852886e38;

/** The tensors in memory, in the order of a call's buffers; what it has no place for is not there. */
type Memory = Readonly<Record<HeadsPlace["name"] | "rows", Tensor>>;
function memoryOf(g: GraphMaker, x: SizedAttention): Memory {
  const places = placesOf(x).map(({ name, at, count, rows, columns }) => {
    const isTurned = name === "k" || (name === "v" && x.backward);
    const [shape, strides] = [[rows, columns] as const, [at.row, 1] as const];
    const last = <T>([a, b]: readonly [T, T]): readonly [T, T] => (isTurned ? [b, a] : [a, b]);
    // Where there is one, nothing says how far it is to the next, which the library asks all the same.
    const batch = x.batch === 1 ? count * rows * columns : at.batch;
    const head = count === 1 ? rows * columns : at.head;
    return [name, g.memory(x.dtype, [x.batch, count, ...last(shape)], [batch, head, ...last(strides)])] as const;
  });
  return { ...Object.fromEntries(places), rows: g.memory("f32", ofRows(x)) } as Memory;
}
const ofScores = (x: SizedAttention): readonly number[] => [x.batch, x.heads, x.queries, x.keys];
const ofRows = (x: SizedAttention): readonly number[] => [x.batch, x.heads, x.queries, 1];

/** Bytes of scratch that the call's graph has in memory besides. */
export const scratchBytes = (x: SizedAttention): number => (x.backward ? 4 * x.batch * x.heads * x.queries : 0);

/** Records the call. */
export function recordAttention(g: GraphMaker, x: SizedAttention): void {
  if (x.backward) recordBackward(g, x);
  else recordForward(g, x);
}

function recordForward(g: GraphMaker, x: SizedAttention): void {
  const { q, k, v, out, rows } = memoryOf(g, x);
  const scaled = g.pointwise("mul", g.product(q, k, g.virtual(ofScores(x))), g.value(x.scale));
  const scores = x.causal ? g.below(scaled, g.value(unseen)) : scaled;
  const most = g.reduce("max", scores, g.virtual(ofRows(x)));
  const weights = g.pointwise("exp", g.pointwise("sub", scores, most));
  const total = g.reduce("sum", weights, g.virtual(ofRows(x)));
  g.pointwise("add", most, g.pointwise("log", total), rows);
  g.product(g.pointwise("div", weights, total, g.virtual(ofScores(x), { dtype: x.dtype })), v, out);
}

/**
 * Cotangents of scores are multiplied whole, which takes memory for them; the other way, in which blocks of keys add to sums of queries as
 * they come, gives other results each time.
 */
function recordBackward(g: GraphMaker, x: SizedAttention): void {
  const { q, k, v, out, ct, dq, dk, dv, rows } = memoryOf(g, x);
  const scale = g.value(x.scale);
  const shares = g.reduce("sum", g.pointwise("mul", ct, out), g.virtual(ofRows(x)));
  const share = g.pointwise("mul", shares, g.value(1), g.memory("f32", ofRows(x)));
  const scores = g.pointwise("sub", g.pointwise("mul", g.product(q, k, g.virtual(ofScores(x))), scale), rows);
  const p = g.pointwise("exp", x.causal ? g.below(scores, g.value(unseen)) : scores);
  /** Sums over queries; heads that share keys are added up. */
  const overQueries = (weights: Tensor, by: Tensor, to: Tensor): void => {
    const turned = g.turned(weights, x.dtype);
    if (x.heads === x.keyHeads) g.product(turned, by, to);
    else g.reduce("sum", g.product(turned, by, g.virtual([x.batch, x.heads, x.keys, by.shape[3]!], { dtype: x.dtype })), to);
  };
  overQueries(p, ct, dv);
  const differences = g.pointwise("sub", g.product(ct, v, g.virtual(ofScores(x))), share);
  const ds = g.pointwise("mul", g.pointwise("mul", differences, p), scale);
  overQueries(ds, q, dk);
  g.product(ds, g.turned(k), dq);
}
