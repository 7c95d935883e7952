/** Initialisers: they fill a tensor in place and give it back. Defaults are PyTorch's. */
import { ArgumentError, ShapeError } from "../core/errors.js";
import { showShape } from "../core/type.js";
import { eye, noGrad, rand, type Tensor, tensor } from "../tensor/index.js";
import { isBlank } from "./blank.js";

/** Fills in place; modules made blank keep what they have. */
const filled = (t: Tensor, fill: () => Tensor): Tensor => (isBlank() ? t : noGrad(fill));

/** Numbers of inputs and outputs of one unit of a weight. */
export function fans(t: Tensor): { readonly fanIn: number; readonly fanOut: number } {
  const s = t.shape;
  if (s.length < 2) throw new ShapeError(`init: a weight of shape ${showShape(s)} has no fan; it needs two axes or more`);
  const field = s.slice(2).reduce((a, b) => a * b, 1);
  return { fanIn: s[1]! * field, fanOut: s[0]! * field };
}
/** What follows a layer: it decides the gain. */
export type Nonlinearity = "linear" | "sigmoid" | "tanh" | "relu" | "leakyRelu" | "selu";
/** By how much a nonlinearity shrinks the deviation (torch.nn.init.calculate_gain). */
export function gain(nonlinearity: Nonlinearity, slope = 0.01): number {
  switch (nonlinearity) {
    case "linear":
    case "sigmoid":
      return 1;
    case "tanh":
      return 5 / 3;
    case "relu":
      return Math.SQRT2;
    case "leakyRelu":
      return Math.sqrt(2 / (1 + slope ** 2));
    case "selu":
      return 3 / 4;
    default:
      return nonlinearity satisfies never;
  }
}
/** Fills with draws from [low, high) (torch.nn.init.uniform_). */
export const uniform_ = (t: Tensor, low = 0, high = 1): Tensor => filled(t, () => t.uniform_(low, high));
/** Fills with normal draws (torch.nn.init.normal_). */
export const normal_ = (t: Tensor, mean = 0, std = 1): Tensor => filled(t, () => t.normal_(mean, std));
/** Fills with one value (torch.nn.init.constant_). */
export const constant_ = (t: Tensor, value: number): Tensor => filled(t, () => t.fill_(value));
/** Fills with zeros (torch.nn.init.zeros_). */
export const zeros_ = (t: Tensor): Tensor => filled(t, () => t.zero_());
/** Fills with ones (torch.nn.init.ones_). */
export const ones_ = (t: Tensor): Tensor => filled(t, () => t.fill_(1));
/** The identity, for a weight of two axes. */
export function eye_(t: Tensor): Tensor {
  if (t.ndim !== 2) throw new ShapeError(`eye_: ${showShape(t.shape)} has not two axes`);
  return noGrad(() => t.copy_(eye(t.shape[0]!, t.shape[1]!, { dtype: t.dtype })));
}
/** Normal, with what lies outside [a, b] drawn again (torch.nn.init.trunc_normal_). */
export function truncNormal_(t: Tensor, mean = 0, std = 1, a = -2, b = 2): Tensor {
  if (!(a < b && std > 0)) throw new ArgumentError(`truncNormal_: no normal distribution of deviation ${std} lies in [${a}, ${b}]`);
  return noGrad(() => {
    const [l, h] = [a, b].map((x) => tensor((x - mean) / std / Math.SQRT2, { dtype: "f64" }).erf()) as [Tensor, Tensor];
    const u = rand(t.shape, { dtype: "f64" }).mul(h.sub(l)).add(l);
    return t.copy_(
      u
        .erfinv()
        .mul(std * Math.SQRT2)
        .add(mean)
        .clamp(a, b),
    );
  });
}
/** Whether values (fanIn) or gradients (fanOut) keep their variance. */
export type FanMode = "fanIn" | "fanOut";
/** Options of the kaiming initialisers. */
export interface KaimingOptions {
  /** Slope of the leaky relu that follows. */
  readonly a?: number;
  readonly mode?: FanMode;
  readonly nonlinearity?: Nonlinearity;
}
const kaiming = (t: Tensor, o: KaimingOptions): number =>
  gain(o.nonlinearity ?? "leakyRelu", o.a ?? 0) / Math.sqrt(fans(t)[o.mode ?? "fanIn"]);
/** He's initialisation, uniform (torch.nn.init.kaiming_uniform_). */
export function kaimingUniform_(t: Tensor, options: KaimingOptions = {}): Tensor {
  if (t.numel() === 0) return t;
  const bound = Math.sqrt(3) * kaiming(t, options);
  return uniform_(t, -bound, bound);
}
/** He's initialisation, normal (torch.nn.init.kaiming_normal_). */
export const kaimingNormal_ = (t: Tensor, options: KaimingOptions = {}): Tensor =>
  t.numel() === 0 ? t : normal_(t, 0, kaiming(t, options));
/** Glorot's initialisation, uniform (torch.nn.init.xavier_uniform_). */
export function xavierUniform_(t: Tensor, factor = 1): Tensor {
  const { fanIn, fanOut } = fans(t);
  const bound = factor * Math.sqrt(6 / (fanIn + fanOut));
  return uniform_(t, -bound, bound);
}
/** Glorot's initialisation, normal (torch.nn.init.xavier_normal_). */
export function xavierNormal_(t: Tensor, factor = 1): Tensor {
  const { fanIn, fanOut } = fans(t);
  return normal_(t, 0, factor * Math.sqrt(2 / (fanIn + fanOut)));
}
/** What Linear and the convolutions start with: weight and bias uniform in 1 / sqrt(fan in). */
export function defaultInit(weight: Tensor, bias: Tensor | null): void {
  kaimingUniform_(weight, { a: Math.sqrt(5) });
  if (!bias) return;
  const { fanIn } = fans(weight);
  const bound = fanIn > 0 ? 1 / Math.sqrt(fanIn) : 0;
  uniform_(bias, -bound, bound);
}
