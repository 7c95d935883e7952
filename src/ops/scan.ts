import { roundValue } from "../core/convert.js";
import { computeDType, type DType, isFloat } from "../core/dtype.js";
import { DTypeError, ShapeError } from "../core/errors.js";
import { hostData, NdArray } from "../core/ndarray.js";
import { showShape } from "../core/type.js";
import { make, type Node, type Op, op, type Sample } from "../ir/node.js";
import { cast } from "./cast.js";
import { floating, widen } from "./composite.js";
import { normalizeDim } from "./dims.js";
import { domainDTypes } from "./domains.js";
import { add, div, eq, exp, fill, isInf, isNaN, le, log, logicalAnd, logicalOr, mul, sub, where } from "./elementwise.js";
import { scatterAdd } from "./gather.js";
import { expand, reshape } from "./movement.js";
import { computesIn } from "./precision.js";
import { amax, sum } from "./reduce.js";
import { iota } from "./source.js";

/** Attributes of a scan: along `axis`, from the far end if `reverse`. */
export type Scan = { axis: number; combine: "add" | "mul" | "max" | "min"; reverse: boolean };

const joins: Record<Scan["combine"], (a: number, b: number) => number> = {
  add: (a, b) => a + b,
  mul: (a, b) => a * b,
  max: (a, b) => (Number.isNaN(a) || a > b ? a : b),
  min: (a, b) => (Number.isNaN(a) || a < b ? a : b),
};
/** Folds along one axis and keeps every partial result, rounded as an accumulator is. */
function accumulate(x: NdArray, { axis, combine, reverse }: Scan, dtype: DType): NdArray {
  const n = x.shape[axis]!;
  const inner = x.shape.slice(axis + 1).reduce((a, b) => a * b, 1);
  const data = hostData(dtype, x.data.length);
  const f = joins[combine];
  const as = computeDType(dtype);
  const join = (a: number | bigint, b: number | bigint): number | bigint => {
    if (isFloat(dtype)) return as === "f64" ? f(a as number, b as number) : Math.fround(f(a as number, b as number));
    return roundValue(dtype, f(BigInt(a) as unknown as number, BigInt(b) as unknown as number));
  };
  for (let start = 0; start < x.data.length; start += n * inner)
    for (let r = 0; r < inner; r++)
      for (let k = 0; k < n; k++) {
        const at = start + (reverse ? n - 1 - k : k) * inner + r;
        data[at] = k === 0 ? x.data[at]! : join(data[at + (reverse ? inner : -inner)]!, x.data[at]!);
      }
  return new NdArray(dtype, x.shape, data);
}
function scanOf(
  name: string,
  combine: Scan["combine"],
  vjp: (ct: Node, x: Node, y: Node, a: Scan) => Node,
  test: readonly DType[],
): Op<[Node], Scan> {
  const self: Op<[Node], Scan> = op<[Node], Scan>({
    name,
    kind: "scan",
    infer: ([x], { axis }) => {
      if (x.dtype === "bool") throw new DTypeError(`${name}: cast bool to an integer first`);
      if (!(axis >= 0 && axis < x.shape.length)) throw new ShapeError(`${name}: ${axis} is not an axis of ${showShape(x.shape)}`);
      return x;
    },
    vjp: (ct, y) => [vjp(ct, y.inputs[0]!, y, y.attrs)],
    reference: ([x], attrs, out) => accumulate(x, attrs, out.dtype),
    samples: [
      ...[false, true].map(
        (reverse): Sample => ({ shapes: [[3, 5]], range: [-1.5, 1.5], test, call: (x) => make(self, [x!], { axis: 1, combine, reverse }) }),
      ),
      { shapes: [[4, 3]], range: [-1.5, 1.5], call: (x) => make(self, [x!], { axis: 0, combine, reverse: false }) },
      { shapes: [[2, 70]], range: [-1.5, 1.5], call: (x) => make(self, [x!], { axis: 1, combine, reverse: false }) },
      { shapes: [[2, 0]], call: (x) => make(self, [x!], { axis: 1, combine, reverse: false }) },
    ],
  });
  return self;
}
const run = (o: Op<[Node], Scan>, x: Node, axis: number, combine: Scan["combine"], reverse = false): Node =>
  make(o, [x], { axis, combine, reverse });
