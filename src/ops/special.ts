import { isFloat } from "../core/dtype.js";
import { UnsupportedError } from "../core/errors.js";
import type { Node } from "../ir/node.js";
import { abs, add, div, fill, maximum, minimum, mul, neg, reciprocal, square, sub } from "./arithmetic.js";
import { cast } from "./cast.js";
import { eq, isNaN, le, logicalAnd, logicalOr, lt, where } from "./comparison.js";
import { type Binary, binary, type Unary, unary } from "./define.js";
import { digammaOf, erfinvOf } from "./oracle.js";
import { literalDType } from "./promotion.js";
import { erf, exp, exp2, log, log1p, sin, sqrt, tan } from "./transcendental.js";

/** A polynomial in x, highest power first. */
const polynomial = (x: Node, coefficients: readonly number[]): Node =>
  coefficients.slice(1).reduce<Node>((sum, c) => add(mul(sum, x), c), fill(x, coefficients[0]!));

/** The inverse of erf (torch.erfinv). */
export const erfinv: Unary = unary("erfinv", {
  domain: "float",
  scalar: null,
  range: [-0.9, 0.9],
  reference: erfinvOf,
  vjp: (ct, _, y) => mul(ct, mul(exp(square(y)), Math.sqrt(Math.PI) / 2)),
  // A guess from the asymptotic form, good to 2e-3, then Newton steps; each doubles the digits.
  decompose: (x) => {
    const a = 0.147;
    const l = log(mul(sub(1, x), add(x, 1)));
    const t = add(mul(l, 0.5), 2 / (Math.PI * a));
    const size = sqrt(sub(sqrt(sub(square(t), div(l, a))), t));
    const rough = where(lt(x, 0), neg(size), size);
    const step = (y: Node): Node => {
      const by = div(sub(erf(y), x), mul(exp(neg(square(y))), 2 / Math.sqrt(Math.PI)));
      return sub(y, div(by, add(mul(y, by), 1)));
    };
    const edge = eq(abs(x), 1);
    return where(edge, mul(x, Number.POSITIVE_INFINITY), step(step(where(edge, 0, rough))));
  },
});

/** The derivative of log gamma (torch.digamma). */
export const digamma: Unary = unary("digamma", {
  domain: "float",
  scalar: null,
  range: [0.25, 5],
  reference: digammaOf,
  // The reflection formula below 0.5, the recurrence up to 8 and more, the asymptotic series there.
  decompose: (x) => {
    const low = lt(x, 0.5);
    const from = where(low, sub(1, x), x);
    // 1/z + ... + 1/(z + 7), in pairs whose denominators add up to the same: 2z + 7 over z(z + 7) + k(7 - k).
    const base = mul(from, add(from, 7));
    const parts = [0, 6, 10, 12].map((c) => reciprocal(add(base, c)));
    const sum = mul(add(mul(from, 2), 7), add(add(parts[3]!, parts[2]!), add(parts[1]!, parts[0]!)));
    const z = add(from, 8);
    const w = reciprocal(square(z));
    const tail = mul(
      w,
      polynomial(
        w,
        [-1 / 12, 691 / 32760, -1 / 132, 1 / 240, -1 / 252, 1 / 120, -1 / 12].map((c) => -c),
      ),
    );
    const value = sub(sub(sub(log(z), div(0.5, z)), tail), sum);
    const reflected = sub(value, div(Math.PI, tan(mul(x, Math.PI))));
    return where(low, where(eq(x, 0), div(-1, x), reflected), where(eq(x, Number.POSITIVE_INFINITY), x, value));
  },
});

