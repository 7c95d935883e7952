/** Losses as modules. */
import { F, type Functions, type Tensor } from "../tensor/index.js";
import { Buffer, Module } from "./module.js";

type OptionsOf<K extends keyof Functions> = NonNullable<Parameters<Functions[K]>[2 & keyof Parameters<Functions[K]>]> & object;

abstract class Loss<O extends object> extends Module {
  readonly options: O;
  weight: Buffer | null = null;
  constructor(options: O) {
    super();
    this.options = options;
    const given = (options as { weight?: Tensor }).weight;
    if (given) this.weight = new Buffer(given.detach().clone().cell);
  }
  protected get settings(): O {
    return this.weight ? { ...this.options, weight: this.weight } : this.options;
  }
}
/** Cross entropy of logits and class numbers, or class probabilities (torch.nn.CrossEntropyLoss). */
export class CrossEntropyLoss extends Loss<OptionsOf<"crossEntropy">> {
  constructor(options: OptionsOf<"crossEntropy"> = {}) {
    super(options);
  }
  forward(x: Tensor, target: Tensor): Tensor {
    return F.crossEntropy(x, target, this.settings);
  }
}
/** Negative log likelihood of log probabilities (torch.nn.NLLLoss). */
export class NLLLoss extends Loss<OptionsOf<"nllLoss">> {
  constructor(options: OptionsOf<"nllLoss"> = {}) {
    super(options);
  }
  forward(x: Tensor, target: Tensor): Tensor {
    return F.nllLoss(x, target, this.settings);
  }
}
/** Mean squared error (torch.nn.MSELoss). */
export class MSELoss extends Loss<OptionsOf<"mseLoss">> {
  constructor(options: OptionsOf<"mseLoss"> = {}) {
    super(options);
  }
  forward(x: Tensor, target: Tensor): Tensor {
    return F.mseLoss(x, target, this.settings);
  }
}
/** Mean absolute error (torch.nn.L1Loss). */
export class L1Loss extends Loss<OptionsOf<"l1Loss">> {
  constructor(options: OptionsOf<"l1Loss"> = {}) {
    super(options);
  }
  forward(x: Tensor, target: Tensor): Tensor {
    return F.l1Loss(x, target, this.settings);
  }
}
/** Squared near 0, absolute beyond (torch.nn.SmoothL1Loss). */
export class SmoothL1Loss extends Loss<OptionsOf<"smoothL1Loss">> {
  constructor(options: OptionsOf<"smoothL1Loss"> = {}) {
    super(options);
  }
  forward(x: Tensor, target: Tensor): Tensor {
    return F.smoothL1Loss(x, target, this.settings);
  }
}
/** Huber's loss (torch.nn.HuberLoss). */
export class HuberLoss extends Loss<OptionsOf<"huberLoss">> {
  constructor(options: OptionsOf<"huberLoss"> = {}) {
    super(options);
  }
  forward(x: Tensor, target: Tensor): Tensor {
    return F.huberLoss(x, target, this.settings);
  }
}
/** Binary cross entropy of logits (torch.nn.BCEWithLogitsLoss). */
export class BCEWithLogitsLoss extends Loss<OptionsOf<"binaryCrossEntropyWithLogits">> {
  constructor(options: OptionsOf<"binaryCrossEntropyWithLogits"> = {}) {
    super(options);
  }
  forward(x: Tensor, target: Tensor): Tensor {
    return F.binaryCrossEntropyWithLogits(x, target, this.settings);
  }
}
/** Binary cross entropy of probabilities (torch.nn.BCELoss). */
export class BCELoss extends Loss<OptionsOf<"binaryCrossEntropy">> {
  constructor(options: OptionsOf<"binaryCrossEntropy"> = {}) {
    super(options);
  }
  forward(x: Tensor, target: Tensor): Tensor {
    return F.binaryCrossEntropy(x, target, this.settings);
  }
}
/** Kullback-Leibler divergence of log probabilities (torch.nn.KLDivLoss). */
export class KLDivLoss extends Loss<OptionsOf<"klDiv">> {
  constructor(options: OptionsOf<"klDiv"> = {}) {
    super(options);
  }
  forward(x: Tensor, target: Tensor): Tensor {
    return F.klDiv(x, target, this.settings);
  }
}
