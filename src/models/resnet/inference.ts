/** A ResNet for inference: norms folded into convolutions, channels last, one kernel for each convolution and what follows it. */
import { ArgumentError } from "../../core/errors.js";
import { type BatchNorm2d, type Conv2d, type ConvForm, Linear, Module, PreparedConv2d, takesWinograd } from "../../nn/index.js";
import { F, noGrad, type Tensor } from "../../tensor/index.js";
import type { ResNet, ResNetBlock } from "./model.js";

/** What a ResNet for inference is made for. */
export interface ResNetInferenceOptions {
  /** Height and width of the images that the forms of convolutions are chosen for (others work too); default 224. */
  readonly size?: number;
  /** Winograd's minimal filtering where it takes less time; default true. */
  readonly winograd?: boolean;
}

class PreparedBlock extends Module {
  path: PreparedConv2d[];
  downsample: PreparedConv2d | null;
  constructor(block: ResNetBlock, size: number, winograd: boolean) {
    super();
    this.path = block.path().map(([conv, norm]) => new PreparedConv2d(conv, norm, formOf(conv, size, winograd)));
    const past = block.downsample as (Iterable<Module> & Module) | null;
    const [conv, norm] = past ? ([...past] as unknown as [Conv2d, BatchNorm2d]) : [];
    this.downsample = conv && norm ? new PreparedConv2d(conv, norm) : null;
  }
  forward(x: Tensor): Tensor {
    const past = this.downsample ? this.downsample.forward(x) : x;
    let y = x;
    for (const conv of this.path.slice(0, -1)) y = conv.forward(y).relu();
    return this.path.at(-1)!.forward(y).add(past).relu();
  }
}
/** Tiles of 4 x 4 results read four times the weights of a direct convolution, those of 2 x 2 almost twice: that pays where there are many of them. */
function formOf(conv: Conv2d, size: number, winograd: boolean): ConvForm {
  if (!winograd || !takesWinograd(conv) || conv.inChannels < 16 || size < 10) return "direct";
  return size >= 20 ? "winograd4" : "winograd2";
}

/** Images [N, channels, H, W] to logits, as ResNet's `forward` in evaluation gives them. The weights are copies: later changes do not reach them. */
export class ResNetInference extends Module {
  conv1: PreparedConv2d;
  blocks: PreparedBlock[];
  fc: Linear;
  constructor(model: ResNet, options: ResNetInferenceOptions = {}) {
    super();
    const { size = 224, winograd = true } = options;
    if (!(Number.isSafeInteger(size) && size > 0)) throw new ArgumentError(`ResNetInference: a size of ${size}`);
    this.conv1 = new PreparedConv2d(model.conv1, model.bn1);
    this.blocks = model.stages().flatMap((stage, i) => stage.map((b) => new PreparedBlock(b, Math.ceil(size / 2 ** (i + 2)), winograd)));
    this.fc = new Linear(model.fc.inFeatures, model.fc.outFeatures);
    noGrad(() => this.fc.loadStateDict(model.fc.stateDict()));
    this.eval().requiresGrad_(false);
  }
  forward(x: Tensor): Tensor {
    let y = pool(this.conv1.forward(x.permute([0, 2, 3, 1])).relu());
    for (const block of this.blocks) y = block.forward(y);
    return this.fc.forward(y.mean([1, 2]));
  }
}
/** The greatest of 3 x 3, every second one, channels last. */
function pool(x: Tensor): Tensor {
  const padded = F.pad(x, [0, 0, 1, 1, 1, 1], { value: Number.NEGATIVE_INFINITY });
  return F.window(padded, [1, 2], [3, 3], [2, 2], [1, 1]).amax([4, 5]);
}
