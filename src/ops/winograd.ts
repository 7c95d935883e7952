/** Convolution with 3 x 3 weights by Winograd's minimal filtering: fewer products, from sums of inputs and of weights. */
import { isFloat } from "../core/dtype.js";
import { DTypeError, ShapeError } from "../core/errors.js";
import { ceilDiv, type Dim, sub as minus, add as plus, mul as times } from "../core/expr.js";
import { numel, showType } from "../core/type.js";
import { make, type Node, type Op, op } from "../ir/node.js";
import { add, mul } from "./arithmetic.js";
import { single } from "./composite.js";
import { dot } from "./matmul.js";
import { cat, permute, reshape, slice, unslice, window } from "./movement.js";

/** Results of a tile along one axis; the tile itself has two more. */
export type TileSize = 2 | 4;
type Matrix = readonly (readonly number[])[];
/** out = output (sum over channels of (input x inputT) * (weight w weightT)) outputT, for one tile. */
export interface WinogradForms {
  readonly input: Matrix;
  readonly weight: Matrix;
  readonly output: Matrix;
}
/**
 * The polynomials' points: 0, both signs of each, and infinity. 3/4 and 3/2 lose less to rounding than the usual 1 and 2: errors stay
 * below 4 times those of the direct sum.
 */
const points: Readonly<Record<TileSize, readonly number[]>> = { 2: [0, 1, -1], 4: [0, 3 / 4, -3 / 4, 3 / 2, -3 / 2] };

/** Matrices of a tile size (Toom-Cook at `points` and infinity). */
export function winogradForms(size: TileSize): WinogradForms {
  const at = points[size];
  /** Coefficients of the product of (x - r), lowest first. */
  const product = (roots: readonly number[]): number[] =>
    roots.reduce<number[]>((p, r) => [...p.map((c, i) => (i ? p[i - 1]! : 0) - r * c), p.at(-1)!], [1]);
  const others = at.map((p) => at.filter((q) => q !== p));
  const scale = at.map((p, i) => others[i]!.reduce((s, q) => s * (p - q), 1));
  const powers = (p: number, n: number): number[] => Array.from({ length: n }, (_, i) => p ** i);
  const last = (n: number): number[] => Array.from({ length: n }, (_, i) => (i === n - 1 ? 1 : 0));
  const columns = [...at.map((p) => powers(p, size)), last(size)];
  return {
    input: [...others.map((o) => [...product(o), 0]), product(at)],
    weight: [...at.map((p, i) => powers(p, 3).map((v) => v / scale[i]!)), last(3)],
    output: Array.from({ length: size }, (_, i) => columns.map((c) => c[i]!)),
  };
}

/** A matrix applied along one axis: sums of scaled slices. */
function along(x: Node, axis: number, matrix: Matrix): Node {
  const only = (fill: Dim, shape: readonly Dim[]): Dim[] => shape.map((d, a) => (a === axis ? fill : d));
  const part = (i: number): Node =>
    slice(
      x,
      only(
        i,
        x.type.shape.map(() => 0),
      ),
      only(1, x.type.shape),
    );
  const row = (coefficients: readonly number[]): Node =>
    coefficients.flatMap((c, i) => (c === 0 ? [] : [c === 1 ? part(i) : mul(part(i), c)])).reduce((a, b) => add(a, b));
  return cat(matrix.map(row), axis);
}

/** [O, C, 3, 3] as the weights of `winograd`: [tile * tile, C, O]. */
export function winogradWeight(w: Node, size: TileSize): Node {
  const { weight } = winogradForms(size);
  const [o, c] = w.type.shape as [Dim, Dim];
  const formed = along(along(w, 2, weight), 3, weight);
  return reshape(permute(formed, [2, 3, 1, 0]), [(size + 2) ** 2, c, o]);
}

