import { bytesOf, isFloat, isInt } from "../core/dtype.js";
import { ArgumentError, DTypeError, ShapeError } from "../core/errors.js";
import { type Shape, sameShape, showShape, showType, type TensorType } from "../core/type.js";
import { make, type Node, type Op, op } from "../ir/node.js";
import { cast } from "./cast.js";
import { floats, keepMax, keepMean, keepSum, widen } from "./composite.js";
import { add, div, eq, exp, log, maximum, mul, ne, neg, pow, sub, where } from "./elementwise.js";
import { type LossOptions, reduceLoss } from "./loss.js";
import { reshape } from "./movement.js";
import { computesIn } from "./precision.js";
import { sum } from "./reduce.js";
import { logSoftmax } from "./softmax.js";
import { iota } from "./source.js";

/** Options of losses over classes. */
export interface ClassLossOptions extends LossOptions {
  /** One number for each class. */
  readonly weight?: Node;
  /** Targets of this value count for nothing (default -100). */
  readonly ignoreIndex?: number;
}

/** Where the classes lie: axis 1 of [N, C, ...], axis 0 of [C]. */
const classAxis = (shape: Shape): number => (shape.length > 1 ? 1 : 0);
const without = (shape: Shape, axis: number): Shape => shape.filter((_, i) => i !== axis);
const withOne = (x: Node, axis: number): Node => reshape(x, [...x.type.shape.slice(0, axis), 1, ...x.type.shape.slice(axis)]);
/** True at the target's class: a comparison of positions, so that no gather and no scatter is needed. Targets without a class are false everywhere. */
function isTarget(shape: Shape, target: Node, axis: number): Node {
  const at = reshape(iota(shape[axis]!, "i32"), [shape[axis]!, ...shape.slice(axis + 1).map(() => 1)]);
  return eq(at, withOne(classOf(target), axis));
}
/** A target as wide as positions need, so that no comparison is wider than the values beside it; -1 where it is no class. */
function classOf(target: Node): Node {
  const narrow = cast(target, "i32");
  return bytesOf(target.type.dtype) < 4 || target.type.dtype === "i32"
    ? narrow
    : where(eq(cast(narrow, target.type.dtype), target), narrow, -1);
}
function checkTarget(name: string, x: TensorType, target: TensorType, axis: number): void {
  if (!isInt(target.dtype)) throw new DTypeError(`${name}: a target of class numbers must be an integer tensor, not ${showType(target)}`);
  if (!sameShape(target.shape, without(x.shape, axis)))
    throw new ShapeError(`${name}: target ${showType(target)} does not fit ${showType(x)}: expected ${showShape(without(x.shape, axis))}`);
}

/** log(sum(exp(x))) - x[target] along axis 1 (or 0 of a vector): one loss for each target. */
export function targetLoss(x: Node, target: Node): Node {
  return make(targetLossOp, [x, target], { axis: classAxis(x.type.shape) });
}
export const targetLossOp: Op<[Node, Node], { axis: number }> = op<[Node, Node], { axis: number }>({
  name: "targetLoss",
  kind: "composite",
  infer: ([x, target], { axis }) => {
    if (!isFloat(x.dtype)) throw new DTypeError(`crossEntropy: ${showType(x)} is not floating point`);
    checkTarget("crossEntropy", x, target, axis);
    return { shape: target.shape, dtype: x.dtype === "f64" ? "f64" : "f32" };
  },
  vjp: (ct, y) => {
    const [x, target] = y.inputs as [Node, Node];
    const { axis } = y.attrs;
    const wide = widen(x);
    const shifted = sub(wide, keepMax(wide, [axis]));
    // From the logits again, so that no exponentials wait in memory.
    const p = exp(sub(shifted, log(keepSum(exp(shifted), [axis]))));
    return [cast(mul(withOne(ct, axis), sub(p, cast(isTarget(x.type.shape, target, axis), p.type.dtype))), x.type.dtype), null];
  },
  decompose: (y, [x, target]) => {
    const { axis } = y.attrs;
    const wide = widen(x);
    const shifted = sub(wide, keepMax(wide, [axis]));
    const chosen = sum(where(isTarget(x.type.shape, target, axis), shifted, 0), axis);
    return sub(log(sum(exp(shifted), axis)), chosen);
  },
  samples: [
    {
      shapes: [[5, 7], [5]],
      dtypes: [null, "i64"],
      range: [
        [-4, 4],
        [0, 6],
      ],
      test: floats,
      call: (x, t) => targetLoss(x!, t!),
    },
    {
      shapes: [
        [2, 4, 3],
        [2, 3],
      ],
      dtypes: [null, "i32"],
      range: [
        [-4, 4],
        [0, 3],
      ],
      test: floats,
      call: (x, t) => targetLoss(x!, t!),
    },
  ],
});

