import { ArgumentError, ShapeError, UnsupportedError } from "../core/errors.js";
import { showShape } from "../core/type.js";
import type { Node } from "../ir/node.js";
import { single } from "./composite.js";
import { add, cast, clamp, div, floor, maximum, minimum, mul, sub } from "./elementwise.js";
import { indexSelect } from "./gather.js";
import { reshape } from "./movement.js";
import { adaptiveAvgPool1d, adaptiveAvgPool2d, adaptiveAvgPool3d } from "./pool.js";
import { iota } from "./source.js";

/** How an image is resized. */
export interface InterpolateOptions {
  /** Factor for all axes or one each, where no size is given. */
  readonly scaleFactor?: number | readonly number[] | null;
  readonly mode?: "nearest" | "nearest-exact" | "linear" | "bilinear" | "bicubic" | "trilinear" | "area";
  /** Corners of input and output lie on each other; otherwise pixels have an extent. */
  readonly alignCorners?: boolean | null;
  /** The factor that positions are computed with is size / input size, not `scaleFactor`. */
  readonly recomputeScaleFactor?: boolean | null;
}
const axesOf = { linear: 1, bilinear: 2, bicubic: 2, trilinear: 3 } as const;

/** Resizes the trailing axes of [N, C, ...] to `size`, or by a factor (torch.nn.functional.interpolate). */
export function interpolate(x: Node, size?: number | readonly number[] | null, options: InterpolateOptions = {}): Node {
  const { shape } = x.type;
  const n = shape.length - 2;
  const { scaleFactor, mode = "nearest", alignCorners, recomputeScaleFactor } = options;
  if (n < 1 || n > 3) throw new ShapeError(`interpolate: ${showShape(shape)} must be [N, C, ...] with one to three more axes`);
  if (mode in axesOf && axesOf[mode as keyof typeof axesOf] !== n)
    throw new ArgumentError(`interpolate: mode ${mode} does not fit ${showShape(shape)}`);
  if ((size === undefined || size === null) === (scaleFactor === undefined || scaleFactor === null))
    throw new ArgumentError("interpolate: give either a size or a scaleFactor");
  const each = (v: number | readonly number[]): readonly number[] => (typeof v === "number" ? Array.from({ length: n }, () => v) : v);
  const from = shape.slice(2).map((d) => {
    if (typeof d !== "number") throw new UnsupportedError(`interpolate: ${showShape(shape)} has a symbolic size; give it a fixed one`);
    return d;
  });
  const factors = size === undefined || size === null ? each(scaleFactor!) : undefined;
  const to = factors ? from.map((d, i) => Math.floor(d * factors[i]!)) : each(size!);
  if (to.length !== n || to.some((d) => !(Number.isInteger(d) && d > 0)))
    throw new ArgumentError(`interpolate: [${to}] are no sizes for ${showShape(shape)}`);
  if (mode === "area") return ([adaptiveAvgPool1d, adaptiveAvgPool2d, adaptiveAvgPool3d] as const)[n - 1]!(x, to);
  return single([x], (wide) =>
    from.reduce<Node>((y, d, i) => {
      const given = factors && !recomputeScaleFactor ? 1 / factors[i]! : undefined;
      return resize(y, i + 2, d, to[i]!, mode, alignCorners ?? false, given);
    }, wide),
  );
}

/** One axis from `from` to `to` elements; `step` is how far positions move in the input where a factor says so. */
function resize(x: Node, axis: number, from: number, to: number, mode: string, corners: boolean, step: number | undefined): Node {
  const wide = x.type.dtype === "f64" ? "f64" : "f32";
  const o = iota(to, wide);
  const at = (i: Node): Node => indexSelect(x, axis, cast(clamp(i, 0, from - 1), "i64"));
  if (mode === "nearest" || mode === "nearest-exact") {
    if (from === to && step === undefined) return x;
    // Whole factors are exact in integers, so that no rounding moves a pixel.
    if (mode === "nearest" && step === undefined && to % from === 0) return at(div(iota(to, "i32"), to / from, { rounding: "floor" }));
    const scale = Math.fround(step ?? from / to);
    return at(floor(mul(mode === "nearest" ? o : add(o, 0.5), scale)));
  }
  if (from === to && (step === undefined || step === 1)) return x;
  const scale = corners ? (to > 1 ? (from - 1) / (to - 1) : 0) : (step ?? from / to);
  const place = corners ? mul(o, scale) : sub(mul(add(o, 0.5), scale), 0.5);
  const real = mode === "bicubic" || corners ? place : maximum(place, 0);
  const low = floor(real);
  const t = sub(real, low);
  const along = (w: Node): Node => reshape(cast(w, x.type.dtype), [to, ...x.type.shape.slice(axis + 1).map(() => 1)]);
  if (mode !== "bicubic") return add(mul(at(low), along(sub(1, t))), mul(at(minimum(add(low, 1), from - 1)), along(t)));
  // Cubic convolution with a = -0.75.
  const near = (d: Node): Node => add(mul(mul(sub(mul(d, 1.25), 2.25), d), d), 1);
  const far = (d: Node): Node => sub(mul(add(mul(add(mul(d, -0.75), 3.75), d), -6), d), -3);
  const taps = [far(add(t, 1)), near(t), near(sub(1, t)), far(sub(2, t))];
  return taps.map((w, i) => mul(at(add(low, i - 1)), along(w))).reduce((a, b) => add(a, b));
}
