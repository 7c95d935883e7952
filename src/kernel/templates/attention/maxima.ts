/** Running maxima of attention on processors: queries are lanes, so that of each query is an element of a vector. */
import { type Axis, apply, type Buffer, load, loops, type Stmt, store, type Value } from "../../kernel.js";
import { type Attention, lanes } from "./setup.js";

/** Vectors with an element for each query of a tile. */
export interface Running {
  /** The largest score of the tiles before, and then of this one, too. */
  readonly top: Buffer;
  readonly high: Buffer;
  /** What exponentials are taken against. */
  readonly base: Buffer;
  /** What the sums of the tiles before are multiplied by now. */
  readonly alpha: Buffer;
  /** The sum of this tile's weights, which begins at 0. */
  readonly part: Buffer;
}

/** Looks through the scores of a tile of keys: `score` is that of one key, along `keys`. */
export function newMaxima(x: Attention, keys: Axis, score: Value, { top, high, base, alpha, part }: Running): readonly Stmt[] {
  const { lane } = x;
  const none = x.number(Number.NEGATIVE_INFINITY);
  return [
    ...lanes(x, [store(high, lane, load(top, lane))]),
    ...loops([keys], lanes(x, [store(high, lane, x.op("max", load(high, lane), score))])),
    // A query that has seen nothing yet keeps a base that is a number, or differences of infinities would be none.
    ...lanes(x, [
      store(base, lane, x.op("where", apply("eq", "bool", load(high, lane), none), x.number(0), load(high, lane))),
      store(alpha, lane, x.op("exp", x.op("sub", load(top, lane), load(base, lane)))),
      store(top, lane, load(high, lane)),
      store(part, lane, x.number(0)),
    ]),
  ];
}