/** A rank-0 tensor is its own scan. */
function along(name: string, x: Node, dim: number, f: (axis: number) => Node): Node {
  const axis = normalizeDim(dim, x.type.shape.length, name);
  return x.type.shape.length ? f(axis) : x;
}
const whole = (x: Node, dtype: DType | undefined): Node => cast(x, dtype ?? (isFloat(x.type.dtype) ? x.type.dtype : "i64"));

/** The op of `cumsum`. */
export const cumsumOp: Op<[Node], Scan> = scanOf(
  "cumsum",
  "add",
  (ct, _x, _y, { axis, reverse }) => run(cumsumOp, ct, axis, "add", !reverse),
  domainDTypes.number,
);
/** Sums of the elements up to each one; integers and bool as i64 (torch.cumsum). */
export const cumsum = (x: Node, dim: number, { dtype }: { dtype?: DType } = {}): Node => {
  const from = whole(x, dtype);
  return along("cumsum", from, dim, (axis) => run(cumsumOp, from, axis, "add"));
};

/** The op of `cumprod`. */
export const cumprodOp: Op<[Node], Scan> = scanOf("cumprod", "mul", productBack, domainDTypes.number);
/** Before the first 0 the plain rule, at it the products of the others, behind it nothing. */
function productBack(ct: Node, x: Node, y: Node, { axis, reverse }: Scan): Node {
  const isZero = eq(x, 0);
  const seen = run(cumsumOp, cast(isZero, "i32"), axis, "add", reverse);
  const first = logicalAnd(isZero, eq(seen, 1));
  const back = (v: Node): Node => run(cumsumOp, v, axis, "add", !reverse);
  const plain = div(back(mul(ct, y)), where(isZero, 1, x));
  const others = run(cumprodOp, where(first, 1, x), axis, "mul", reverse);
  const atZero = back(where(eq(seen, 0), 0, mul(ct, others)));
  return where(eq(seen, 0), plain, where(first, atZero, 0));
}
/** Products of the elements up to each one; integers and bool as i64 (torch.cumprod). */
export const cumprod = (x: Node, dim: number, { dtype }: { dtype?: DType } = {}): Node => {
  const from = whole(x, dtype);
  return along("cumprod", from, dim, (axis) => run(cumprodOp, from, axis, "mul"));
};

/** Where each running extreme stands: the last of equal ones, as in PyTorch. */
function places(x: Node, y: Node, axis: number, reverse: boolean): Node {
  const hit = isFloat(x.type.dtype) ? logicalOr(eq(x, y), logicalAnd(isNaN(x), isNaN(y))) : eq(x, y);
  const position = expand(
    reshape(
      iota(x.type.shape[axis]!, "i64"),
      x.type.shape.map((d, i) => (i === axis ? d : 1)),
    ),
    x.type.shape,
  );
  // The latest hit so far; from the far end, the earliest.
  return reverse
    ? run(cumminOp, where(hit, position, fill(position, Number.MAX_SAFE_INTEGER)), axis, "min", true)
    : run(cummaxOp, where(hit, position, fill(position, 0)), axis, "max");
}
const extremeBack = (ct: Node, x: Node, y: Node, { axis, reverse }: Scan): Node =>
  scatterAdd(fill(x, 0), axis, places(x, y, axis, reverse), ct);
