/** `resnet18-infer`: one image of 224 x 224. */
import { compile, loadSafetensors, models, noGrad, type Tensor } from "#treepie";
import type { Case } from "../row.js";
import { type Checkpoint, checkpointFolder } from "./checkpoint.js";
import { contest } from "./contest.js";
import { noise, tensorOf } from "./inputs.js";
import { pure } from "./runner.js";

const make = (): models.ResNet => new models.ResNet(models.resNet18());

/** ResNet-18 with torchvision's keys. */
export const resnet18: Checkpoint = {
  name: "resnet18",
  dtype: "f32",
  config: { model_type: "resnet18" },
  weights: () =>
    Object.entries(make().stateDict())
      .filter(([key]) => !key.endsWith("num_batches_tracked"))
      .map(([key, t]) => [key, t.shape] as const),
};
/** The function from images to logits. */
export function resnetOf(folder: string): (x: Tensor) => Tensor {
  const net = make();
  net.loadStateDict(loadSafetensors(`${folder}/model.safetensors`), { strict: false });
  net.eval();
  const model = net.inference();
  return (x) => model.forward(x);
}
/** The same as one program. */
export function resnet(folder: string): (x: Tensor) => Tensor {
  const f = compile(resnetOf(folder));
  return (x) => noGrad(() => f(x));
}

/** Multiply-adds of ResNet-18 on 224 x 224. */
const macs = 1.814e9;
export const resnetInfer: Case = contest({
  name: "resnet18-infer",
  metric: "one image of 224 x 224, f32",
  unit: "images/s",
  work: 1,
  limit: (m) => m.f32 / (2 * macs),
  limitNote: "direct convolutions at the peak f32 rate (Winograd's need fewer operations)",
  tolerance: 1e-3,
  job: {
    kind: "resnet18",
    get spec() {
      return { folder: checkpointFolder(resnet18) };
    },
    inputs: () => [noise(50, [1, 3, 224, 224])],
  },
  variants: ["eager", "channels-last", "compile", "freeze"],
  scripts: ["onnxruntime"],
  async ours([image]) {
    const f = resnetOf(checkpointFolder(resnet18));
    return pure((x) => f(x!), [tensorOf(image!)]);
  },
});
