import { ShapeError } from "../core/errors.js";
import { showShape } from "../core/type.js";
import { make, type Node, type Op } from "../ir/node.js";
import { mapOp } from "./composite.js";
import type { None } from "./define.js";
import { abs, add, div, exp, expm1, gt, le, logicalAnd, lt, maximum, minimum, mul, sub, where } from "./elementwise.js";
import { reshape } from "./movement.js";

const kink = "the samples may cross a kink";

/** max(x, 0) (torch.relu). */
export function relu(x: Node): Node {
  return make(reluOp, [x], {});
}
export const reluOp: Op<[Node], None> = mapOp("relu", {
  any: true,
  forward: (x) => maximum(x, 0),
  vjp: (ct, _, __, y) => where(le(y, 0), 0, ct),
  tries: [{}],
  noGrad: kink,
});

/** x limited to [min, max] (torch.nn.functional.hardtanh); the derivative is 0 on the borders. */
export function hardtanh(x: Node, options: { readonly minVal?: number; readonly maxVal?: number } = {}): Node {
  return make(hardtanhOp, [x], { min: options.minVal ?? -1, max: options.maxVal ?? 1 });
}
export const hardtanhOp: Op<[Node], { min: number; max: number }> = mapOp("hardtanh", {
  any: true,
  forward: (x, { min, max }) => minimum(maximum(x, min), max),
  vjp: (ct, x, { min, max }) => where(logicalAnd(gt(x, min), lt(x, max)), ct, 0),
  tries: [
    { min: -1, max: 1 },
    { min: 0, max: 3 },
  ],
  noGrad: kink,
});

/** x limited to [0, 6] (torch.nn.functional.relu6). */
export function relu6(x: Node): Node {
  return hardtanh(x, { minVal: 0, maxVal: 6 });
}

/** x, and x times the slope where it is negative (torch.nn.functional.leaky_relu). */
export function leakyRelu(x: Node, options: { readonly negativeSlope?: number } = {}): Node {
  return make(leakyReluOp, [x], { slope: options.negativeSlope ?? 0.01 });
}
export const leakyReluOp: Op<[Node], { slope: number }> = mapOp("leakyRelu", {
  forward: (x, { slope }) => where(gt(x, 0), x, mul(x, slope)),
  vjp: (ct, x, { slope }) => where(gt(x, 0), ct, mul(ct, slope)),
  tries: [{ slope: 0.01 }, { slope: 0.25 }],
  noGrad: kink,
});

/** x, and alpha (exp(x) - 1) where it is negative (torch.nn.functional.elu). */
export function elu(x: Node, options: { readonly alpha?: number } = {}): Node {
  return make(eluOp, [x], { alpha: options.alpha ?? 1, scale: 1, inner: 1 });
}
/** elu with the scale and alpha of self-normalising networks (torch.nn.functional.selu). */
export function selu(x: Node): Node {
  return make(eluOp, [x], { alpha: 1.6732632423543772, scale: 1.0507009873554805, inner: 1 });
}
/** elu whose slope is continuous for every alpha (torch.nn.functional.celu). */
export function celu(x: Node, options: { readonly alpha?: number } = {}): Node {
  const alpha = options.alpha ?? 1;
  return make(eluOp, [x], { alpha, scale: 1, inner: 1 / alpha });
}
export const eluOp: Op<[Node], { alpha: number; scale: number; inner: number }> = mapOp("elu", {
  forward: (x, { alpha, scale, inner }) => where(gt(x, 0), times(x, scale), mul(expm1(times(minimum(x, 0), inner)), alpha * scale)),
  vjp: (ct, x, { alpha, scale, inner }) => mul(ct, where(gt(x, 0), scale, mul(exp(times(minimum(x, 0), inner)), alpha * scale * inner))),
  tries: [
    { alpha: 1, scale: 1, inner: 1 },
    { alpha: 0.5, scale: 1.5, inner: 2 },
  ],
  noGrad: kink,
});
const times = (x: Node, by: number): Node => (by === 1 ? x : mul(x, by));

