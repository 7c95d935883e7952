/** Gradient clipping. */
import { ArgumentError } from "../core/errors.js";
import { F, noGrad, stack, type Tensor } from "../tensor/index.js";

const withGrads = (params: Iterable<Tensor>): Tensor[] => [...params].filter((p) => p.grad !== null);

/** Scales all gradients so that their common norm is at most `maxNorm`; gives the norm before (torch.nn.utils.clip_grad_norm_). */
export function clipGradNorm_(params: Iterable<Tensor>, maxNorm: number | Tensor, options: { readonly normType?: number } = {}): Tensor {
  const list = withGrads(params);
  const type = options.normType ?? 2;
  if (list.length === 0) throw new ArgumentError("clipGradNorm_: no parameter has a gradient; call backward() first");
  return noGrad(() => {
    const norms = list.map((p) => {
      const g = p.grad!;
      const wide = g.dtype === "f64" ? g : g.to("f32");
      return type === Infinity ? wide.abs().amax() : type === 2 ? wide.square().sum() : wide.abs().pow(type).sum();
    });
    const joined = norms.length === 1 ? norms[0]! : type === Infinity ? stack(norms).amax() : norms.reduce((a, b) => a.add(b));
    const total = type === Infinity ? joined : type === 2 ? joined.sqrt() : joined.pow(1 / type);
    const scale = F.minimum(F.div(maxNorm as Tensor, total.add(1e-6)), 1);
    for (const p of list) p.grad!.mul_(scale.to(p.dtype));
    return total;
  });
}
/** Limits every element of every gradient to [-value, value] (torch.nn.utils.clip_grad_value_). */
export function clipGradValue_(params: Iterable<Tensor>, value: number): void {
  noGrad(() => {
    for (const p of withGrads(params)) p.grad!.clamp_(-value, value);
  });
}
/** The common norm of all gradients. */
export const gradNorm = (params: Iterable<Tensor>): Tensor =>
  noGrad(() =>
    withGrads(params)
      .map((p) => p.grad!.square().sum())
      .reduce((a, b) => a.add(b))
      .sqrt(),
  );
