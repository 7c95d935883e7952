/** A tiny GPT learns one sentence by heart and says it: `node --import tsx examples/gpt.ts`. */
import { compile, F, manualSeed, models, noGrad, optim, type Tensor, tensor } from "treepie";

manualSeed(3);
const text = new TextEncoder().encode("the quick brown fox jumps over the lazy dog. ");
const context = 32;
const model = new models.GPT({ vocabulary: 256, width: 64, heads: 4, layers: 2, context });
const optimizer = new optim.AdamW(model.parameters(), { lr: 3e-3 });
const step = compile((tokens: Tensor, targets: Tensor) => {
  const loss = model.loss(tokens, targets);
  optimizer.zeroGrad();
  loss.backward();
  optimizer.step();
  return loss;
});

const window = (at: number): number[] => Array.from({ length: context + 1 }, (_, i) => text[(at + i) % text.length]!);
for (let i = 0; i <= 150; i++) {
  const batch = Array.from({ length: 8 }, () => window(Math.floor(Math.random() * text.length)));
  const loss = step(
    tensor(
      batch.map((w) => w.slice(0, -1)),
      { dtype: "i64" },
    ),
    tensor(
      batch.map((w) => w.slice(1)),
      { dtype: "i64" },
    ),
  );
  if (i % 50 === 0) console.log(`step ${i}: loss ${(await loss.item()).toFixed(3)}`);
}

const said = window(0).slice(0, context);
const next = compile((tokens: Tensor) => F.select(model.forward(tokens), 1, -1).argmax(-1));
for (let i = 0; i < 60; i++) {
  const token = await noGrad(() => next(tensor([said.slice(-context)], { dtype: "i64" }))).item();
  said.push(token);
}
console.log(new TextDecoder().decode(Uint8Array.from(said)));