/** sin(pi x) / (pi x), 1 at 0 (torch.sinc). */
export const sinc: Unary = unary("sinc", {
  domain: "float",
  scalar: null,
  reference: (x) => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x)),
  decompose: (x) => {
    const zero = eq(x, 0);
    const a = mul(where(zero, 1, x), Math.PI);
    return where(zero, 1, div(sin(a), a));
  },
});
/** a * log(b), 0 where a is 0 and b is not NaN (torch.xlogy). */
export const xlogy: Binary = binary("xlogy", {
  domain: "float",
  scalar: null,
  range: [
    [-2, 2],
    [0.25, 3],
  ],
  reference: (a, b) => (Number.isNaN(b) ? Number.NaN : a === 0 ? 0 : a * Math.log(b)),
  vjp: (ct, a, b) => [mul(ct, where(logicalAnd(eq(a, 0), le(b, 0)), 0, log(b))), mul(ct, div(a, b))],
  decompose: (a, b) => where(logicalAnd(eq(a, 0), eq(b, b)), 0, mul(a, log(b))),
});
/** log(x / (1 - x)); with `eps`, x is first held within [eps, 1 - eps] (torch.logit). */
export function logit(x: Node, { eps }: { eps?: number } = {}): Node {
  const from = cast(x, literalDType(0.5, x.type.dtype));
  const z = eps === undefined ? from : minimum(maximum(from, eps), 1 - eps);
  return log(div(z, sub(1, z)));
}
/** log(e^a + e^b) without overflow (torch.logaddexp). */
export const logaddexp: Binary = binary("logaddexp", {
  domain: "float",
  scalar: null,
  reference: (a, b) => (a === b ? a + Math.LN2 : Math.max(a, b) + Math.log1p(Math.exp(-Math.abs(a - b)))),
  vjp: (ct, a, b, y) => [mul(ct, exp(sub(a, y))), mul(ct, exp(sub(b, y)))],
  decompose: (a, b) => {
    const top = maximum(a, b);
    // Equal infinities would give infinity - infinity.
    return where(eq(a, b), add(a, Math.LN2), add(top, log1p(exp(neg(abs(sub(a, b)))))));
  },
});
/** log2(2^a + 2^b) without overflow (torch.logaddexp2). */
export const logaddexp2: Binary = binary("logaddexp2", {
  domain: "float",
  scalar: null,
  reference: (a, b) => (a === b ? a + 1 : Math.max(a, b) + Math.log1p(2 ** -Math.abs(a - b)) * Math.LOG2E),
  vjp: (ct, a, b, y) => [mul(ct, exp2(sub(a, y))), mul(ct, exp2(sub(b, y)))],
  decompose: (a, b) => where(eq(a, b), add(a, 1), add(maximum(a, b), mul(log1p(exp2(neg(abs(sub(a, b))))), Math.LOG2E))),
});
/** sqrt(a^2 + b^2) without overflow (torch.hypot). */
export const hypot: Binary = binary("hypot", {
  domain: "float",
  scalar: null,
  range: [
    [-2, 2],
    [0.25, 2],
  ],
  reference: Math.hypot,
  vjp: (ct, a, b, y) => [mul(ct, div(a, y)), mul(ct, div(b, y))],
  decompose: (a, b) => {
    const [x, y] = [abs(a), abs(b)];
    const [top, bottom] = [maximum(x, y), minimum(x, y)];
    const ratio = where(eq(top, 0), 0, where(eq(x, y), 1, div(bottom, top)));
    const infinite = logicalOr(eq(x, Number.POSITIVE_INFINITY), eq(y, Number.POSITIVE_INFINITY));
    return where(infinite, Number.POSITIVE_INFINITY, mul(top, sqrt(add(square(ratio), 1))));
  },
});

const largest = { f16: 65504, bf16: (2 - 2 ** -7) * 2 ** 127, f32: (2 - 2 ** -23) * 2 ** 127, f64: Number.MAX_VALUE } as const;
/** NaN becomes `nan`, infinities the largest finite numbers unless told otherwise (torch.nan_to_num). */
export function nanToNum(x: Node, { nan = 0, posinf, neginf }: { nan?: number; posinf?: number; neginf?: number } = {}): Node {
  const { dtype } = x.type;
  if (!isFloat(dtype)) return x;
  if (!(dtype in largest)) throw new UnsupportedError(`nanToNum: ${dtype} has no largest number`);
  const top = largest[dtype as keyof typeof largest];
  const finite = where(eq(x, Number.POSITIVE_INFINITY), posinf ?? top, where(eq(x, Number.NEGATIVE_INFINITY), neginf ?? -top, x));
  return where(isNaN(x), nan, finite);
}
