/** Learning-rate schedules. They change numbers on the host, which a compiled step asks for at each call. */
import { ArgumentError } from "../core/errors.js";
import { hostEffect } from "../tensor/index.js";

/** Any optimizer: a schedule needs only its learning rates. */
export interface AnyOptimizer {
  readonly paramGroups: readonly { lr: number }[];
}
type HasLr = { lr: number; initialLr?: number };
/** What a saved schedule holds. */
export interface SchedulerState {
  readonly lastEpoch: number;
  readonly baseLrs: readonly number[];
  readonly lrs: readonly number[];
}

/** Base of schedules: `factor(t)` times each group's first learning rate, or whatever `rate` says. */
export abstract class Scheduler {
  readonly optimizer: AnyOptimizer;
  lastEpoch = -1;
  protected baseLrs: number[];

  constructor(optimizer: AnyOptimizer, lastEpoch = -1) {
    this.optimizer = optimizer;
    this.baseLrs = this.groups.map((g) => (g.initialLr ??= g.lr));
    this.lastEpoch = lastEpoch;
  }
  protected get groups(): HasLr[] {
    return this.optimizer.paramGroups as HasLr[];
  }
  /** The learning rate of group `i` at step `lastEpoch`, from its rate now and its first one. */
  abstract rate(i: number, now: number, base: number): number;

  /** One step further. Inside a compiled function this happens at every call. */
  step(): void {
    hostEffect(() => this.advance());
  }
  protected advance(): void {
    this.lastEpoch++;
    this.apply();
  }
  protected apply(): void {
    this.groups.forEach((g, i) => {
      g.lr = this.rate(i, g.lr, this.baseLrs[i]!);
    });
  }
  getLastLr(): number[] {
    return this.groups.map((g) => g.lr);
  }
  stateDict(): SchedulerState {
    return { lastEpoch: this.lastEpoch, baseLrs: [...this.baseLrs], lrs: this.getLastLr() };
  }
  loadStateDict(s: SchedulerState): void {
    if (s.baseLrs.length !== this.baseLrs.length)
      throw new ArgumentError(`loadStateDict: a schedule of ${s.baseLrs.length} groups for ${this.baseLrs.length}`);
    this.lastEpoch = s.lastEpoch;
    this.baseLrs = [...s.baseLrs];
    this.groups.forEach((g, i) => {
      g.lr = s.lrs[i]!;
    });
  }
}
/** The first learning rate times `f(step)` (torch.optim.lr_scheduler.LambdaLR). */
export class LambdaLR extends Scheduler {
  private readonly f: (step: number) => number;
  constructor(optimizer: AnyOptimizer, f: (step: number) => number, lastEpoch = -1) {
    super(optimizer, lastEpoch);
    this.f = f;
    this.advance();
  }
  override rate(_i: number, _now: number, base: number): number {
    return base * this.f(this.lastEpoch);
  }
}
/** From the first learning rate down to `etaMin` along half a cosine (torch.optim.lr_scheduler.CosineAnnealingLR). */
export class CosineAnnealingLR extends LambdaLR {
  constructor(optimizer: AnyOptimizer, tMax: number, options: { readonly etaMin?: number; readonly lastEpoch?: number } = {}) {
    if (!(tMax > 0)) throw new ArgumentError(`CosineAnnealingLR: tMax of ${tMax}`);
    super(optimizer, () => 1, options.lastEpoch ?? -1);
    this.etaMin = options.etaMin ?? 0;
    this.tMax = tMax;
    this.apply();
  }
  private readonly etaMin: number;
  private readonly tMax: number = 1;
  override rate(_i: number, _now: number, base: number): number {
    return this.etaMin + ((base - this.etaMin) * (1 + Math.cos((Math.PI * this.lastEpoch) / this.tMax))) / 2;
  }
}
/** From `startFactor` to `endFactor` of the first learning rate over `totalIters` steps (torch.optim.lr_scheduler.LinearLR). */
export class LinearLR extends LambdaLR {
  constructor(
    optimizer: AnyOptimizer,
    options: { readonly startFactor?: number; readonly endFactor?: number; readonly totalIters?: number } = {},
  ) {
    const { startFactor = 1 / 3, endFactor = 1, totalIters = 5 } = options;
    super(optimizer, (t) => startFactor + ((endFactor - startFactor) * Math.min(t, totalIters)) / totalIters);
  }
}
/** Times `gamma` every `stepSize` steps (torch.optim.lr_scheduler.StepLR). */
export class StepLR extends LambdaLR {
  constructor(optimizer: AnyOptimizer, stepSize: number, gamma = 0.1) {
    super(optimizer, (t) => gamma ** Math.floor(t / stepSize));
  }
}
/** Times `gamma` at each milestone (torch.optim.lr_scheduler.MultiStepLR). */
export class MultiStepLR extends LambdaLR {
  constructor(optimizer: AnyOptimizer, milestones: readonly number[], gamma = 0.1) {
    super(optimizer, (t) => gamma ** milestones.filter((m) => m <= t).length);
  }
}
/** Times `gamma` at every step (torch.optim.lr_scheduler.ExponentialLR). */
export class ExponentialLR extends LambdaLR {
  constructor(optimizer: AnyOptimizer, gamma: number) {
    super(optimizer, (t) => gamma ** t);
  }
}
/** Linear from 0 to the first learning rate over `warmup` steps, then half a cosine down to `minFactor` of it at `total`. */
export class WarmupCosineLR extends LambdaLR {
  constructor(optimizer: AnyOptimizer, options: { readonly warmup: number; readonly total: number; readonly minFactor?: number }) {
    const { warmup, total, minFactor = 0 } = options;
    super(optimizer, (t) => {
      if (t < warmup) return (t + 1) / warmup;
      const done = Math.min(1, (t - warmup) / Math.max(1, total - warmup));
      return minFactor + ((1 - minFactor) * (1 + Math.cos(Math.PI * done))) / 2;
    });
  }
}
/** Schedules one after another, each from its milestone on (torch.optim.lr_scheduler.SequentialLR). */
export class SequentialLR extends Scheduler {
  private readonly parts: readonly LambdaLR[];
  private readonly milestones: readonly number[];
  constructor(optimizer: AnyOptimizer, parts: readonly LambdaLR[], milestones: readonly number[]) {
    super(optimizer);
    if (parts.length !== milestones.length + 1)
      throw new ArgumentError(`SequentialLR: ${parts.length} schedules need ${parts.length - 1} milestones`);
    this.parts = parts;
    this.milestones = milestones;
    this.advance();
  }
  override rate(i: number, now: number, base: number): number {
    const k = this.milestones.filter((m) => m <= this.lastEpoch).length;
    const part = this.parts[k]!;
    part.lastEpoch = this.lastEpoch - (k === 0 ? 0 : this.milestones[k - 1]!);
    return part.rate(i, now, base);
  }
}