/** The op of `cummax`. */
export const cummaxOp: Op<[Node], Scan> = scanOf("cummax", "max", extremeBack, domainDTypes.number);
/** The op of `cummin`. */
export const cumminOp: Op<[Node], Scan> = scanOf("cummin", "min", extremeBack, domainDTypes.number);
function extreme(o: Op<[Node], Scan>, combine: "max" | "min", x: Node, dim: number): { values: Node; indices: Node } {
  if (!x.type.shape.length) return { values: x, indices: fill(cast(x, "i64"), 0) };
  const axis = normalizeDim(dim, x.type.shape.length, o.name);
  const values = run(o, x, axis, combine);
  return { values, indices: places(x, values, axis, false) };
}
/** The greatest element up to each one, and where it stands (torch.cummax). */
export const cummax = (x: Node, dim: number): { values: Node; indices: Node } => extreme(cummaxOp, "max", x, dim);
/** The least element up to each one, and where it stands (torch.cummin). */
export const cummin = (x: Node, dim: number): { values: Node; indices: Node } => extreme(cumminOp, "min", x, dim);

/** log of the sum of e^x up to each element (torch.logcumsumexp). */
export const logcumsumexp = (x: Node, dim: number): Node => {
  const from = floating(x);
  return along("logcumsumexp", from, dim, (axis) => make(logcumsumexpOp, [from], { axis }));
};
/** The op of `logcumsumexp`. */
export const logcumsumexpOp: Op<[Node], { axis: number }> = op<[Node], { axis: number }>({
  name: "logcumsumexp",
  kind: "composite",
  infer: ([x]) => x,
  // Element i has a share e^(x_i - y_j) of every y_j from i on.
  vjp: (ct, y) => {
    const { axis } = y.attrs;
    const { shape } = y.type;
    const n = shape[axis]!;
    const wide = [...shape.slice(0, axis), n, n, ...shape.slice(axis + 1)];
    const place = (a: number): Node =>
      reshape(
        iota(n, "i32"),
        wide.map((_, i) => (i === a ? n : 1)),
      );
    const row = (v: Node): Node => reshape(widen(v), [...shape.slice(0, axis), n, 1, ...shape.slice(axis + 1)]);
    const column = (v: Node): Node => reshape(widen(v), [...shape.slice(0, axis), 1, n, ...shape.slice(axis + 1)]);
    const after = expand(le(place(axis), place(axis + 1)), wide);
    const gap = where(after, sub(row(y.inputs[0]!), column(y)), Number.NEGATIVE_INFINITY);
    const share = where(eq(row(y.inputs[0]!), Number.NEGATIVE_INFINITY), 0, exp(gap));
    return [cast(sum(mul(column(ct), share), axis + 1), y.type.dtype)];
  },
  // One logsumexp over everything before each element: no running form is as accurate when elements differ by orders of magnitude.
  decompose: (y, [x]) => {
    const { axis } = y.attrs;
    const { shape } = x.type;
    const n = shape[axis]!;
    const from = widen(x);
    const wide = [...shape.slice(0, axis), n, n, ...shape.slice(axis + 1)];
    const line = (a: number): Node =>
      reshape(
        iota(n, "i32"),
        wide.map((_, i) => (i === a ? n : 1)),
      );
    const before = expand(le(line(axis + 1), line(axis)), wide);
    const each = expand(reshape(from, [...shape.slice(0, axis), 1, ...shape.slice(axis)]), wide);
    const seen = where(before, each, Number.NEGATIVE_INFINITY);
    if (n === 0) return x;
    const top = amax(seen, axis + 1, { keepdim: true });
    const finite = where(isInf(top), 0, top);
    const total = sum(exp(sub(seen, finite)), axis + 1);
    return cast(add(log(total), reshape(finite, shape)), x.type.dtype);
  },
  samples: [
    { shapes: [[3, 5]], test: domainDTypes.float, range: [-8, 8], call: (x) => logcumsumexp(x!, 1) },
    { shapes: [[4, 2]], call: (x) => logcumsumexp(x!, 0) },
  ],
});

computesIn("wide", cumsum, cumprod, logcumsumexp);
