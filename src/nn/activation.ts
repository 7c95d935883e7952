/** Activations as modules. */
import { F, full, type Tensor } from "../tensor/index.js";
import { Module, type Parameter, parameter } from "./module.js";

/** A module without state that applies one function. */
function activation(name: string, f: (x: Tensor) => Tensor): new () => Module & { forward(x: Tensor): Tensor } {
  const made = class extends Module {
    forward(x: Tensor): Tensor {
      return f(x);
    }
  };
  Object.defineProperty(made, "name", { value: name });
  return made;
}
type Activation = new () => Module & { forward(x: Tensor): Tensor };
/** max(x, 0) (torch.nn.ReLU). */
export const ReLU: Activation = activation("ReLU", (x) => x.relu());
/** x limited to [0, 6] (torch.nn.ReLU6). */
export const ReLU6: Activation = activation("ReLU6", (x) => x.relu6());
/** x sigmoid(x) (torch.nn.SiLU). */
export const SiLU: Activation = activation("SiLU", (x) => x.silu());
/** 1 / (1 + exp(-x)) (torch.nn.Sigmoid). */
export const Sigmoid: Activation = activation("Sigmoid", (x) => x.sigmoid());
/** Hyperbolic tangent (torch.nn.Tanh). */
export const Tanh: Activation = activation("Tanh", (x) => x.tanh());
/** x / (1 + |x|) (torch.nn.Softsign). */
export const Softsign: Activation = activation("Softsign", (x) => x.softsign());
/** x tanh(softplus(x)) (torch.nn.Mish). */
export const Mish: Activation = activation("Mish", (x) => x.mish());
/** Scaled exponential unit of self-normalising networks (torch.nn.SELU). */
export const SELU: Activation = activation("SELU", (x) => x.selu());
/** x relu6(x + 3) / 6 (torch.nn.Hardswish). */
export const Hardswish: Activation = activation("Hardswish", (x) => x.hardswish());
/** relu6(x + 3) / 6 (torch.nn.Hardsigmoid). */
export const Hardsigmoid: Activation = activation("Hardsigmoid", (x) => x.hardsigmoid());
/** log(sigmoid(x)) (torch.nn.LogSigmoid). */
export const LogSigmoid: Activation = activation("LogSigmoid", (x) => x.logSigmoid());

/** x times the share of a normal distribution below x (torch.nn.GELU). */
export class GELU extends Module {
  readonly approximate: "none" | "tanh";
  constructor(approximate: "none" | "tanh" = "none") {
    super();
    this.approximate = approximate;
  }
  forward(x: Tensor): Tensor {
    return F.gelu(x, { approximate: this.approximate });
  }
}
/** x, and a small multiple of it below 0 (torch.nn.LeakyReLU). */
export class LeakyReLU extends Module {
  readonly negativeSlope: number;
  constructor(negativeSlope = 0.01) {
    super();
    this.negativeSlope = negativeSlope;
  }
  forward(x: Tensor): Tensor {
    return F.leakyRelu(x, { negativeSlope: this.negativeSlope });
  }
}
/** x, and alpha (exp(x) - 1) below 0 (torch.nn.ELU). */
export class ELU extends Module {
  readonly alpha: number;
  constructor(alpha = 1) {
    super();
    this.alpha = alpha;
  }
  forward(x: Tensor): Tensor {
    return F.elu(x, { alpha: this.alpha });
  }
}
/** A smooth relu (torch.nn.Softplus). */
export class Softplus extends Module {
  readonly beta: number;
  readonly threshold: number;
  constructor(beta = 1, threshold = 20) {
    super();
    this.beta = beta;
    this.threshold = threshold;
  }
  forward(x: Tensor): Tensor {
    return F.softplus(x, { beta: this.beta, threshold: this.threshold });
  }
}
/** x, and a learned multiple of it below 0 (torch.nn.PReLU). */
export class PReLU extends Module {
  weight: Parameter;
  constructor(numParameters = 1, init = 0.25) {
    super();
    this.weight = parameter(full([numParameters], init, { dtype: "f32" }));
  }
  forward(x: Tensor): Tensor {
    return F.prelu(x, this.weight);
  }
}
/** Softmax along `dim` (torch.nn.Softmax). */
export class Softmax extends Module {
  readonly dim: number;
  constructor(dim: number) {
    super();
    this.dim = dim;
  }
  forward(x: Tensor): Tensor {
    return x.softmax(this.dim);
  }
}
/** Log of softmax along `dim` (torch.nn.LogSoftmax). */
export class LogSoftmax extends Module {
  readonly dim: number;
  constructor(dim: number) {
    super();
    this.dim = dim;
  }
  forward(x: Tensor): Tensor {
    return x.logSoftmax(this.dim);
  }
}
/** First half times the sigmoid of the second (torch.nn.GLU). */
export class GLU extends Module {
  readonly dim: number;
  constructor(dim = -1) {
    super();
    this.dim = dim;
  }
  forward(x: Tensor): Tensor {
    return x.glu(this.dim);
  }
}