type WinogradAttrs = {
  size: TileSize;
  /** Zeros above and left, below and right of the input. */
  low: readonly number[];
  high: readonly number[];
};
/**
 * [N, H, W, C] convolved with 3 x 3 weights that `winogradWeight` made, plus a bias [O]: what `conv2d` with stride 1 gives, but for
 * rounding, and but for an infinity or NaN, which reaches all results of its tile.
 */
export function winograd(x: Node, weight: Node, bias: Node | null, attrs: WinogradAttrs): Node {
  return make(winogradOp, bias ? [x, weight, bias] : [x, weight], attrs);
}
export const winogradOp: Op<readonly Node[], WinogradAttrs> = op({
  name: "winograd",
  kind: "composite",
  infer: ([x, w, bias], a) => {
    const both = `winograd: ${showType(x!)} with ${showType(w!)}`;
    if (!isFloat(x!.dtype) || [w!, bias ?? x!].some((t) => t.dtype !== x!.dtype))
      throw new DTypeError(`${both} must be of one float dtype`);
    const [n, h, v, c] = x!.shape as [Dim, Dim, Dim, Dim];
    const [forms, inner, o] = w!.shape as [Dim, Dim, Dim];
    if (x!.shape.length !== 4 || w!.shape.length !== 3 || inner !== c || forms !== (a.size + 2) ** 2)
      throw new ShapeError(`${both}: [N, H, W, C] and [${(a.size + 2) ** 2}, C, O] are needed`);
    if (bias && (bias.shape.length !== 1 || bias.shape[0] !== o)) throw new ShapeError(`${both}: bias ${showType(bias)} must be [O]`);
    return { shape: [n, ...[h, v].map((d, i) => minus(plus(d, a.low[i]!, a.high[i]!), 2)), o], dtype: x!.dtype };
  },
  decompose: (y, inputs) => {
    const [x] = inputs as [Node];
    const { size, low } = y.attrs;
    const forms = winogradForms(size);
    const [n, rows, columns, o] = y.type.shape as [Dim, Dim, Dim, Dim];
    const [h, v, c] = x.type.shape.slice(1) as [Dim, Dim, Dim];
    const counts = [ceilDiv(rows, size), ceilDiv(columns, size)];
    const padded = [n, ...counts.map((t) => plus(times(t, size), 2)), c];
    return single(inputs, (...all) => {
      const [wide, weight, bias] = all as [Node, Node, Node?];
      const put = unslice(wide, [n, plus(h, low[0]!, padded[1]!), plus(v, low[1]!, padded[2]!), c], [0, ...low, 0], [1, 1, 1, 1]);
      const whole = slice(put, [0, 0, 0, 0], padded);
      const tile = size + 2;
      const tiles = window(whole, [1, 2], [tile, tile], [size, size], [1, 1]);
      const formed = along(along(tiles, 4, forms.input), 5, forms.input);
      const places = numel([n, ...counts]);
      const left = reshape(permute(formed, [4, 5, 0, 1, 2, 3]), [tile * tile, places, c]);
      const sums = reshape(dot(left, weight), [tile, tile, n, ...counts, o]);
      const out = along(along(sums, 0, forms.output), 1, forms.output);
      const placed = reshape(permute(out, [2, 3, 0, 4, 1, 5]), [n, times(counts[0]!, size), times(counts[1]!, size), o]);
      const cut = slice(placed, [0, 0, 0, 0], y.type.shape);
      return bias ? add(cut, bias) : cut;
    });
  },
  samples: [
    {
      shapes: [
        [1, 5, 6, 3],
        [16, 3, 18],
      ],
      call: (x, w) => winograd(x!, w!, null, { size: 2, low: [1, 1], high: [1, 1] }),
    },
    {
      shapes: [[2, 7, 4, 2], [36, 2, 8], [8]],
      range: [
        [-2, 2],
        [-0.25, 0.25],
        [-2, 2],
      ],
      call: (x, w, b) => winograd(x!, w!, b!, { size: 4, low: [0, 1], high: [2, 1] }),
    },
  ],
});
