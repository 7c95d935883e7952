import { ShapeError } from "../core/errors.js";
import { type Dim, div as divide, mul as times } from "../core/expr.js";
import { showShape } from "../core/type.js";
import { make, type Node, type Op } from "../ir/node.js";
import { floating, mapOp } from "./composite.js";
import type { None } from "./define.js";
import { normalizeDim } from "./dims.js";
import { abs, add, div, erf, exp, gt, log1p, minimum, mul, neg, sub, tanh, where } from "./elementwise.js";
import { slice } from "./movement.js";

/** 1 / (1 + exp(-x)) (torch.sigmoid). */
export function sigmoid(x: Node): Node {
  return make(sigmoidOp, [floating(x)], {});
}
export const sigmoidOp: Op<[Node], None> = mapOp("sigmoid", {
  forward: (x) => div(1, add(exp(neg(x)), 1)),
  vjp: (ct, _, __, y) => mul(ct, mul(y, sub(1, y))),
  tries: [{}],
});

/** log(sigmoid(x)) without overflow (torch.nn.functional.logsigmoid). */
export function logSigmoid(x: Node): Node {
  return make(logSigmoidOp, [x], {});
}
export const logSigmoidOp: Op<[Node], None> = mapOp("logSigmoid", {
  forward: (x) => sub(minimum(x, 0), log1p(exp(neg(abs(x))))),
  vjp: (ct, x) => mul(ct, sigmoid(neg(x))),
  tries: [{}],
});

/** x * sigmoid(x) (torch.nn.functional.silu). */
export function silu(x: Node): Node {
  return make(siluOp, [x], {});
}
export const siluOp: Op<[Node], None> = mapOp("silu", {
  forward: (x) => div(x, add(exp(neg(x)), 1)),
  vjp: (ct, x) => {
    const s = sigmoid(x);
    return mul(ct, mul(s, add(mul(x, sub(1, s)), 1)));
  },
  tries: [{}],
});

/** log(1 + exp(beta x)) / beta, and x itself where beta x exceeds the threshold (torch.nn.functional.softplus). */
export function softplus(x: Node, options: { readonly beta?: number; readonly threshold?: number } = {}): Node {
  return make(softplusOp, [x], { beta: options.beta ?? 1, threshold: options.threshold ?? 20 });
}
export const softplusOp: Op<[Node], { beta: number; threshold: number }> = mapOp("softplus", {
  forward: (x, { beta, threshold }) => {
    const z = beta === 1 ? x : mul(x, beta);
    const soft = log1p(exp(minimum(z, threshold)));
    return where(gt(z, threshold), x, beta === 1 ? soft : div(soft, beta));
  },
  vjp: (ct, x, { beta, threshold }) => {
    const z = beta === 1 ? x : mul(x, beta);
    return where(gt(z, threshold), ct, mul(ct, sigmoid(z)));
  },
  tries: [
    { beta: 1, threshold: 20 },
    { beta: 2, threshold: 3 },
  ],
  noGrad: "the threshold is a small jump",
});

/** x * tanh(softplus(x)) (torch.nn.functional.mish). */
export function mish(x: Node): Node {
  return make(mishOp, [x], {});
}
export const mishOp: Op<[Node], None> = mapOp("mish", {
  forward: (x) => mul(x, tanh(softplus(x))),
  vjp: (ct, x) => {
    const t = tanh(softplus(x));
    return mul(ct, add(t, mul(mul(x, sigmoid(x)), sub(1, mul(t, t)))));
  },
  tries: [{}],
});

/** x / (1 + |x|) (torch.nn.functional.softsign). */
export function softsign(x: Node): Node {
  return make(softsignOp, [x], {});
}
export const softsignOp: Op<[Node], None> = mapOp("softsign", {
  forward: (x) => div(x, add(abs(x), 1)),
  vjp: (ct, x) => {
    const d = add(abs(x), 1);
    return div(ct, mul(d, d));
  },
  tries: [{}],
});

/** x - tanh(x) (torch.nn.functional.tanhshrink). */
export function tanhshrink(x: Node): Node {
  return make(tanhshrinkOp, [x], {});
}
export const tanhshrinkOp: Op<[Node], None> = mapOp("tanhshrink", {
  forward: (x) => sub(x, tanh(x)),
  vjp: (ct, x) => {
    const t = tanh(x);
    return mul(ct, mul(t, t));
  },
  tries: [{}],
});

/** x times the normal distribution function, exact or through tanh (torch.nn.functional.gelu). */
export function gelu(x: Node, options: { readonly approximate?: "none" | "tanh" } = {}): Node {
  return make(geluOp, [x], { approximate: options.approximate ?? "none" });
}
export const geluOp: Op<[Node], { approximate: "none" | "tanh" }> = mapOp("gelu", {
  forward: (x, { approximate }) => mul(x, approximate === "tanh" ? mul(add(tanh(geluInner(x)), 1), 0.5) : normalCdf(x)),
  vjp: (ct, x, { approximate }) => {
    if (approximate === "none") return mul(ct, add(normalCdf(x), mul(x, mul(exp(mul(mul(x, x), -0.5)), 1 / Math.sqrt(2 * Math.PI)))));
    const t = tanh(geluInner(x));
    const slope = mul(add(mul(mul(x, x), 3 * 0.044715), 1), Math.sqrt(2 / Math.PI));
    return mul(ct, mul(add(add(t, 1), mul(x, mul(sub(1, mul(t, t)), slope))), 0.5));
  },
  tries: [{ approximate: "none" }, { approximate: "tanh" }],
});
const normalCdf = (x: Node): Node => mul(add(erf(mul(x, Math.SQRT1_2)), 1), 0.5);
const geluInner = (x: Node): Node => mul(mul(x, add(mul(mul(x, x), 0.044715), 1)), Math.sqrt(2 / Math.PI));

/** The first half of x along `dim` times the sigmoid of the second (torch.nn.functional.glu). */
export function glu(x: Node, dim: number = -1): Node {
  const { shape } = x.type;
  const axis = normalizeDim(dim, shape.length, "glu");
  const half = divide(shape[axis] ?? 1, 2);
  if (times(half, 2) !== shape[axis]) throw new ShapeError(`glu: axis ${axis} of ${showShape(shape)} has no two halves`);
  const part = (from: Dim): Node =>
    slice(
      x,
      shape.map((_, i) => (i === axis ? from : 0)),
      shape.map((d, i) => (i === axis ? half : d)),
    );
  return mul(part(0), sigmoid(part(half)));
}