/** The weight of each target's class, 0 for ignored ones. */
function targetWeight(shape: Shape, target: Node, axis: number, like: Node, options: ClassLossOptions): Node {
  const counts = ne(target, options.ignoreIndex ?? -100);
  if (!options.weight) return cast(counts, like.type.dtype);
  const [w, classes] = [widen(options.weight), shape[axis]!];
  if (w.type.shape.length !== 1 || w.type.shape[0] !== classes)
    throw new ShapeError(`weight ${showShape(w.type.shape)} must hold one number for each of ${showShape([classes])} classes`);
  const each = reshape(w, [classes, ...shape.slice(axis + 1).map(() => 1)]);
  return where(counts, sum(where(isTarget(shape, target, axis), each, 0), axis), 0);
}
/** Losses of targets reduced; the mean is over the weights. */
function reduceTargets(name: string, loss: Node, weights: Node, options: ClassLossOptions): Node {
  if (options.reduction === "mean" || options.reduction === undefined) return div(sum(loss), sum(weights));
  return reduceLoss(name, loss, options.reduction);
}

/** -x[target] for log probabilities along axis 1 (torch.nn.functional.nll_loss). */
export function nllLoss(x: Node, target: Node, options: ClassLossOptions = {}): Node {
  const axis = classAxis(x.type.shape);
  checkTarget("nllLoss", x.type, target.type, axis);
  const wide = widen(x);
  const chosen = sum(where(isTarget(x.type.shape, target, axis), wide, 0), axis);
  const weights = targetWeight(x.type.shape, target, axis, chosen, options);
  return cast(reduceTargets("nllLoss", weighted(neg(chosen), weights), weights, options), x.type.dtype);
}
/** loss x weight, 0 where the weight is 0 even if the loss is infinite. */
const weighted = (loss: Node, weights: Node): Node => where(eq(weights, 0), 0, mul(loss, weights));

/**
 * Cross entropy of logits along axis 1 with class numbers, or with probabilities where the target is a float of x's shape
 * (torch.nn.functional.cross_entropy).
 */
export function crossEntropy(x: Node, target: Node, options: ClassLossOptions & { readonly labelSmoothing?: number } = {}): Node {
  const smoothing = options.labelSmoothing ?? 0;
  if (!(smoothing >= 0 && smoothing <= 1)) throw new ArgumentError(`crossEntropy: labelSmoothing ${smoothing} is not in [0, 1]`);
  const axis = classAxis(x.type.shape);
  if (isFloat(target.type.dtype)) return cast(crossEntropyOfProbabilities(x, target, axis, smoothing, options), x.type.dtype);
  const one = targetLoss(x, target);
  const weights = targetWeight(x.type.shape, target, axis, one, options);
  const plain = weighted(one, weights);
  if (smoothing === 0) return cast(reduceTargets("crossEntropy", plain, weights, options), x.type.dtype);
  const logs = neg(logSoftmax(widen(x), axis));
  const each = options.weight ? mul(logs, classWeights(options.weight, x.type.shape, axis)) : logs;
  const counts = ne(target, options.ignoreIndex ?? -100);
  const smooth = where(counts, div(sum(each, axis), x.type.shape[axis] as number), 0);
  const mixed = add(mul(plain, 1 - smoothing), mul(smooth, smoothing));
  return cast(reduceTargets("crossEntropy", mixed, weights, options), x.type.dtype);
}
const classWeights = (w: Node, shape: Shape, axis: number): Node =>
  reshape(widen(w), [shape[axis]!, ...shape.slice(axis + 1).map(() => 1)]);

function crossEntropyOfProbabilities(x: Node, target: Node, axis: number, smoothing: number, options: ClassLossOptions): Node {
  const { shape } = x.type;
  if (!sameShape(shape, target.type.shape))
    throw new ShapeError(
      `crossEntropy: a target of probabilities must have the shape ${showShape(shape)}, not ${showShape(target.type.shape)}`,
    );
  const classes = shape[axis]!;
  const soft = smoothing === 0 ? widen(target) : add(mul(widen(target), 1 - smoothing), smoothing / (classes as number));
  const terms = mul(logSoftmax(widen(x), axis), soft);
  const loss = neg(sum(options.weight ? mul(terms, classWeights(options.weight, shape, axis)) : terms, axis));
  // The mean is over samples, whatever the weights are.
  if (options.reduction === "sum" || options.reduction === "none") return reduceLoss("crossEntropy", loss, options.reduction);
  return reduceLoss("crossEntropy", loss, "mean");
}

/** sum over the other classes of max(0, margin - x[target] + x)^p / C (torch.nn.functional.multi_margin_loss). */
export function multiMarginLoss(
  x: Node,
  target: Node,
  options: LossOptions & { readonly p?: 1 | 2; readonly margin?: number; readonly weight?: Node } = {},
): Node {
  const { p = 1, margin = 1 } = options;
  if (x.type.shape.length === 0) return reshape(multiMarginLoss(reshape(x, [1]), target, options), []);
  const axis = x.type.shape.length - 1;
  const list = x.type.shape.length === 1 && target.type.shape.length === 1 ? reshape(target, []) : target;
  const hit = isTarget(x.type.shape, list, axis);
  const chosen = keepSum(where(hit, x, 0), [axis]);
  const gap = maximum(add(sub(x, chosen), margin), 0);
  const each = p === 1 ? gap : pow(gap, p);
  const scaled = options.weight ? mul(each, keepSum(where(hit, options.weight, 0), [axis])) : each;
  const mean = keepMean(where(hit, 0, scaled), [axis]);
  return reduceLoss("multiMarginLoss", reshape(mean, target.type.shape), options.reduction);
}

computesIn("wide", nllLoss, crossEntropy, multiMarginLoss);
