/** Rewrites of index maps: neighbours of one kind merge, what moves nothing goes, and broadcasts move towards the roots. */
import { add, type Dim, mul } from "../../core/expr.js";
import { numel, type Shape, sameShape } from "../../core/type.js";
import { is, type Node, type Op } from "../../ir/node.js";
import { withInputs } from "../../ir/rewrite.js";
import {
  catOp,
  expand,
  expandOp,
  flip,
  flipOp,
  permute,
  permuteOp,
  reshape,
  reshapeOp,
  slice,
  sliceOp,
  unsliceOp,
  windowOp,
} from "../../ops/movement.js";

type Rewrite = (n: Node) => Node | undefined;

const reshapes: Rewrite = (n) => {
  const x = n.inputs[0]!;
  if (sameShape(x.type.shape, n.type.shape)) return x;
  return is(x, reshapeOp) ? reshape(x.inputs[0]!, n.type.shape) : undefined;
};

const expands: Rewrite = (n) => {
  const x = n.inputs[0]!;
  const to = n.type.shape;
  if (sameShape(x.type.shape, to)) return x;
  if (is(x, expandOp)) return expand(x.inputs[0]!, to);
  // Leading axes of size 1 that a reshape added: expand adds them itself.
  if (is(x, reshapeOp) && sameShape(x.inputs[0]!.type.shape, withoutLeadingOnes(x.type.shape))) return expand(x.inputs[0]!, to);
  return undefined;
};
const withoutLeadingOnes = (shape: Shape): Shape => {
  let k = 0;
  while (shape[k] === 1) k++;
  return shape.slice(k);
};

const permutes: Rewrite = (n) => {
  const axes = n.attrs.axes as readonly number[];
  const x = n.inputs[0]!;
  if (is(x, permuteOp)) {
    const inner = x.attrs.axes;
    return permute(
      x.inputs[0]!,
      axes.map((a) => inner[a]!),
    );
  }
  // Axes of size 1 may stand anywhere: only the order of the others moves elements.
  const moved = axes.filter((a) => x.type.shape[a] !== 1);
  return moved.every((a, i) => i === 0 || moved[i - 1]! < a) ? reshape(x, n.type.shape) : undefined;
};

type Slice = { start: readonly Dim[]; size: Shape; step: readonly number[] };
const slices: Rewrite = (n) => {
  const { start, size, step } = n.attrs as unknown as Slice;
  const x = n.inputs[0]!;
  if (sameShape(size, x.type.shape) && start.every((s) => s === 0) && step.every((s) => s === 1)) return x;
  if (!is(x, sliceOp)) return undefined;
  const inner = x.attrs;
  return slice(
    x.inputs[0]!,
    start.map((s, i) => add(inner.start[i]!, mul(s, inner.step[i]!))),
    size,
    step.map((s, i) => s * inner.step[i]!),
  );
};

const flips: Rewrite = (n) => {
  const axes = n.attrs.axes as readonly number[];
  const x = n.inputs[0]!;
  const moving = axes.filter((a) => x.type.shape[a] !== 1);
  if (moving.length < axes.length) return flip(x, moving);
  if (!is(x, flipOp)) return undefined;
  const inner = x.attrs.axes;
  return flip(x.inputs[0]!, [...axes.filter((a) => !inner.includes(a)), ...inner.filter((a) => !axes.includes(a))]);
};

const unslices: Rewrite = (n) => {
  const x = n.inputs[0]!;
  const { start, step } = n.attrs as unknown as Slice;
  return sameShape(x.type.shape, n.type.shape) && start.every((s) => s === 0) && step.every((s) => s === 1) ? x : undefined;
};
const cats: Rewrite = (n) => {
  const axis = n.attrs.axis as number;
  const rest = n.inputs.filter((x) => x.type.shape[axis] !== 0);
  if (rest.length === 1) return rest[0];
  return rest.length > 0 && rest.length < n.inputs.length ? withInputs(n, rest) : undefined;
};

const table = new Map<Op, Rewrite>(
  [
    [reshapeOp, reshapes],
    [expandOp, expands],
    [permuteOp, permutes],
    [sliceOp, slices],
    [flipOp, flips],
    [unsliceOp, unslices],
    [catOp, cats],
  ].map(([op, f]) => [op as unknown as Op, f as Rewrite]),
);
const moveOnly = new Set<Op>([reshapeOp, permuteOp, sliceOp, flipOp, windowOp].map((op) => op as unknown as Op));

/** One simpler node in place of a movement node, or undefined. */
export function simplifyMovement(n: Node): Node | undefined {
  const x = n.inputs[0];
  if (x && moveOnly.has(n.op) && is(x, expandOp) && numel(x.inputs[0]!.type.shape) === 1)
    return expand(reshape(x.inputs[0]!, []), n.type.shape);
  return table.get(n.op)?.(n);
}

/**
 * An elementwise operation on broadcast values happens before the broadcast: on fewer elements, and once for all places that broadcast it. Taken only where the values before broadcasting are certainly fewer.
 */
export function sinkExpand(n: Node): Node | undefined {
  if (n.inputs.length === 0) return undefined;
  let common: Shape = [];
  for (const x of n.inputs) {
    if (!is(x, expandOp)) return undefined;
    common = join(common, x.inputs[0]!.type.shape);
  }
  if (!smaller(common, n.type.shape)) return undefined;
  const inputs = n.inputs.map((x) => expand(x.inputs[0]!, common));
  return expand(withInputs(n, inputs), n.type.shape);
}
/** The shape that both broadcast to; both come from one larger shape, so their dims are equal or 1. */
function join(a: Shape, b: Shape): Shape {
  const [long, short] = a.length >= b.length ? [a, b] : [b, a];
  const pad = long.length - short.length;
  return long.map((d, i) => (i < pad || d !== 1 ? d : short[i - pad]!));
}
/** Sizes differ, and `a` broadcasts to `b`: so it has fewer elements, wherever `b` has any. */
function smaller(a: Shape, b: Shape): boolean {
  const [p, q] = [numel(a), numel(b)];
  return typeof p === "number" && typeof q === "number" ? p < q : p !== q;
}
