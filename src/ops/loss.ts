import { ArgumentError } from "../core/errors.js";
import { numel, sameShape, showType } from "../core/type.js";
import { warnOnce } from "../core/warn.js";
import type { Node } from "../ir/node.js";
import { logSigmoid } from "./activation.js";
import { cast } from "./cast.js";
import { dimValue, single, widen } from "./composite.js";
import { abs, add, clamp, div, eq, exp, gt, le, log, lt, mul, neg, sub, where } from "./elementwise.js";
import { expand, reshape } from "./movement.js";
import { computesIn } from "./precision.js";
import { broadcast, broadcastShapes, type Operand } from "./promotion.js";
import { sum } from "./reduce.js";
import { scalar } from "./source.js";

/** How the losses of elements become one: their mean, their sum, or not at all. */
export type Reduction = "mean" | "sum" | "none";
/** Option of every loss. */
export interface LossOptions {
  readonly reduction?: Reduction;
}

/** A loss of x and a target that broadcasts with it, computed in f32 where they are half floats. */
function pairwise(name: string, x: Node, target: Node, loss: (x: Node, target: Node) => Node): Node {
  const { shape } = x.type;
  broadcastShapes(name, shape, target.type.shape);
  // [n, 1] against [n] is n x n losses, hardly ever what was meant (torch warns as well).
  if (!sameShape(shape, target.type.shape))
    warnOnce(`${name}: a target ${showType(target.type)} for ${showType(x.type)} broadcasts; give both one shape`);
  return single([x, target], loss);
}

/** A loss of elements reduced as told; half floats add up in f32. */
export function reduceLoss(name: string, loss: Node, reduction: Reduction = "mean"): Node {
  switch (reduction) {
    case "none":
      return loss;
    case "sum":
      return cast(sum(widen(loss)), loss.type.dtype);
    case "mean": {
      const total = sum(widen(loss));
      return cast(div(total, dimValue(numel(loss.type.shape), total.type.dtype)), loss.type.dtype);
    }
    default:
      throw new ArgumentError(`${name}: reduction ${JSON.stringify(reduction satisfies never)} is none of "mean", "sum" and "none"`);
  }
}

/** (x - target)^2 (torch.nn.functional.mse_loss). */
export function mseLoss(x: Node, target: Node, options: LossOptions = {}): Node {
  return pairwise("mseLoss", x, target, (x, target) => {
    const d = sub(x, target);
    return reduceLoss("mseLoss", mul(d, d), options.reduction);
  });
}
/** |x - target| (torch.nn.functional.l1_loss). */
export function l1Loss(x: Node, target: Node, options: LossOptions = {}): Node {
  return pairwise("l1Loss", x, target, (x, target) => {
    return reduceLoss("l1Loss", abs(sub(x, target)), options.reduction);
  });
}
/** Squared below beta, linear above (torch.nn.functional.smooth_l1_loss). */
export function smoothL1Loss(x: Node, target: Node, options: LossOptions & { readonly beta?: number } = {}): Node {
  const beta = options.beta ?? 1;
  if (!(beta >= 0)) throw new ArgumentError(`smoothL1Loss: beta ${beta} is negative`);
  if (beta === 0) return l1Loss(x, target, options);
  return pairwise("smoothL1Loss", x, target, (x, target) => {
    const d = abs(sub(x, target));
    return reduceLoss("smoothL1Loss", where(lt(d, beta), mul(mul(d, d), 0.5 / beta), sub(d, 0.5 * beta)), options.reduction);
  });
}
/** Squared below delta, delta times linear above (torch.nn.functional.huber_loss). */
export function huberLoss(x: Node, target: Node, options: LossOptions & { readonly delta?: number } = {}): Node {
  const delta = options.delta ?? 1;
  if (!(delta > 0)) throw new ArgumentError(`huberLoss: delta ${delta} is not positive`);
  return pairwise("huberLoss", x, target, (x, target) => {
    const d = abs(sub(x, target));
    return reduceLoss("huberLoss", where(le(d, delta), mul(mul(d, d), 0.5), mul(sub(d, 0.5 * delta), delta)), options.reduction);
  });
}

