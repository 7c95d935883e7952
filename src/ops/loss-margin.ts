import { ShapeError } from "../core/errors.js";
import { showShape } from "../core/type.js";
import type { Node } from "../ir/node.js";
import { logSigmoid } from "./activation.js";
import { keepMean, single } from "./composite.js";
import { normalizeDim } from "./dims.js";
import { abs, add, div, eq, exp, log1p, maximum, minimum, mul, neg, pow, sqrt, sub, where } from "./elementwise.js";
import { type LossOptions, reduceLoss } from "./loss.js";
import { reshape } from "./movement.js";
import { computesIn } from "./precision.js";
import { broadcast } from "./promotion.js";
import { amax, sum } from "./reduce.js";

/** Cosine of the angle between vectors along `dim`, norms limited from below by eps (torch.nn.functional.cosine_similarity). */
export function cosineSimilarity(a: Node, b: Node, options: { readonly dim?: number; readonly eps?: number } = {}): Node {
  return single([a, b], (a, b) => {
    const [x, y] = broadcast("cosineSimilarity", a, b) as [Node, Node];
    const axis = normalizeDim(options.dim ?? 1, x.type.shape.length, "cosineSimilarity");
    const axes = x.type.shape.length ? [axis] : [];
    const eps = options.eps ?? 1e-8;
    // Each norm is limited by itself, and its derivative is 0 where it is limited.
    const norm = (v: Node): Node => sqrt(maximum(sum(mul(v, v), axes), eps * eps));
    return div(sum(mul(x, y), axes), mul(norm(x), norm(y)));
  });
}

/** |a - b + eps| in the p-norm along the last axis (torch.nn.functional.pairwise_distance). */
export function pairwiseDistance(
  a: Node,
  b: Node,
  options: { readonly p?: number; readonly eps?: number; readonly keepdim?: boolean } = {},
): Node {
  return single([a, b], (a, b) => {
    const { p = 2, eps = 1e-6, keepdim = false } = options;
    const d = abs(add(sub(a, b), eps));
    const y =
      p === Number.POSITIVE_INFINITY
        ? amax(d, -1)
        : p === 1
          ? sum(d, -1)
          : p === 2
            ? sqrt(sum(mul(d, d), -1))
            : pow(sum(pow(d, p), -1), 1 / p);
    return keepdim ? reshape(y, [...y.type.shape, 1]) : y;
  });
}

/** 1 - cos for pairs with target 1, max(0, cos - margin) for -1 (torch.nn.functional.cosine_embedding_loss). */
export function cosineEmbeddingLoss(a: Node, b: Node, target: Node, options: LossOptions & { readonly margin?: number } = {}): Node {
  const name = "cosineEmbeddingLoss";
  if (target.type.shape.length + 1 !== a.type.shape.length)
    throw new ShapeError(
      `${name}: target ${showShape(target.type.shape)} must hold one number for each vector of ${showShape(a.type.shape)}`,
    );
  return single([a, b], (a, b) => {
    const eps = 1e-12;
    const square = (v: Node): Node => add(sum(mul(v, v), -1), eps);
    const cos = div(sum(mul(a, b), -1), sqrt(mul(square(a), square(b))));
    const loss = where(eq(target, 1), sub(1, cos), where(eq(target, -1), maximum(sub(cos, options.margin ?? 0), 0), 0));
    return reduceLoss(name, loss, options.reduction);
  });
}

/** max(0, -target (a - b) + margin) (torch.nn.functional.margin_ranking_loss). */
export function marginRankingLoss(a: Node, b: Node, target: Node, options: LossOptions & { readonly margin?: number } = {}): Node {
  return single([a, b], (a, b) => {
    const loss = maximum(add(mul(neg(target), sub(a, b)), options.margin ?? 0), 0);
    return reduceLoss("marginRankingLoss", loss, options.reduction);
  });
}

/** x where the target is 1, max(0, margin - x) where it is -1 (torch.nn.functional.hinge_embedding_loss). */
export function hingeEmbeddingLoss(x: Node, target: Node, options: LossOptions & { readonly margin?: number } = {}): Node {
  return single([x], (x) => {
    const far = maximum(sub(options.margin ?? 1, x), 0);
    const loss = add(where(eq(target, 1), 0, far), where(eq(target, -1), 0, x));
    return reduceLoss("hingeEmbeddingLoss", loss, options.reduction);
  });
}

/** log(1 + exp(-target x)) (torch.nn.functional.soft_margin_loss). */
export function softMarginLoss(x: Node, target: Node, options: LossOptions = {}): Node {
  return single([x], (x) => {
    const z = mul(neg(target), x);
    return reduceLoss("softMarginLoss", add(maximum(z, 0), log1p(exp(neg(abs(z))))), options.reduction);
  });
}

/** Binary cross entropies averaged over classes (torch.nn.functional.multilabel_soft_margin_loss). */
export function multilabelSoftMarginLoss(x: Node, target: Node, options: LossOptions & { readonly weight?: Node } = {}): Node {
  return single([x], (x) => {
    const loss = neg(add(mul(target, logSigmoid(x)), mul(sub(1, target), logSigmoid(neg(x)))));
    const weighted = options.weight ? mul(loss, options.weight) : loss;
    const rank = x.type.shape.length;
    const mean = keepMean(weighted, rank ? [rank - 1] : []);
    return reduceLoss("multilabelSoftMarginLoss", rank ? reshape(mean, mean.type.shape.slice(0, -1)) : mean, options.reduction);
  });
}

/** max(0, d(anchor, positive) - d(anchor, negative) + margin) (torch.nn.functional.triplet_margin_loss). */
export function tripletMarginLoss(
  anchor: Node,
  positive: Node,
  negative: Node,
  options: LossOptions & { readonly margin?: number; readonly p?: number; readonly eps?: number; readonly swap?: boolean } = {},
): Node {
  return single([anchor, positive, negative], (anchor, positive, negative) => {
    const { margin = 1, p = 2, eps = 1e-6, swap = false } = options;
    const near = pairwiseDistance(anchor, positive, { p, eps });
    const far = pairwiseDistance(anchor, negative, { p, eps });
    const other = swap ? minimum(far, pairwiseDistance(positive, negative, { p, eps })) : far;
    return reduceLoss("tripletMarginLoss", maximum(add(sub(near, other), margin), 0), options.reduction);
  });
}

computesIn(
  "wide",
  cosineSimilarity,
  pairwiseDistance,
  cosineEmbeddingLoss,
  marginRankingLoss,
  hingeEmbeddingLoss,
  softMarginLoss,
  multilabelSoftMarginLoss,
  tripletMarginLoss,
);
