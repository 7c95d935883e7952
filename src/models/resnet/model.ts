/** ResNets (He et al. 2015) as torchvision has them: its names and state-dict keys. */
import { AdaptiveAvgPool2d, BatchNorm2d, Conv2d, init, Linear, MaxPool2d, Module, Sequential } from "../../nn/index.js";
import type { Tensor } from "../../tensor/index.js";
import type { ResNetConfig } from "./config.js";
import { ResNetInference, type ResNetInferenceOptions } from "./inference.js";

const conv3x3 = (from: number, to: number, stride: number): Conv2d => new Conv2d(from, to, 3, { stride, padding: 1, bias: false });
const conv1x1 = (from: number, to: number, stride = 1): Conv2d => new Conv2d(from, to, 1, { stride, bias: false });

/** Two or three convolutions with norms, and what goes past them. */
export abstract class ResNetBlock extends Module {
  abstract readonly downsample: Sequential | null;
  /** Convolutions with their norms, in order. */
  abstract path(): (readonly [Conv2d, BatchNorm2d])[];
  forward(x: Tensor): Tensor {
    const path = this.path();
    let y = x;
    for (const [i, [conv, norm]] of path.entries()) {
      y = norm.forward(conv.forward(y));
      if (i < path.length - 1) y = y.relu();
    }
    return y.add(this.downsample ? this.downsample.forward(x) : x).relu();
  }
}
/** The block of ResNet-18 and ResNet-34. */
export class BasicBlock extends ResNetBlock {
  conv1: Conv2d;
  bn1: BatchNorm2d;
  conv2: Conv2d;
  bn2: BatchNorm2d;
  downsample: Sequential | null;
  constructor(from: number, width: number, stride: number, downsample: Sequential | null) {
    super();
    this.conv1 = conv3x3(from, width, stride);
    this.bn1 = new BatchNorm2d(width);
    this.conv2 = conv3x3(width, width, 1);
    this.bn2 = new BatchNorm2d(width);
    this.downsample = downsample;
  }
  path(): (readonly [Conv2d, BatchNorm2d])[] {
    return [
      [this.conv1, this.bn1],
      [this.conv2, this.bn2],
    ];
  }
}
/** The block of ResNet-50 and deeper ones: the stride is in the second convolution. */
export class Bottleneck extends ResNetBlock {
  conv1: Conv2d;
  bn1: BatchNorm2d;
  conv2: Conv2d;
  bn2: BatchNorm2d;
  conv3: Conv2d;
  bn3: BatchNorm2d;
  downsample: Sequential | null;
  constructor(from: number, width: number, stride: number, downsample: Sequential | null) {
    super();
    this.conv1 = conv1x1(from, width);
    this.bn1 = new BatchNorm2d(width);
    this.conv2 = conv3x3(width, width, stride);
    this.bn2 = new BatchNorm2d(width);
    this.conv3 = conv1x1(width, 4 * width);
    this.bn3 = new BatchNorm2d(4 * width);
    this.downsample = downsample;
  }
  path(): (readonly [Conv2d, BatchNorm2d])[] {
    return [
      [this.conv1, this.bn1],
      [this.conv2, this.bn2],
      [this.conv3, this.bn3],
    ];
  }
}

/** Images [N, 3, H, W] to logits [N, classes]: `model.loadStateDict(loadSafetensors(path))` takes torchvision's weights. */
export class ResNet extends Module {
  readonly config: ResNetConfig;
  conv1: Conv2d;
  bn1: BatchNorm2d;
  maxpool: MaxPool2d;
  layer1: Sequential;
  layer2: Sequential;
  layer3: Sequential;
  layer4: Sequential;
  avgpool: AdaptiveAvgPool2d;
  fc: Linear;

  constructor(config: ResNetConfig) {
    super();
    this.config = config;
    const { width, block, layers, channels, classes } = config;
    this.conv1 = new Conv2d(channels, width, 7, { stride: 2, padding: 3, bias: false });
    this.bn1 = new BatchNorm2d(width);
    this.maxpool = new MaxPool2d(3, { stride: 2, padding: 1 });
    const grow = block === "basic" ? 1 : 4;
    let from = width;
    const stage = (i: number): Sequential => {
      const inner = width * 2 ** i;
      const blocks = Array.from({ length: layers[i]! }, (_, j) => {
        const stride = i > 0 && j === 0 ? 2 : 1;
        const to = inner * grow;
        const downsample = stride !== 1 || from !== to ? new Sequential(conv1x1(from, to, stride), new BatchNorm2d(to)) : null;
        const made = block === "basic" ? new BasicBlock(from, inner, stride, downsample) : new Bottleneck(from, inner, stride, downsample);
        from = to;
        return made;
      });
      return new Sequential(...blocks);
    };
    this.layer1 = stage(0);
    this.layer2 = stage(1);
    this.layer3 = stage(2);
    this.layer4 = stage(3);
    this.avgpool = new AdaptiveAvgPool2d(1);
    this.fc = new Linear(from, classes);
    for (const m of this.modules()) if (m instanceof Conv2d) init.kaimingNormal_(m.weight, { mode: "fanOut", nonlinearity: "relu" });
  }
  /** The blocks of the four stages. */
  stages(): ResNetBlock[][] {
    return [this.layer1, this.layer2, this.layer3, this.layer4].map((s) => [...s] as ResNetBlock[]);
  }
  forward(x: Tensor): Tensor {
    let y = this.maxpool.forward(this.bn1.forward(this.conv1.forward(x)).relu());
    for (const stage of [this.layer1, this.layer2, this.layer3, this.layer4]) y = stage.forward(y);
    return this.fc.forward(this.avgpool.forward(y).flatten(1));
  }
  /** The model for inference, with weights of its own: see ResNetInference. */
  inference(options: ResNetInferenceOptions = {}): ResNetInference {
    return new ResNetInference(this, options);
  }
}
