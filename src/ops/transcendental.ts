import { add, div, mul, neg, reciprocal, square, sub } from "./arithmetic.js";
import { eq, logicalAnd, where } from "./comparison.js";
import { type Binary, binary, type Unary, unary } from "./define.js";
import { erfcOf, erfOf, lgammaOf } from "./oracle.js";
import { digamma } from "./special.js";

/** Square root (torch.sqrt). */
export const sqrt: Unary = unary("sqrt", { domain: "float", range: [0.1, 3], reference: Math.sqrt, vjp: (ct, _, y) => div(ct, mul(y, 2)) });
/** 1 / sqrt(x) (torch.rsqrt). */
export const rsqrt: Unary = unary("rsqrt", {
  domain: "float",
  range: [0.1, 3],
  reference: (x) => 1 / Math.sqrt(x),
  vjp: (ct, _, y) => mul(ct, mul(mul(y, mul(y, y)), -0.5)),
});
/** e to the power of x (torch.exp). */
export const exp: Unary = unary("exp", { domain: "float", reference: Math.exp, vjp: (ct, _, y) => mul(ct, y) });
/** 2 to the power of x (torch.exp2). */
export const exp2: Unary = unary("exp2", { domain: "float", reference: (x) => 2 ** x, vjp: (ct, _, y) => mul(ct, mul(y, Math.LN2)) });
/** e to the power of x, minus 1, exact near 0 (torch.expm1). */
export const expm1: Unary = unary("expm1", { domain: "float", reference: Math.expm1, vjp: (ct, _, y) => mul(ct, add(y, 1)) });
/** Natural logarithm (torch.log). */
export const log: Unary = unary("log", { domain: "float", range: [0.1, 3], reference: Math.log, vjp: (ct, x) => div(ct, x) });
/** Logarithm to base 2 (torch.log2). */
export const log2: Unary = unary("log2", {
  domain: "float",
  range: [0.1, 3],
  reference: Math.log2,
  vjp: (ct, x) => div(ct, mul(x, Math.LN2)),
});
/** Logarithm to base 10 (torch.log10). */
export const log10: Unary = unary("log10", {
  domain: "float",
  scalar: null,
  range: [0.1, 3],
  reference: Math.log10,
  vjp: (ct, x) => div(ct, mul(x, Math.LN10)),
  decompose: (x) => mul(log(x), Math.LOG10E),
});
/** log(1 + x), exact near 0 (torch.log1p). */
export const log1p: Unary = unary("log1p", {
  domain: "float",
  range: [-0.9, 3],
  reference: Math.log1p,
  vjp: (ct, x) => div(ct, add(x, 1)),
});

/** Sine (torch.sin). */
export const sin: Unary = unary("sin", { domain: "float", reference: Math.sin, vjp: (ct, x) => mul(ct, cos(x)) });
/** Cosine (torch.cos). */
export const cos: Unary = unary("cos", { domain: "float", reference: Math.cos, vjp: (ct, x) => neg(mul(ct, sin(x))) });
/** Tangent (torch.tan). */
export const tan: Unary = unary("tan", {
  domain: "float",
  range: [-1, 1],
  reference: Math.tan,
  vjp: (ct, _, y) => mul(ct, add(square(y), 1)),
});
/** Inverse sine (torch.asin). */
export const asin: Unary = unary("asin", {
  domain: "float",
  range: [-0.9, 0.9],
  reference: Math.asin,
  vjp: (ct, x) => mul(ct, rsqrt(sub(1, square(x)))),
});
/** Inverse cosine (torch.acos). */
export const acos: Unary = unary("acos", {
  domain: "float",
  range: [-0.9, 0.9],
  reference: Math.acos,
  vjp: (ct, x) => neg(mul(ct, rsqrt(sub(1, square(x))))),
});
/** Inverse tangent (torch.atan). */
export const atan: Unary = unary("atan", { domain: "float", reference: Math.atan, vjp: (ct, x) => div(ct, add(square(x), 1)) });
/** The angle of the point (b, a) (torch.atan2). */
export const atan2: Binary = binary("atan2", {
  domain: "float",
  range: [
    [-2, 2],
    [0.25, 2],
  ],
  reference: Math.atan2,
  vjp: (ct, a, b) => {
    const scale = reciprocal(add(square(a), square(b)));
    const none = logicalAnd(eq(a, 0), eq(b, 0));
    return [mul(ct, where(none, 0, mul(b, scale))), mul(ct, where(none, 0, mul(neg(a), scale)))];
  },
});
/** Hyperbolic sine (torch.sinh). */
export const sinh: Unary = unary("sinh", { domain: "float", reference: Math.sinh, vjp: (ct, x) => mul(ct, cosh(x)) });
/** Hyperbolic cosine (torch.cosh). */
export const cosh: Unary = unary("cosh", { domain: "float", reference: Math.cosh, vjp: (ct, x) => mul(ct, sinh(x)) });
/** Hyperbolic tangent (torch.tanh). */
export const tanh: Unary = unary("tanh", { domain: "float", reference: Math.tanh, vjp: (ct, _, y) => mul(ct, sub(1, square(y))) });
/** Inverse hyperbolic sine (torch.asinh). */
export const asinh: Unary = unary("asinh", { domain: "float", reference: Math.asinh, vjp: (ct, x) => mul(ct, rsqrt(add(square(x), 1))) });
/** Inverse hyperbolic cosine (torch.acosh). */
export const acosh: Unary = unary("acosh", {
  domain: "float",
  range: [1.25, 4],
  reference: Math.acosh,
  vjp: (ct, x) => mul(ct, rsqrt(sub(square(x), 1))),
});
/** Inverse hyperbolic tangent (torch.atanh). */
export const atanh: Unary = unary("atanh", {
  domain: "float",
  range: [-0.9, 0.9],
  reference: Math.atanh,
  vjp: (ct, x) => div(ct, sub(1, square(x))),
});

const twoOverRootPi = 2 / Math.sqrt(Math.PI);
/** The error function (torch.erf). */
export const erf: Unary = unary("erf", {
  domain: "float",
  reference: erfOf,
  vjp: (ct, x) => mul(ct, mul(exp(neg(square(x))), twoOverRootPi)),
});
/** 1 - erf(x), exact for large x (torch.erfc). */
export const erfc: Unary = unary("erfc", {
  domain: "float",
  reference: erfcOf,
  vjp: (ct, x) => mul(ct, mul(exp(neg(square(x))), -twoOverRootPi)),
});
/** log |gamma(x)| (torch.lgamma). */
export const lgamma: Unary = unary("lgamma", {
  domain: "float",
  range: [0.25, 6],
  reference: lgammaOf,
  vjp: (ct, x) => mul(ct, digamma(x)),
});
