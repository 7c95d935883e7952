/** The programs of generation: a prompt goes in whole, then token after token; keys and values stay on the device. */
import type { CausalModel, KVCache } from "../models/index.js";
import { compile, F, noGrad, type Tensor, tensor, withDevice, zeros } from "../tensor/index.js";
import { choose, type Rules, randomState, settingsTensor } from "./sampling.js";

/** What is told to every step of one generation. */
export interface Run {
  readonly rules: Rules;
  readonly settings: Tensor;
  readonly seed: number;
}

/** Feeds one sequence at a time through a model. */
export class Decoder {
  readonly model: CausalModel;
  readonly cache: KVCache;
  readonly length: number;
  private readonly device: string | undefined;
  /** 1 at tokens that the sequence has. */
  private readonly seen: Tensor;
  private readonly prefill: (tokens: Tensor, settings: Tensor, random: Tensor, rules: Rules) => Tensor;
  private readonly decode: (token: Tensor, position: Tensor, settings: Tensor, random: Tensor, rules: Rules) => Tensor;

  constructor(model: CausalModel, length: number, device?: string) {
    this.model = model;
    this.length = length;
    this.device = device;
    this.cache = this.on(() => model.makeCache(length));
    const seen = this.on(() => zeros([model.vocabulary], { dtype: "f32" }).clone());
    this.seen = seen;
    const { cache } = this;
    const next = (logits: Tensor, rules: Rules, settings: Tensor, random: Tensor): Tensor =>
      choose(logits.at(0), rules, settings, random, seen);
    const note = (tokens: Tensor, rules: Rules, fresh: boolean): void => {
      if (rules.penalty) seen.copy_(F.indexFill(fresh ? zeros([model.vocabulary], { dtype: "f32" }) : seen, 0, tokens, 1));
    };
    this.prefill = compile(
      (tokens: Tensor, settings: Tensor, random: Tensor, rules: Rules): Tensor => {
        note(tokens.at(0), rules, true);
        return next(model.prefill(tokens, cache), rules, settings, random);
      },
      { dynamic: [{ 1: { min: 1, max: length } }] },
    );
    this.decode = compile((token: Tensor, position: Tensor, settings: Tensor, random: Tensor, rules: Rules): Tensor => {
      note(token, rules, false);
      return next(model.decode(token, position, cache), rules, settings, random);
    });
  }
  private on<T>(f: () => T): T {
    return noGrad(() => (this.device ? withDevice(this.device, f) : f()));
  }
  /** How tokens are to be chosen, ready for the device. */
  begin(numbers: readonly number[], rules: Rules, seed: number): Run {
    return this.on(() => ({ rules, settings: settingsTensor(numbers), seed }));
  }
  /** The token after a prompt. */
  start(tokens: readonly number[], run: Run): Tensor {
    return this.on(() => this.prefill(tensor([tokens], { dtype: "i64" }), run.settings, randomState(run.seed, 0), run.rules));
  }
  /** The token after `token`, which stands at `position`; `draw` counts the tokens drawn before. */
  step(token: Tensor, position: number, draw: number, run: Run): Tensor {
    return this.on(() => this.decode(token, tensor(position, { dtype: "i64" }), run.settings, randomState(run.seed, draw), run.rules));
  }
  dispose(): void {
    for (const { key, value } of this.cache.layers) for (const t of [key, value]) t.dispose();
    this.seen.dispose();
  }
}
