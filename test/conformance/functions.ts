/** Samples of the functions that record no op of their own name: compositions, which backends see only as what they are made of. */
import type { DType } from "../../src/core/dtype.js";
import type { Node, Sample } from "../../src/ir/node.js";
import * as o from "../../src/ops/index.js";

type Shapes = readonly (readonly number[])[];
type Call = (...x: [Node, Node, Node, Node]) => Node | readonly Node[];
const floats: readonly DType[] = ["f32", "f64", "bf16"];
const some: readonly DType[] = ["f32", "f16", "i64", "u8", "bool"];
const numbers: readonly DType[] = ["f32", "i32", "u8", "i64"];
const smooth = (shapes: Shapes, call: Call, more: Partial<Sample> = {}): Sample => ({
  shapes,
  test: floats,
  call: call as Sample["call"],
  ...more,
});
const moved = (shapes: Shapes, call: Call, more: Partial<Sample> = {}): Sample => ({
  shapes,
  test: some,
  call: call as Sample["call"],
  ...more,
});
const stepped = (shapes: Shapes, call: Call, more: Partial<Sample> = {}): Sample => ({
  shapes,
  test: numbers,
  grid: 1 / 8,
  noGrad: "steps or kinks",
  call: call as Sample["call"],
  ...more,
});
const indexed = (shapes: Shapes, most: number, call: Call, more: Partial<Sample> = {}): Sample => ({
  shapes,
  dtypes: [null, "i64", null],
  range: [
    [-2, 2],
    [0, most],
    [-2, 2],
  ],
  test: ["f32", "f64", "i32"],
  call: call as Sample["call"],
  ...more,
});
const pair = ({ values, indices }: { values: Node; indices: Node }): Node[] => [values, indices];
const nonFinite = (x: Node): Node => o.div(x, o.mul(x, 0));
const wildSamples = { grid: 1 / 8, noGrad: "NaN and infinities", special: true } as const;

