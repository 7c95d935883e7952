import { type DType, isFloat } from "../core/dtype.js";
import { DTypeError } from "../core/errors.js";
import { showType, type TensorType } from "../core/type.js";
import { make, type Node, type Op, op, type Sample } from "../ir/node.js";
import { floating, keepMax, keepSum, widen } from "./composite.js";
import { normalizeDim } from "./dims.js";
import { cast, exp, log, mul, neg, reciprocal, sub } from "./elementwise.js";
import { reshape } from "./movement.js";
import { computesIn } from "./precision.js";

type Axis = { axis: number };
type SoftmaxOptions = { readonly dtype?: DType };

/** exp(x) / sum(exp(x)) along `dim`, without overflow (torch.softmax). */
export function softmax(x: Node, dim: number, options: SoftmaxOptions = {}): Node {
  return record(softmaxOp, x, dim, options);
}
export const softmaxOp: Op<[Node], Axis> = op({
  name: "softmax",
  kind: "composite",
  infer: ([x]) => infer("softmax", x),
  vjp: (ct, y) => {
    const [g, p] = [widen(ct), widen(y)];
    return [cast(mul(p, sub(g, keepSum(mul(g, p), [y.attrs.axis]))), y.type.dtype)];
  },
  decompose: (y, [x]) => {
    const wide = widen(x);
    const e = exp(sub(wide, keepMax(wide, [y.attrs.axis])));
    // The sum is at least 1, so its reciprocal loses nothing to overflow, and one division serves a whole row.
    return cast(mul(e, reciprocal(keepSum(e, [y.attrs.axis]))), y.type.dtype);
  },
  samples: samples(softmax),
});

/** log(softmax(x)) along `dim`, without overflow (torch.log_softmax). */
export function logSoftmax(x: Node, dim: number, options: SoftmaxOptions = {}): Node {
  return record(logSoftmaxOp, x, dim, options);
}
export const logSoftmaxOp: Op<[Node], Axis> = op({
  name: "logSoftmax",
  kind: "composite",
  infer: ([x]) => infer("logSoftmax", x),
  vjp: (ct, y) => {
    const g = widen(ct);
    return [cast(sub(g, mul(exp(widen(y)), keepSum(g, [y.attrs.axis]))), y.type.dtype)];
  },
  decompose: (y, [x]) => {
    const wide = widen(x);
    const shifted = sub(wide, keepMax(wide, [y.attrs.axis]));
    return cast(sub(shifted, log(keepSum(exp(shifted), [y.attrs.axis]))), y.type.dtype);
  },
  samples: samples(logSoftmax),
});

/** softmax(-x) along `dim` (torch.nn.functional.softmin). */
export function softmin(x: Node, dim: number, options: SoftmaxOptions = {}): Node {
  return softmax(neg(options.dtype ? cast(x, options.dtype) : x), dim);
}

function infer(name: string, x: TensorType): TensorType {
  if (!isFloat(x.dtype)) throw new DTypeError(`${name}: ${showType(x)} is not floating point; pass a dtype or cast it first`);
  return x;
}
function record(o: Op<[Node], Axis>, x: Node, dim: number, options: SoftmaxOptions): Node {
  const from = floating(options.dtype ? cast(x, options.dtype) : x);
  const { shape } = from.type;
  if (shape.length) return make(o, [from], { axis: normalizeDim(dim, shape.length, o.name) });
  return reshape(make(o, [reshape(from, [1])], { axis: normalizeDim(dim, 1, o.name) }), []);
}
function samples(f: (x: Node, dim: number) => Node): readonly Sample[] {
  return [
    { shapes: [[3, 7]], call: (x) => f(x!, 1) },
    { shapes: [[2, 5, 3]], call: (x) => f(x!, 1), range: [-20, 20] },
    { shapes: [[4, 130]], call: (x) => f(x!, -1) },
  ];
}

computesIn("wide", softmax, logSoftmax, softmin);
