import { ArgumentError } from "../core/errors.js";
import { type Tensor, zerosLike } from "../tensor/index.js";
import { traceGuard } from "../tensor/record.js";
import { type Group, Optimizer, type ParamState, type Params } from "./optimizer.js";

/** Settings of SGD. */
export type SGDSettings = {
  lr: number;
  momentum: number;
  dampening: number;
  weightDecay: number;
  nesterov: boolean;
  maximize: boolean;
};
/** Gradient descent with momentum (torch.optim.SGD). */
export class SGD extends Optimizer<SGDSettings> {
  constructor(params: Params<SGDSettings>, options: Partial<SGDSettings> = {}) {
    const all: SGDSettings = { lr: 1e-3, momentum: 0, dampening: 0, weightDecay: 0, nesterov: false, maximize: false, ...options };
    if (all.nesterov && (all.momentum <= 0 || all.dampening !== 0))
      throw new ArgumentError("SGD: nesterov needs momentum, and no dampening");
    super(params, all);
  }
  protected override update(p: Tensor, grad: Tensor, group: Group<SGDSettings>, state: ParamState): void {
    for (const read of [() => group.nesterov, () => group.maximize, () => group.momentum !== 0, () => group.weightDecay !== 0])
      traceGuard(read);
    const n = (name: string, read: () => number): Tensor => this.number(p, group, state, name, read);
    let d = group.maximize ? grad.neg() : grad;
    if (group.weightDecay !== 0) d = d.add(p.mul(n("decay", () => group.weightDecay)));
    if (group.momentum !== 0) {
      const m = this.tensorOf(state, "momentumBuffer", () => zerosLike(p));
      m.copy_(m.mul(n("momentum", () => group.momentum)).add(d.mul(n("fresh", () => (state.step === 1 ? 1 : 1 - group.dampening)))));
      d = group.nesterov ? d.add(m.mul(n("momentum", () => group.momentum))) : m;
    }
    p.sub_(d.mul(n("lr", () => group.lr)));
  }
}
