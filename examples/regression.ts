/** Fits a small network to a product of two numbers: `node --import tsx examples/regression.ts`. */
import { compile, manualSeed, nn, optim, rand, type Tensor } from "treepie";

manualSeed(1);
const model = new nn.Sequential(new nn.Linear(2, 32), new nn.Tanh(), new nn.Linear(32, 1));
const optimizer = new optim.AdamW(model.parameters(), { lr: 1e-2 });

// One program: forward, backward and update.
const step = compile((x: Tensor, y: Tensor) => {
  const loss = model.forward(x).mseLoss(y);
  optimizer.zeroGrad();
  loss.backward();
  optimizer.step();
  return loss;
});

for (let i = 0; i <= 1000; i++) {
  const x = rand([256, 2]);
  const loss = step(x, x.prod(1, { keepdim: true }));
  if (i % 200 === 0) console.log(`step ${i}: loss ${(await loss.item()).toExponential(2)}`);
}
