/** A compiled training step that computes next to nothing: what is left is what a call costs the host. */
import { compile, manualSeed, nn, optim, randn, type Tensor } from "#treepie/index.js";

/** What the step has, for the names of rows. */
export const stepMetric = "host time of a call, 6 parameters with AdamW";

/** The step, ready to be called, on the default device. */
export function smallStep(): () => Tensor {
  manualSeed(1);
  const model = new nn.Sequential(new nn.Linear(64, 64), new nn.ReLU(), new nn.Linear(64, 64), new nn.ReLU(), new nn.Linear(64, 10));
  const optimizer = new optim.AdamW(model.parameters());
  const step = compile((x: Tensor): Tensor => {
    const loss = model.forward(x).square().mean();
    loss.backward();
    optimizer.step();
    optimizer.zeroGrad();
    return loss;
  });
  const x = randn([32, 64]);
  return () => step(x);
}
