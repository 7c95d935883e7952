import { ArgumentError, ShapeError } from "../core/errors.js";
import { type Dim, div as over, add as plus, mul as times } from "../core/expr.js";
import { numel, type Shape, showShape } from "../core/type.js";
import type { Node } from "../ir/node.js";
import { perAxis } from "./composite.js";
import type { PerAxis } from "./conv.js";
import { permute, reshape, slice, unslice, unwindow, window, windowCount } from "./movement.js";
import { sum } from "./reduce.js";

/** Channels [.., C r², H, W] become places [.., C, H r, W r] (torch.nn.functional.pixel_shuffle). */
export function pixelShuffle(x: Node, upscaleFactor: number): Node {
  const r = upscaleFactor;
  const [c, h, w] = lastThree("pixelShuffle", x);
  const lead = x.type.shape.slice(0, -3);
  const out = over(c, r * r);
  if (!(Number.isInteger(r) && r > 0) || times(out, r * r) !== c)
    throw new ShapeError(`pixelShuffle: the channels of ${showShape(x.type.shape)} are no multiple of ${r}²`);
  const n = lead.length;
  const split = reshape(x, [...lead, out, r, r, h, w]);
  return reshape(permute(split, [...lead.map((_, i) => i), n, n + 3, n + 1, n + 4, n + 2]), [...lead, out, times(h, r), times(w, r)]);
}
/** Places [.., C, H r, W r] become channels [.., C r², H, W] (torch.nn.functional.pixel_unshuffle). */
export function pixelUnshuffle(x: Node, downscaleFactor: number): Node {
  const r = downscaleFactor;
  const [c, h, w] = lastThree("pixelUnshuffle", x);
  const lead = x.type.shape.slice(0, -3);
  const [high, wide] = [over(h, r), over(w, r)];
  if (!(Number.isInteger(r) && r > 0) || times(high, r) !== h || times(wide, r) !== w)
    throw new ShapeError(`pixelUnshuffle: the last two axes of ${showShape(x.type.shape)} are no multiples of ${r}`);
  const n = lead.length;
  const split = reshape(x, [...lead, c, high, r, wide, r]);
  return reshape(permute(split, [...lead.map((_, i) => i), n, n + 2, n + 4, n + 1, n + 3]), [...lead, times(c, r * r), high, wide]);
}
/** Channels in `groups` runs are dealt out one from each (torch.nn.functional.channel_shuffle). */
export function channelShuffle(x: Node, groups: number): Node {
  const [n, c, ...rest] = x.type.shape;
  if (n === undefined || c === undefined || !(Number.isInteger(groups) && groups > 0) || times(over(c, groups), groups) !== c)
    throw new ShapeError(`channelShuffle: ${groups} groups do not divide the channels (axis 1) of ${showShape(x.type.shape)}`);
  const split = reshape(x, [n, groups, over(c, groups), ...rest]);
  return reshape(permute(split, [0, 2, 1, ...rest.map((_, i) => i + 3)]), x.type.shape);
}
function lastThree(name: string, x: Node): [Dim, Dim, Dim] {
  if (x.type.shape.length < 3) throw new ShapeError(`${name}: ${showShape(x.type.shape)} needs at least three axes, [..., C, H, W]`);
  return x.type.shape.slice(-3) as unknown as [Dim, Dim, Dim];
}

/** Settings of im2col and col2im. */
export interface BlockOptions {
  readonly dilation?: PerAxis;
  readonly padding?: PerAxis;
  readonly stride?: PerAxis;
}
interface Blocks {
  readonly kernel: readonly number[];
  readonly dilation: readonly number[];
  readonly padding: readonly number[];
  readonly stride: readonly number[];
}
const blocks = (name: string, kernelSize: PerAxis, o: BlockOptions): Blocks => ({
  kernel: perAxis(name, "kernelSize", kernelSize, 2, 1),
  dilation: perAxis(name, "dilation", o.dilation ?? 1, 2, 1),
  padding: perAxis(name, "padding", o.padding ?? 0, 2, 0),
  stride: perAxis(name, "stride", o.stride ?? 1, 2, 1),
});

/** Sliding blocks of [N, C, H, W] as columns [N, C kh kw, places] (torch.nn.functional.unfold). */
export function im2col(x: Node, kernelSize: PerAxis, options: BlockOptions = {}): Node {
  const { shape } = x.type;
  if (shape.length === 3) {
    const y = im2col(reshape(x, [1, ...shape]), kernelSize, options);
    return reshape(y, y.type.shape.slice(1));
  }
  if (shape.length !== 4) throw new ShapeError(`im2col: ${showShape(shape)} must be [N, C, H, W] or [C, H, W]`);
  const b = blocks("im2col", kernelSize, options);
  const [n, c, h, w] = shape as unknown as [Dim, Dim, Dim, Dim];
  const [top, left] = b.padding as [number, number];
  const padded = unslice(x, [n, c, plus(h, 2 * top), plus(w, 2 * left)], [0, 0, top, left]);
  const seen = window(padded, [2, 3], b.kernel, b.stride, b.dilation);
  const [rows, columns] = seen.type.shape.slice(2, 4) as [Dim, Dim];
  return reshape(permute(seen, [0, 1, 4, 5, 2, 3]), [n, times(c, b.kernel[0]! * b.kernel[1]!), times(rows, columns)]);
}
/** Columns [N, C kh kw, places] summed back into [N, C, H, W] (torch.nn.functional.fold). */
export function col2im(x: Node, outputSize: Shape, kernelSize: PerAxis, options: BlockOptions = {}): Node {
  const { shape } = x.type;
  if (shape.length === 2) {
    const y = col2im(reshape(x, [1, ...shape]), outputSize, kernelSize, options);
    return reshape(y, y.type.shape.slice(1));
  }
  const b = blocks("col2im", kernelSize, options);
  if (shape.length !== 3 || outputSize.length !== 2)
    throw new ArgumentError(`col2im: ${showShape(shape)} must be [N, C kh kw, places], its output size two numbers`);
  const [n, columns, count] = shape as unknown as [Dim, Dim, Dim];
  const c = over(columns, b.kernel[0]! * b.kernel[1]!);
  const padded = outputSize.map((d, i) => plus(d, 2 * b.padding[i]!));
  const places = padded.map((d, i) => windowCount(d, b.kernel[i]!, b.stride[i]!, b.dilation[i]!));
  if (times(c, b.kernel[0]! * b.kernel[1]!) !== columns || numel(places) !== count)
    throw new ShapeError(
      `col2im: ${showShape(shape)} does not hold the blocks of ${showShape(outputSize)}: expected ${showShape(places)} places`,
    );
  const split = permute(reshape(x, [n, c, ...b.kernel, ...places]), [0, 1, 4, 5, 2, 3]);
  const back = sum(unwindow(split, padded, { axes: [2, 3], stride: b.stride, dilation: b.dilation }), [4, 5]);
  return slice(back, [0, 0, ...b.padding], [n, c, ...outputSize]);
}
