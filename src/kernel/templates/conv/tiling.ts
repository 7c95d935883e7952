/** Decisions about convolution kernels as plain data, from sizes and a Target. */
import type { DType } from "../../../core/dtype.js";
import { bytesOf } from "../../../core/dtype.js";
import type { Target } from "../../codegen.js";
import { type ConvSizes, lanesOf, pitchOf } from "./setup.js";

export interface DirectTiling {
  /** Rows of the result, and panels of output channels, that one grid point computes. */
  readonly rows: number;
  readonly panels: number;
  /** Rows and columns of a block in registers. */
  readonly high: number;
  readonly wide: number;
}
export interface WinogradTiling {
  /** Rows of tiles, and panels of output channels, that one grid point computes. */
  readonly rows: number;
  readonly panels: number;
  /** Tiles of a block in registers. */
  readonly tiles: number;
}

/** Positions whose sums fit the registers beside one row of weights and one broadcast, or all of a step's where loads come first. */
export const mostPositions = (abreast: number, target: Target): number => {
  const room = target.loadsFirst ? (target.registers - abreast) / (abreast + 1) : (target.registers - 1 - abreast) / abreast;
  return Math.max(1, Math.floor(room));
};

/** The block size up to `most` that covers `count` with the fewest loads and products: blocks of few positions wait for their weights. */
function blockOf(count: number, most: number): number {
  if (count <= most) return count;
  const cost = (size: number): number => {
    const rest = count % size;
    return Math.floor(count / size) * (size + 1) + (rest ? Math.max(rest, most / 2) + 1 : 0);
  };
  let best = most;
  for (let size = most - 1; size >= Math.ceil(most / 2); size--)
    if (cost(size) < cost(best) || (cost(size) === cost(best) && count % size === 0)) best = size;
  return best;
}
const divisors = (n: number): number[] => Array.from({ length: n }, (_, i) => i + 1).filter((d) => n % d === 0);

/** What a grid point does: cycles of arithmetic and copies, about, and bytes of scratch and of weights. */
interface Work {
  readonly points: number;
  readonly cycles: number;
  readonly scratch: number;
  readonly weights: number;
  /** Grid points in a row that read the same weights. */
  readonly bands: number;
}
function cheapest<T>(options: readonly T[], work: (t: T) => Work, target: Target): T {
  const l2 = target.caches[1] ?? 1 << 20;
  const cost = (t: T): number => {
    const w = work(t);
    // Weights that do not stay in the second cache come from further away for each grid point, not only for the first.
    const fetched = w.weights * (w.weights + w.scratch < 0.9 * l2 ? near + far / w.bands : far);
    return Math.ceil(w.points / target.parallel) * (w.cycles * (w.scratch > 0.6 * l2 ? 1.1 : 1) + fetched + 500);
  };
  return options.reduce((best, t) => (cost(t) < cost(best) ? t : best));
}

/** Cycles for each number copied to scratch and for each vector product; for each byte of weights from the second cache, and from beyond it. */
const [copied, multiplied, near, far] = [0.3, 0.55, 0.02, 0.1];

export function tileDirect(s: ConvSizes, dtype: DType, target: Target): DirectTiling {
  const vector = lanesOf(dtype, target);
  const abreast = s.outputs > vector ? 2 : 1;
  const panels = Math.ceil(s.outputs / (vector * abreast));
  const most = mostPositions(abreast, target);
  const wide = blockOf(s.columns, most);
  const images = typeof s.batch === "number" ? s.batch : 1;
  const taps = s.kernel[0] * s.kernel[1] * s.channels;
  const options = divisors(panels).flatMap((p) =>
    Array.from({ length: s.rows }, (_, i): DirectTiling => {
      const rows = i + 1;
      return { rows, panels: p, wide, high: Math.max(1, Math.min(rows, Math.floor(most / wide))) };
    }),
  );
  const work = (t: DirectTiling): Work => {
    const staged = stagedRows(s, t.rows) * stagedColumns(s) * pitchOf(s.channels, vector);
    const bands = Math.ceil(s.rows / t.rows);
    const vectors = t.rows * s.columns * t.panels * abreast * taps;
    return {
      points: images * s.groups * bands * (panels / t.panels),
      bands,
      cycles: staged * copied + vectors * multiplied,
      scratch: staged * bytesOf(dtype),
      weights: t.panels * taps * abreast * vector * bytesOf(dtype),
    };
  };
  return cheapest(options, work, target);
}
/** Rows of the padded input that `rows` rows of the result read, and its columns. */
export const stagedRows = (s: ConvSizes, rows: number): number => (rows - 1) * s.stride[0] + (s.kernel[0] - 1) * s.dilation[0] + 1;
export const stagedColumns = (s: ConvSizes): number => (s.columns - 1) * s.stride[1] + (s.kernel[1] - 1) * s.dilation[1] + 1;

export function tileWinograd(s: ConvSizes, size: number, dtype: DType, target: Target): WinogradTiling {
  const vector = lanesOf(dtype, target);
  const abreast = s.outputs > vector ? 2 : 1;
  const panels = Math.ceil(s.outputs / (vector * abreast));
  const most = mostPositions(abreast, target);
  const [down, across] = [Math.ceil(s.rows / size), Math.ceil(s.columns / size)];
  const images = typeof s.batch === "number" ? s.batch : 1;
  const points = (size + 2) ** 2;
  const options = divisors(panels).flatMap((p) =>
    Array.from({ length: down }, (_, i): WinogradTiling => ({ rows: i + 1, panels: p, tiles: blockOf((i + 1) * across, most) })),
  );
  const work = (t: WinogradTiling): Work => {
    const tiles = t.rows * across;
    const bands = Math.ceil(down / t.rows);
    const forms = points * tiles * pitchOf(s.channels, vector);
    const vectors = points * tiles * t.panels * abreast * s.channels;
    return {
      points: images * bands * (panels / t.panels),
      bands,
      cycles: forms * copied + vectors * multiplied + points * tiles * t.panels * abreast * 2,
      scratch: forms * bytesOf(dtype),
      weights: points * t.panels * s.channels * abreast * vector * bytesOf(dtype),
    };
  };
  return cheapest(options, work, target);
}
