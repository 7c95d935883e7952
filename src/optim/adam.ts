import { ArgumentError } from "../core/errors.js";
import { type Tensor, zerosLike } from "../tensor/index.js";
import { traceGuard } from "../tensor/record.js";
import { type Group, Optimizer, type ParamState, type Params } from "./optimizer.js";

/** Settings of Adam and AdamW. */
export type AdamSettings = {
  lr: number;
  betas: readonly [number, number];
  eps: number;
  weightDecay: number;
  amsgrad: boolean;
  maximize: boolean;
};
function checked(name: string, s: AdamSettings): AdamSettings {
  const [b1, b2] = s.betas;
  if (!(b1 >= 0 && b1 < 1 && b2 >= 0 && b2 < 1)) throw new ArgumentError(`${name}: betas of ${b1} and ${b2}; both must be in [0, 1)`);
  if (!(s.lr >= 0 && s.eps >= 0 && s.weightDecay >= 0)) throw new ArgumentError(`${name}: lr, eps and weightDecay must not be negative`);
  return s;
}

/** Adaptive moments (torch.optim.Adam); weight decay is added to the gradient. */
export class Adam extends Optimizer<AdamSettings> {
  /** AdamW: weight decay shrinks the parameter itself. */
  protected readonly decoupled: boolean = false;
  constructor(params: Params<AdamSettings>, options: Partial<AdamSettings> = {}) {
    super(
      params,
      checked("Adam", { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0, amsgrad: false, maximize: false, ...options }),
    );
  }
  protected override update(p: Tensor, grad: Tensor, group: Group<AdamSettings>, state: ParamState): void {
    for (const read of [() => group.amsgrad, () => group.maximize, () => group.weightDecay !== 0]) traceGuard(read);
    const n = (name: string, read: () => number): Tensor => this.number(p, group, state, name, read);
    const m = this.tensorOf(state, "expAvg", () => zerosLike(p));
    const v = this.tensorOf(state, "expAvgSq", () => zerosLike(p));
    let g = group.maximize ? grad.neg() : grad;
    if (group.weightDecay !== 0) {
      if (this.decoupled) p.mul_(n("shrink", () => 1 - group.lr * group.weightDecay));
      else g = g.add(p.mul(n("decay", () => group.weightDecay)));
    }
    m.add_(g.sub(m).mul(n("a1", () => 1 - group.betas[0])));
    v.copy_(v.mul(n("b2", () => group.betas[1])).add(g.mul(g).mul(n("a2", () => 1 - group.betas[1]))));
    let second = v;
    if (group.amsgrad) {
      const most = this.tensorOf(state, "maxExpAvgSq", () => zerosLike(p));
      most.copy_(most.maximum(v));
      second = most;
    }
    const denominator = second
      .sqrt()
      .div(n("correction", () => Math.sqrt(1 - group.betas[1] ** state.step)))
      .add(n("eps", () => group.eps));
    p.sub_(m.div(denominator).mul(n("size", () => group.lr / (1 - group.betas[0] ** state.step))));
  }
}
/** Adam with decoupled weight decay (torch.optim.AdamW). */
export class AdamW extends Adam {
  protected override readonly decoupled: boolean = true;
  constructor(params: Params<AdamSettings>, options: Partial<AdamSettings> = {}) {
    super(params, { weightDecay: 1e-2, ...options });
  }
}