/** relu6(x + 3) / 6 (torch.nn.functional.hardsigmoid). */
export function hardsigmoid(x: Node): Node {
  return make(hardsigmoidOp, [x], {});
}
export const hardsigmoidOp: Op<[Node], None> = mapOp("hardsigmoid", {
  forward: (x) => div(minimum(maximum(add(x, 3), 0), 6), 6),
  vjp: (ct, x) => where(lt(abs(x), 3), div(ct, 6), 0),
  tries: [{}],
  noGrad: kink,
});

/** x relu6(x + 3) / 6 (torch.nn.functional.hardswish). */
export function hardswish(x: Node): Node {
  return make(hardswishOp, [x], {});
}
export const hardswishOp: Op<[Node], None> = mapOp("hardswish", {
  forward: (x) => div(mul(x, minimum(maximum(add(x, 3), 0), 6)), 6),
  vjp: (ct, x) => where(le(x, -3), 0, where(lt(x, 3), mul(ct, add(div(x, 3), 0.5)), ct)),
  tries: [{}],
  noGrad: kink,
});

/** x moved by lambd towards 0, and 0 near it (torch.nn.functional.softshrink). */
export function softshrink(x: Node, options: { readonly lambd?: number } = {}): Node {
  return make(softshrinkOp, [x], { lambd: options.lambd ?? 0.5 });
}
export const softshrinkOp: Op<[Node], { lambd: number }> = mapOp("softshrink", {
  forward: (x, { lambd }) => where(gt(x, lambd), sub(x, lambd), where(lt(x, -lambd), add(x, lambd), mul(x, 0))),
  vjp: (ct, x, { lambd }) => where(le(abs(x), lambd), 0, ct),
  tries: [{ lambd: 0.5 }],
  noGrad: kink,
});

/** x, and 0 where |x| is at most lambd (torch.nn.functional.hardshrink). */
export function hardshrink(x: Node, options: { readonly lambd?: number } = {}): Node {
  return make(hardshrinkOp, [x], { lambd: options.lambd ?? 0.5 });
}
export const hardshrinkOp: Op<[Node], { lambd: number }> = mapOp("hardshrink", {
  forward: (x, { lambd }) => where(le(abs(x), lambd), 0, x),
  vjp: (ct, x, { lambd }) => where(le(abs(x), lambd), 0, ct),
  tries: [{ lambd: 0.5 }],
  noGrad: kink,
});

/** x, and `value` where x is at most the threshold (torch.nn.functional.threshold). */
export function threshold(x: Node, threshold: number, value: number): Node {
  return make(thresholdOp, [x], { threshold, value });
}
export const thresholdOp: Op<[Node], { threshold: number; value: number }> = mapOp("threshold", {
  any: true,
  forward: (x, { threshold, value }) => where(le(x, threshold), value, x),
  vjp: (ct, x, { threshold }) => where(le(x, threshold), 0, ct),
  tries: [{ threshold: 0.5, value: 2 }],
  noGrad: kink,
});

/** x, and x times a learned slope where it is negative: one slope, or one for each channel of axis 1 (torch.nn.functional.prelu). */
export function prelu(x: Node, weight: Node): Node {
  const { shape } = x.type;
  const [count] = weight.type.shape;
  if (weight.type.shape.length > 1 || (count !== undefined && count !== 1 && count !== shape[1]))
    throw new ShapeError(
      `prelu: weight ${showShape(weight.type.shape)} must hold one slope, or one for each channel of ${showShape(shape)}`,
    );
  const slope = count === undefined || shape.length < 2 ? reshape(weight, []) : reshape(weight, [count, ...shape.slice(2).map(() => 1)]);
  return where(gt(x, 0), x, mul(slope, x));
}