/** Cross entropy of probabilities, logarithms limited to -100 (torch.nn.functional.binary_cross_entropy). */
export function binaryCrossEntropy(x: Node, target: Node, options: LossOptions & { readonly weight?: Node } = {}): Node {
  return pairwise("binaryCrossEntropy", x, target, (x, target) => {
    const [p, t] = broadcast("binaryCrossEntropy", x, target) as [Node, Node];
    const term = (v: Node): Node => clamp(log(v), -100);
    const loss = neg(add(mul(t, term(p)), mul(sub(1, t), term(sub(1, p)))));
    return reduceLoss("binaryCrossEntropy", options.weight ? mul(loss, options.weight) : loss, options.reduction);
  });
}
/** Cross entropy of logits, without overflow (torch.nn.functional.binary_cross_entropy_with_logits). */
export function binaryCrossEntropyWithLogits(
  x: Node,
  target: Node,
  options: LossOptions & { readonly weight?: Node; readonly posWeight?: Node } = {},
): Node {
  return pairwise("binaryCrossEntropyWithLogits", x, target, (x, target) => {
    const { weight, posWeight } = options;
    const ls = logSigmoid(x);
    const loss = posWeight ? sub(mul(sub(1, target), x), mul(add(mul(sub(posWeight, 1), target), 1), ls)) : sub(mul(sub(1, target), x), ls);
    return reduceLoss("binaryCrossEntropyWithLogits", weight ? mul(loss, weight) : loss, options.reduction);
  });
}

/** target (log target - x), x being log probabilities (torch.nn.functional.kl_div). */
export function klDiv(
  x: Node,
  target: Node,
  options: { readonly reduction?: Reduction | "batchmean"; readonly logTarget?: boolean } = {},
): Node {
  return pairwise("klDiv", x, target, (x, target) => {
    const loss = options.logTarget ? mul(exp(target), sub(target, x)) : sub(xlogx(target), mul(target, x));
    if (options.reduction !== "batchmean") return reduceLoss("klDiv", loss, options.reduction);
    return div(reduceLoss("klDiv", loss, "sum"), dimValue(x.type.shape[0] ?? 1, loss.type.dtype));
  });
}
/** t log t, and 0 where t is 0. */
const xlogx = (t: Node): Node => {
  const none = eq(t, 0);
  return where(none, 0, mul(t, log(where(none, 1, t))));
};

/** exp(x) - target x for Poisson counts (torch.nn.functional.poisson_nll_loss). */
export function poissonNllLoss(
  x: Node,
  target: Node,
  options: LossOptions & { readonly logInput?: boolean; readonly full?: boolean; readonly eps?: number } = {},
): Node {
  return pairwise("poissonNllLoss", x, target, (x, target) => {
    const { logInput = true, full = false, eps = 1e-8 } = options;
    let loss = logInput ? sub(exp(x), mul(target, x)) : sub(x, mul(target, log(add(x, eps))));
    if (full) {
      const t = where(gt(target, 1), target, 1);
      const stirling = add(sub(mul(t, log(t)), t), mul(log(mul(t, 2 * Math.PI)), 0.5));
      loss = add(loss, where(gt(target, 1), stirling, 0));
    }
    return reduceLoss("poissonNllLoss", loss, options.reduction);
  });
}
/** Negative log likelihood of a normal distribution with variance `variance` (torch.nn.functional.gaussian_nll_loss). */
export function gaussianNllLoss(
  x: Node,
  target: Node,
  variance: Operand,
  options: LossOptions & { readonly full?: boolean; readonly eps?: number } = {},
): Node {
  return pairwise("gaussianNllLoss", x, target, (x, target) => {
    const { full = false, eps = 1e-6 } = options;
    const given = typeof variance === "object" ? variance : expand(scalar(Number(variance), x.type.dtype), x.type.shape);
    const spread = given.type.shape.length === x.type.shape.length ? given : reshape(given, [...given.type.shape, 1]);
    // The limit is not differentiated, as in PyTorch.
    const v = where(lt(spread, eps), eps, spread);
    const d = sub(x, target);
    const loss = mul(add(log(v), div(mul(d, d), v)), 0.5);
    return reduceLoss("gaussianNllLoss", full ? add(loss, 0.5 * Math.log(2 * Math.PI)) : loss, options.reduction);
  });
}

computesIn(
  "wide",
  mseLoss,
  l1Loss,
  smoothL1Loss,
  huberLoss,
  binaryCrossEntropy,
  binaryCrossEntropyWithLogits,
  klDiv,
  poissonNllLoss,
  gaussianNllLoss,
);
