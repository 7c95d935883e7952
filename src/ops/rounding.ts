import { isFloat } from "../core/dtype.js";
import type { Node } from "../ir/node.js";
import { div, mul } from "./arithmetic.js";
import { type Unary, type UnaryRule, unary } from "./define.js";

/** Half to even, as IEEE 754 rounds. */
export function roundHalfEven(x: number): number {
  const r = Math.round(x);
  const out = Math.abs(x % 1) === 0.5 ? 2 * Math.round(x / 2) : r;
  return out === 0 && (x < 0 || Object.is(x, -0)) ? -0 : out;
}
/** Integers stay as they are. */
function rounding(name: string, reference: UnaryRule["reference"]): Unary {
  const f = unary(name, { domain: "float", range: [-4, 4], discontinuous: "piecewise constant", reference, vjp: () => null });
  return Object.assign((x: Node): Node => (isFloat(x.type.dtype) ? f(x) : x), { op: f.op });
}
/** The largest integer at most x (torch.floor). */
export const floor: Unary = rounding("floor", Math.floor);
/** The smallest integer at least x (torch.ceil). */
export const ceil: Unary = rounding("ceil", Math.ceil);
/** x without its fraction (torch.trunc). */
export const trunc: Unary = rounding("trunc", Math.trunc);
const nearest = rounding("round", roundHalfEven);
/** The nearest integer, halves to even; with `decimals` the nearest multiple of a power of ten (torch.round). */
export const round: Unary & ((x: Node, options?: { decimals?: number }) => Node) = Object.assign(
  (x: Node, { decimals = 0 }: { decimals?: number } = {}): Node => {
    if (decimals === 0 || !isFloat(x.type.dtype)) return nearest(x);
    const by = 10 ** Math.abs(decimals);
    return decimals > 0 ? div(nearest(mul(x, by)), by) : mul(nearest(div(x, by)), by);
  },
  { op: nearest.op },
);
