/** `mlp-train`: a step of a perceptron with two hidden layers and plain gradient descent, which every peer can run. */
import { compile, evaluate, nn, noGrad, type Tensor } from "#treepie";
import type { Case } from "../row.js";
import { contest, type ScriptPeer, type Site } from "./contest.js";
import { noise, oneHot, tensorOf } from "./inputs.js";
import { stepper } from "./runner.js";

const [batch, inputs, hidden, classes] = [256, 784, 1024, 10];
const lr = 0.05;
const weights = inputs * hidden + hidden * hidden + hidden * classes;

/** The row on the processor, or at another site against scripts alone. */
export const mlp = (name: string, site?: Site, scripts: readonly ScriptPeer[] = ["jax-js", "tfjs-wasm"]): Case =>
  contest({
    name,
    ...(site && { site }),
    metric: `${inputs}-${hidden}-${hidden}-${classes}, batch ${batch}, SGD, f32`,
    unit: "steps/s",
    work: 1,
    // The gradient of the inputs is not asked for.
    ...(!site && { limit: (m) => m.f32 / (2 * batch * (3 * weights - inputs * hidden)), limitNote: "products at the peak f32 rate" }),
    tolerance: 1e-4,
    job: {
      kind: "mlp-train",
      spec: { lr },
      inputs: () => [
        noise(20, [batch, inputs]),
        oneHot(21, batch, classes),
        noise(22, [inputs, hidden], "f32", 0.04),
        noise(23, [hidden], "f32", 0.04),
        noise(24, [hidden, hidden], "f32", 0.04),
        noise(25, [hidden], "f32", 0.04),
        noise(26, [hidden, classes], "f32", 0.04),
        noise(27, [classes], "f32", 0.04),
      ],
    },
    variants: ["eager", "compile"],
    scripts,
    async ours(all) {
      const [x, y, ...rest] = all.map(tensorOf) as [Tensor, Tensor, ...Tensor[]];
      const params = rest.map((w) => nn.parameter(w));
      await evaluate(...params);
      const [w1, b1, w2, b2, w3, b3] = params as [Tensor, Tensor, Tensor, Tensor, Tensor, Tensor];
      const step = compile((images: Tensor, labels: Tensor): Tensor => {
        for (const p of params) p.grad = null;
        const h = images.matmul(w1).add(b1).relu().matmul(w2).add(b2).relu();
        const loss = h.matmul(w3).add(b3).logSoftmax(-1).mul(labels).sum(-1).mean().neg();
        loss.backward();
        noGrad(() => {
          for (const p of params) p.sub_(p.grad!.mul(lr));
        });
        return loss.detach();
      });
      return stepper(() => step(x, y), 3);
    },
  });

export const mlpTrain: Case = mlp("mlp-train");