/** By name of the function. */
export const functionSamples: Readonly<Record<string, readonly Sample[]>> = {
  // arithmetic
  add: [
    smooth([[2, 3], [3]], (a, b) => o.add(a, b, { alpha: 2 })),
    moved([[3], [3]], (a) => o.add(a, a), { test: ["bool"] }),
    moved([[3], [3]], (a, b) => o.mul(o.add(a, 1.5), b), { dtypes: [null, "i32"], test: ["i32", "u8", "bool", "f16"] }),
  ],
  div: [
    stepped([[3, 5], [5]], (a, b) => o.div(a, b), {
      range: [
        [-9, 9],
        [1, 3],
      ],
    }),
    stepped([[3, 5], [5]], (a, b) => o.div(a, b, { rounding: "trunc" }), {
      range: [
        [-9, 9],
        [1, 3],
      ],
    }),
    stepped([[3, 5], [5]], (a, b) => o.div(a, b, { rounding: "floor" }), {
      range: [
        [-9, 9],
        [-3, -1],
      ],
      test: ["f32", "i32", "i8", "i64"],
    }),
    stepped([[9]], (a) => [o.floorDivide(a, 0), o.remainder(a, 0), o.fmod(a, 0)], { test: ["i8", "i32", "u32", "i64"] }),
  ],
  pow: [
    smooth([[7]], (x) => [o.pow(x, 3), o.pow(x, 2), o.pow(x, -1), o.pow(2, x)], { range: [0.5, 2] }),
    stepped([[9]], (x) => [o.pow(x, 5), o.pow(x, 0), o.pow(x, 64)], { range: [-9, 9], test: ["i8", "i32", "i64", "u8", "u64"] }),
    stepped([[4, 1], [6]], (x, e) => o.pow(x, e), {
      range: [
        [-4, 4],
        [0, 40],
      ],
      test: ["i32", "i64", "u16", "i8"],
    }),
    stepped([[5, 1], [6]], (x, e) => o.pow(x, e), {
      range: [
        [-2, 2],
        [-3, 3],
      ],
      test: ["i32", "i64"],
    }),
  ],
  maximum: [
    stepped([[5, 1], [5]], (a, b) => [o.maximum(nonFinite(a), b), o.minimum(nonFinite(a), nonFinite(b))], {
      test: ["f32", "bf16"],
      ...wildSamples,
    }),
    moved([[5], [5]], (a, b) => [o.maximum(a, b), o.minimum(a, b), o.mul(a, b), o.add(a, b)], { test: ["bool"] }),
  ],
  addcdiv: [smooth([[2, 3], [3], [2, 1]], (x, a, b) => o.addcdiv(x, a, b, { value: 0.5 }), { range: [0.5, 2] })],
  addcmul: [smooth([[2, 3], [3], [2, 1]], (x, a, b) => o.addcmul(x, a, b, { value: 0.5 }))],
  clamp: [
    stepped([[4, 5]], (x) => [o.clamp(x, 0.5, 1), o.clamp(x, 1), o.clamp(x, null, 0)], { test: ["f32", "bf16", "f64"] }),
    stepped([[4, 5]], (x) => o.clamp(x, 0, 1)),
    stepped([[5]], (x) => o.clamp(nonFinite(x), -1, 1), { test: ["f32"], ...wildSamples }),
  ],
  fmax: [
    stepped([[6], [6]], (a, b) => [o.fmax(nonFinite(a), b), o.fmax(a, nonFinite(b)), o.fmax(a, b)], {
      test: ["f32", "f16"],
      ...wildSamples,
    }),
  ],
  fmin: [
    stepped([[6], [6]], (a, b) => [o.fmin(nonFinite(a), b), o.fmin(a, nonFinite(b)), o.fmin(a, b)], {
      test: ["f32", "f16"],
      ...wildSamples,
    }),
  ],
  frac: [stepped([[4, 5]], (x) => o.frac(x), { test: floats })],
  heaviside: [stepped([[4, 5], [5]], (x, v) => o.heaviside(x, v))],
  lerp: [
    smooth([[2, 3], [3]], (a, b) => [o.lerp(a, b, 0.25), o.lerp(a, b, 0.75)]),
    smooth([[2, 3], [3], [2, 1]], (a, b, w) => o.lerp(a, b, w), { range: [-0.4, 0.9] }),
  ],
  square: [smooth([[2, 3]], (x) => o.square(x)), stepped([[2, 3]], (x) => o.square(x))],
  trueDivide: [stepped([[5], [5]], (a, b) => o.trueDivide(a, b), { range: [1, 9] })],
  bitwiseLeftShift: [
    stepped([[5, 1], [7]], (a, b) => o.bitwiseLeftShift(a, b), {
      range: [
        [-100, 100],
        [-2, 70],
      ],
      test: ["u8", "i8", "u16", "i32", "u32", "i64", "u64"],
    }),
  ],
  bitwiseRightShift: [
    stepped([[5, 1], [7]], (a, b) => o.bitwiseRightShift(a, b), {
      range: [
        [-100, 100],
        [-2, 70],
      ],
      test: ["u8", "i8", "u16", "i32", "u32", "i64", "u64"],
    }),
  ],
  // Every bit of wide integers counts, and everything wraps.
  wide: [
    stepped(
      [
        [5, 1],
        [1, 7],
      ],
      (a, b) => [
        o.add(a, b),
        o.sub(a, b),
        o.mul(a, b),
        o.div(a, b, { rounding: "trunc" }),
        o.floorDivide(a, b),
        o.remainder(a, b),
        o.fmod(a, b),
      ],
      { range: [-(2 ** 63), 2 ** 63 - 1024], test: ["i64", "u64", "i32", "u32", "i8"] },
    ),
    stepped(
      [
        [5, 1],
        [1, 7],
      ],
      (a, b) => [
        o.bitwiseXor(a, b),
        o.bitwiseNot(a),
        o.lt(a, b),
        o.eq(a, a),
        o.maximum(a, b),
        o.minimum(a, b),
        o.neg(a),
        o.abs(a),
        o.sign(a),
      ],
      { range: [-(2 ** 63), 2 ** 63 - 1024], test: ["i64", "u64", "i32", "u32", "i16"] },
    ),
    stepped([[9, 40]], (x) => [o.sum(x, 1), o.prod(x, 1), o.amax(x, 1), o.amin(x, 0), o.argmax(x, 1), o.cumsum(x, 0)], {
      range: [-(2 ** 63), 2 ** 63 - 1024],
      test: ["i64", "i32", "u32"],
    }),
    stepped([[30]], (x) => (["i64", "u64", "i32", "u32", "i16", "u8", "bool", "f64", "f32"] as const).map((d) => o.cast(x, d)), {
      range: [-(2 ** 63), 2 ** 63 - 1024],
      test: ["i64", "u64", "i32", "u32"],
    }),
  ],
  // comparison
  ge: [stepped([[3, 1], [4]], (a, b) => [o.ge(a, b), o.gt(a, b)], { test: some })],
  gt: [
    stepped(
      [[6], [6]],
      (a, b) => [o.gt(nonFinite(a), b), o.le(nonFinite(a), b), o.eq(nonFinite(a), nonFinite(a)), o.ne(nonFinite(a), nonFinite(b))],
      { test: ["f32", "bf16"], ...wildSamples },
    ),
  ],
  isClose: [
    stepped([[6], [6]], (a, b) => [o.isClose(a, b), o.isClose(nonFinite(a), nonFinite(b), { equalNan: true })], {
      test: ["f32", "f64"],
      ...wildSamples,
    }),
  ],
  logicalAnd: [
    stepped([[3, 1], [4]], (a, b) => [o.logicalAnd(a, b), o.logicalOr(a, b), o.logicalXor(a, b), o.logicalNot(a)], { test: some }),
  ],
  logicalOr: [stepped([[5]], (a) => o.logicalOr(nonFinite(a), 0), { test: ["f32"], ...wildSamples })],
  logicalXor: [stepped([[5], [5]], (a, b) => o.logicalXor(a, b), { test: some })],
  where: [
    smooth([[3, 1], [4]], (a, b) => o.where(o.gt(a, 0), a, b)),
    stepped([[5]], (x) => o.where(o.ne(x, 0), o.div(1, x), 0), { test: ["f32", "f64"] }),
  ],
  // special and rounding
  logaddexp: [stepped([[6], [6]], (a, b) => o.logaddexp(nonFinite(a), b), { test: ["f32", "f64"], ...wildSamples })],
  logaddexp2: [smooth([[3, 5], [5]], (a, b) => o.logaddexp2(a, b))],
  logit: [
    smooth([[3, 5]], (x) => o.logit(x), { range: [0.1, 0.9] }),
    stepped([[3, 5]], (x) => o.logit(x, { eps: 0.125 }), { range: [0, 1], test: ["f32"] }),
  ],
  nanToNum: [
    stepped([[6]], (x) => [o.nanToNum(nonFinite(x)), o.nanToNum(nonFinite(x), { nan: 1, posinf: 2, neginf: -3 })], {
      test: ["f32", "f16", "bf16", "f64"],
      ...wildSamples,
    }),
  ],
  hypot: [
    stepped([[6], [6]], (a, b) => [o.hypot(nonFinite(a), b), o.hypot(o.mul(a, 1e30), o.mul(b, 1e30)), o.hypot(a, 0)], {
      test: ["f32"],
      ...wildSamples,
    }),
  ],
  xlogy: [stepped([[6], [6]], (a, b) => o.xlogy(a, o.abs(b)), { test: ["f32", "f64"], noGrad: "log 0", grid: 1 })],
  sinc: [stepped([[9]], (x) => o.sinc(x), { test: ["f32", "f64"], grid: 1 / 2 })],
  copysign: [stepped([[6], [6]], (a, b) => o.copysign(a, o.mul(b, 0)), { test: ["f32", "f16", "f64"], special: true })],
  round: [
    stepped(
      [[4, 5]],
      (x) => [o.round(x, { decimals: 1 }), o.round(o.mul(x, 100), { decimals: -1 }), o.round(x), o.floor(x), o.ceil(x), o.trunc(x)],
      { range: [-4, 4], grid: 1 / 2, test: ["f32", "f64", "i32"] },
    ),
  ],
  square_root: [
    stepped(
      [[6]],
      (x) => [o.sqrt(x), o.log(x), o.rsqrt(x), o.exp(nonFinite(x)), o.tanh(nonFinite(x)), o.erf(nonFinite(x)), o.atan(nonFinite(x))],
      { test: ["f32", "f64"], ...wildSamples },
    ),
  ],
  // movement
  narrow: [moved([[4, 5]], (x) => [o.narrow(x, 1, 1, 3), o.narrow(x, 0, -2, 2), o.narrow(x, 1, 0, 0)])],
  sliceDim: [moved([[4, 9]], (x) => [o.sliceDim(x, 1, 1, -1, 3), o.sliceDim(x, 0, -3, 100), o.sliceDim(x, 1, 5, 2)])],
  select: [moved([[4, 5]], (x) => [o.select(x, 0, -1), o.select(x, 1, 2)])],
  split: [moved([[7, 2]], (x) => o.split(x, 3)), moved([[2, 7]], (x) => o.split(x, [1, 4, 2], 1))],
  chunk: [moved([[7, 2]], (x) => o.chunk(x, 3))],
  unbind: [moved([[3, 2]], (x) => o.unbind(x, 1))],
  stack: [
    moved(
      [
        [2, 3],
        [2, 3],
      ],
      (a, b) => [o.stack([a, b], 1), o.stack([a, b], -1)],
    ),
  ],
  roll: [moved([[3, 4]], (x) => [o.roll(x, 1), o.roll(x, [1, -1], [0, 1]), o.roll(x, 5, 1)])],
  repeat: [moved([[2, 3]], (x) => [o.repeat(x, [2, 1, 3]), o.repeat(x, [1, 2])])],
  tile: [moved([[2, 3]], (x) => o.tile(x, [2]))],
  repeatInterleave: [moved([[2, 3]], (x) => [o.repeatInterleave(x, 2, 0), o.repeatInterleave(x, 3)])],
  transpose: [moved([[2, 3, 4]], (x) => [o.transpose(x, 0, -1), o.swapaxes(x, 1, 2)])],
  swapaxes: [moved([[2, 3]], (x) => o.swapaxes(x, 0, 1))],
  t: [moved([[2, 3]], (x) => o.t(x))],
  movedim: [moved([[2, 3, 4, 5]], (x) => [o.movedim(x, [0, 2], [-1, 0]), o.movedim(x, 3, 1)])],
  flatten: [moved([[2, 3, 4]], (x) => [o.flatten(x), o.flatten(x, 1)])],
  unflatten: [moved([[2, 12]], (x) => o.unflatten(x, 1, [3, -1]))],
  squeeze: [moved([[2, 1, 3, 1]], (x) => [o.squeeze(x), o.squeeze(x, 1)])],
  unsqueeze: [moved([[2, 3]], (x) => [o.unsqueeze(x, -1), o.unsqueeze(x, 1)])],
  unfold: [moved([[2, 9]], (x) => o.unfold(x, 1, 3, 2))],
  broadcastTo: [moved([[3, 1]], (x) => o.broadcastTo(x, [2, 3, 4]))],
  meshgrid: [moved([[3], [4]], (a, b) => [...o.meshgrid([a, b]), ...o.meshgrid([a, b], { indexing: "xy" })])],
  pad: [
    moved([[3, 4]], (x) => [o.pad(x, [1, 2]), o.pad(x, [-1, 1, 2, 0], { value: 1 })]),
    moved([[3, 4]], (x) => [
      o.pad(x, [2, 3], { mode: "reflect" }),
      o.pad(x, [2, 1, 1, 3], { mode: "replicate" }),
      o.pad(x, [4, 2, 1, 0], { mode: "circular" }),
    ]),
  ],
  // diagonals
  diag: [moved([[4]], (x) => [o.diag(x), o.diag(x, -1)]), moved([[3, 4]], (x) => o.diag(x, 1))],
  diagEmbed: [moved([[2, 3]], (x) => [o.diagEmbed(x), o.diagEmbed(x, 1, 0, 2)])],
  diagonal: [moved([[2, 3, 4]], (x) => [o.diagonal(x), o.diagonal(x, 1, 1, 2), o.diagonal(x, -2, 2, 1)])],
  trace: [smooth([[3, 4]], (x) => o.trace(x))],
  tril: [moved([[3, 4]], (x) => [o.tril(x), o.tril(x, -1), o.tril(x, 2)])],
  triu: [moved([[2, 3, 4]], (x) => [o.triu(x), o.triu(x, 1), o.triu(x, -1)])],
  // reductions
  mean: [
    smooth([[3, 5]], (x) => [o.mean(x), o.mean(x, 1, { keepdim: true })]),
    stepped([[3, 5]], (x) => o.mean(x, 0), { test: ["i32", "bool"] }),
    stepped([[2, 0]], (x) => o.mean(x, 1), { test: ["f32"] }),
  ],
  nanmean: [
    stepped([[3, 5], [5]], (a, b) => [o.nanmean(o.where(o.gt(a, 0), a, Number.NaN), 1), o.nansum(o.where(o.gt(a, 0), b, Number.NaN))], {
      test: ["f32"],
    }),
  ],
  nansum: [smooth([[3, 5]], (x) => o.nansum(x, 1))],
  countNonzero: [stepped([[3, 5]], (x) => [o.countNonzero(x), o.countNonzero(x, 1)], { grid: 1, test: some })],
  amax: [
    stepped([[3, 5]], (x) => [o.amax(nonFinite(x), 1), o.amin(nonFinite(x), 0), o.argmax(nonFinite(x), 1), o.argmin(nonFinite(x))], {
      test: ["f32", "bf16"],
      ...wildSamples,
    }),
    moved([[3, 5]], (x) => [o.amax(x, 1), o.amin(x)], { test: ["bool"] }),
    stepped([[3, 40]], (x) => [o.amax(x, 1), o.amin(x, 1)], { test: ["u64", "i64", "i8"], range: [-100, 100] }),
  ],
  aminmax: [stepped([[3, 5]], (x) => Object.values(o.aminmax(x, 1)))],
  max: [smooth([[3, 5]], (x) => [o.max(x), ...pair(o.max(x, 1))]), stepped([[3, 5]], (x) => pair(o.max(x, 0, { keepdim: true })))],
  min: [smooth([[3, 5]], (x) => [o.min(x), ...pair(o.min(x, -1))])],
  stdMean: [smooth([[3, 5]], (x) => o.stdMean(x, 1))],
  varMean: [smooth([[3, 5]], (x) => o.varMean(x))],
  cummax: [stepped([[3, 7]], (x) => pair(o.cummax(x, 1)))],
  cummin: [stepped([[7, 2]], (x) => pair(o.cummin(x, 0)))],
  cumsum: [stepped([[3, 7]], (x) => [o.cumsum(x, 1), o.cumprod(x, 0)], { test: ["bool", "u8", "i32"], range: [-3, 3] })],
  cumprod: [smooth([[3, 6]], (x) => o.cumprod(x, 1), { grid: 1, noGrad: "exact zeros: only the first derivative is defined here" })],
  // indexing
  gather: [
    indexed(
      [
        [3, 5],
        [2, 4],
      ],
      4,
      (x, i) => o.gather(x, 1, i),
    ),
    indexed(
      [
        [5, 3],
        [4, 2],
      ],
      4,
      (x, i) => o.gather(x, 0, i),
    ),
  ],
  scatter: [
    indexed(
      [
        [4, 5],
        [4, 1],
        [4, 1],
      ],
      4,
      (x, i, s) => [o.scatter(x, 1, i, s), o.scatter(x, 1, i, 1)],
      { noGrad: "of equal indices only the last counts" },
    ),
    indexed(
      [
        [5, 4],
        [3, 3],
        [4, 4],
      ],
      4,
      (x, i, s) => o.scatter(x, 0, i, s, { reduce: "multiply" }),
    ),
  ],
  scatterAdd: [
    indexed(
      [
        [4, 5],
        [3, 4],
        [3, 4],
      ],
      4,
      (x, i, s) => o.scatterAdd(x, 1, i, s),
    ),
    indexed(
      [
        [5, 2],
        [4, 2],
        [4, 2],
      ],
      4,
      (x, i, s) => o.scatterAdd(x, 0, i, s),
    ),
  ],
  scatterReduce: (["sum", "prod", "mean", "amax", "amin"] as const).flatMap((r) => [
    indexed(
      [
        [3, 5],
        [3, 4],
        [3, 4],
      ],
      4,
      (x, i, s) => [o.scatterReduce(x, 1, i, s, r), o.scatterReduce(x, 1, i, s, r, { includeSelf: false })],
      { test: ["f32", "i32"] },
    ),
  ]),
  takeAlongDim: [
    indexed(
      [
        [3, 5],
        [3, 2],
      ],
      4,
      (x, i) => [o.takeAlongDim(x, i, 1), o.takeAlongDim(x, i)],
    ),
  ],
  indexSelect: [
    indexed([[5, 3], [4]], 4, (x, i) => o.indexSelect(x, 0, i)),
    indexed([[2, 5, 3], [7]], 4, (x, i) => o.indexSelect(x, 1, i)),
  ],
  indexAdd: [
    indexed([[5, 3], [4], [4, 3]], 4, (x, i, s) => o.indexAdd(x, 0, i, s, { alpha: 2 })),
    indexed([[2, 5], [7], [2, 7]], 4, (x, i, s) => o.indexAdd(x, 1, i, s)),
  ],
  indexCopy: [indexed([[5, 3], [1], [1, 3]], 4, (x, i, s) => o.indexCopy(x, 0, i, s))],
  indexFill: [indexed([[2, 5], [3]], 4, (x, i) => o.indexFill(x, 1, i, 1))],
  index: [
    indexed([[4, 5], [3]], 3, (x, i) => [o.index(x, [i]), o.index(x, [null, i]), o.index(x, [o.sub(i, 4), i])]),
    indexed(
      [
        [4, 2, 4],
        [3, 2],
      ],
      3,
      (x, i) => [o.index(x, [i, null, o.select(i, 0, 1)]), o.index(x, [null, o.remainder(i, 2), i])],
    ),
  ],
  indexPut: [
    indexed([[4, 5], [3], [3, 5]], 3, (x, i, s) => o.indexPut(x, [i], s, { accumulate: true })),
    indexed([[4, 5], [3], [3]], 3, (x, i, s) => o.indexPut(x, [i, i], s, { accumulate: true })),
    indexed([[4, 5], [3]], 3, (x, i) => o.indexPut(x, [null, i], 1), { noGrad: "equal indices" }),
    stepped([[4, 5], [4]], (x, m) => o.indexPut(x, [o.gt(m, 0)], 7)),
  ],
  take: [
    indexed(
      [
        [3, 5],
        [2, 4],
      ],
      14,
      (x, i) => [o.take(x, i), o.take(x, o.sub(i, 15))],
    ),
  ],
  maskedFill: [stepped([[3, 5], [5]], (x, m) => o.maskedFill(x, o.gt(m, 0), 1))],
  oneHot: [stepped([[2, 5]], (x) => o.oneHot(x, 4), { test: ["i64", "i32"], range: [0, 3] })],
  embedding: [
    {
      shapes: [
        [2, 4],
        [5, 3],
      ],
      dtypes: ["i64", null],
      range: [
        [0, 4],
        [-2, 2],
      ],
      test: floats,
      call: (i, w) => o.embedding(i!, w!),
    },
  ],
  searchsorted: [
    stepped(
      [[7], [3, 4]],
      (s, v) => {
        const sorted = o.cumsum(o.abs(s), 0);
        return [o.searchsorted(sorted, v), o.bucketize(v, sorted, { right: true })];
      },
      { test: ["f32", "i64"] },
    ),
  ],
  bucketize: [stepped([[4]], (v) => o.bucketize(v, o.iota(3, "i64")), { test: ["i64"] })],
  // products
  matmul: [
    smooth(
      [
        [3, 4],
        [4, 2],
      ],
      (a, b) => o.matmul(a, b),
    ),
    smooth(
      [
        [2, 1, 3, 4],
        [5, 4, 2],
      ],
      (a, b) => o.matmul(a, b),
    ),
    smooth([[4], [3, 4, 2]], (a, b) => o.matmul(a, b)),
    stepped(
      [
        [3, 4],
        [4, 2],
      ],
      (a, b) => o.matmul(a, b),
      { test: ["i32", "i64"] },
    ),
  ],
  linear: [smooth([[2, 3, 4], [5, 4], [5]], (x, w, b) => o.linear(x, w, b))],
  einsum: [
    smooth(
      [
        [2, 3, 4],
        [2, 4, 5],
      ],
      (a, b) => o.einsum("bij,bjk->bik", a, b),
    ),
    smooth([[3, 3]], (a) => [o.einsum("ii->i", a), o.einsum("ii", a)]),
    smooth([[2, 3], [3, 4], [4]], (a, b, c) => o.einsum("ij,jk,k->i", a, b, c)),
  ],
  addmm: [smooth([[2], [3, 4], [4, 2]], (x, a, b) => o.addmm(x, a, b, { beta: 0.5, alpha: 2 }))],
  // networks
  conv1d: [smooth([[2, 3, 8], [4, 3, 3], [4]], (x, w, b) => o.conv1d(x, w, b, { padding: 1, stride: 2 }))],
  conv2d: [
    smooth([[2, 3, 6, 5], [4, 3, 3, 2], [4]], (x, w, b) => o.conv2d(x, w, b, { padding: 1 })),
    smooth(
      [
        [1, 4, 6, 6],
        [4, 2, 3, 3],
      ],
      (x, w) => o.conv2d(x, w, null, { groups: 2, dilation: 2, stride: 2, padding: 2 }),
    ),
  ],
  convTranspose2d: [smooth([[1, 3, 4, 4], [3, 2, 3, 3], [2]], (x, w, b) => o.convTranspose2d(x, w, b, { stride: 2, padding: 1 }))],
  maxPool2d: [smooth([[1, 2, 6, 6]], (x) => o.maxPool2d(x, 2) as Node)],
  avgPool2d: [smooth([[1, 2, 6, 6]], (x) => o.avgPool2d(x, 3, { stride: 2, padding: 1 }))],
  adaptiveAvgPool2d: [smooth([[1, 2, 7, 5]], (x) => o.adaptiveAvgPool2d(x, [3, 2]))],
  groupNorm: [smooth([[2, 4, 3], [4], [4]], (x, w, b) => o.groupNorm(x, 2, w, b))],
  scaledDotProductAttention: [
    smooth(
      [
        [2, 3, 4],
        [2, 5, 4],
        [2, 5, 4],
      ],
      (q, k, v) => o.scaledDotProductAttention(q, k, v),
    ),
    smooth(
      [
        [1, 2, 4, 8],
        [1, 2, 4, 8],
        [1, 2, 4, 8],
      ],
      (q, k, v) => o.scaledDotProductAttention(q, k, v, null, { isCausal: true }),
    ),
  ],
  crossEntropy: [
    {
      shapes: [[4, 6], [4]],
      dtypes: [null, "i64"],
      range: [
        [-2, 2],
        [0, 5],
      ],
      test: floats,
      call: (x, t) => [o.crossEntropy(x!, t!), o.crossEntropy(x!, t!, { labelSmoothing: 0.1, reduction: "sum" })],
    },
  ],
  nllLoss: [
    {
      shapes: [[4, 6], [4]],
      dtypes: [null, "i64"],
      range: [
        [-2, 2],
        [0, 5],
      ],
      test: floats,
      call: (x, t) => o.nllLoss(x!, t!),
    },
  ],
  mseLoss: [
    smooth(
      [
        [4, 3],
        [4, 3],
      ],
      (a, b) => [o.mseLoss(a, b), o.mseLoss(a, b, { reduction: "none" })],
    ),
  ],
  huberLoss: [
    smooth(
      [
        [4, 3],
        [4, 3],
      ],
      (a, b) => [o.huberLoss(a, b), o.smoothL1Loss(a, b), o.l1Loss(a, b)],
    ),
  ],
  binaryCrossEntropyWithLogits: [
    smooth(
      [
        [4, 3],
        [4, 3],
      ],
      (a, b) => o.binaryCrossEntropyWithLogits(a, b),
      { range: [0.1, 0.9] },
    ),
  ],
  glu: [smooth([[3, 6]], (x) => o.glu(x))],
  topk: [smooth([[3, 7]], (x) => pair(o.topk(x, 3)))],
  median: [smooth([[3, 7]], (x) => o.select(o.sort(x, 1).values, 1, 3))],
};
