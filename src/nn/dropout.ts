/** Dropout. The probability is a number that programs take with each call, so changing it never recompiles. */
import { ArgumentError } from "../core/errors.js";
import { quietly } from "../tensor/fields.js";
import { dropout, type Tensor } from "../tensor/index.js";
import { traceGuard } from "../tensor/record.js";
import { Module } from "./module.js";

/** Zeroes elements with probability p in training, and scales the others up (torch.nn.Dropout). */
export class Dropout extends Module {
  p: number;
  constructor(p = 0.5) {
    super();
    if (!(p >= 0 && p <= 1)) throw new ArgumentError(`Dropout: a probability of ${p}`);
    this.p = p;
  }
  forward(x: Tensor): Tensor {
    if (!this.training) return x;
    return quietly(() => {
      traceGuard(() => this.p > 0);
      return this.p > 0 ? dropout(x, () => quietly(() => this.p), this.kind) : x;
    });
  }
  protected get kind(): "element" | "feature" {
    return "element";
  }
  protected override describe(): string {
    return `p=${this.p}`;
  }
}
/** Zeroes whole channels of [N, C, L] (torch.nn.Dropout1d). */
export class Dropout1d extends Dropout {
  protected override get kind(): "feature" {
    return "feature";
  }
}
/** Zeroes whole channels of [N, C, H, W] (torch.nn.Dropout2d). */
export class Dropout2d extends Dropout1d {}
