/**
 * The programs of generation: a prompt goes in whole, then token after token. Keys, values, the token, its position and the random state stay
 * on the device, so a step needs nothing of the host but to be asked for.
 */
import { turn } from "../core/host.js";
import type { CausalModel, KVCache } from "../models/index.js";
import { type Compiled, compile, F, keepsOrder, noGrad, ready, type Tensor, tensor, withDevice, zeros } from "../tensor/index.js";
import { choose, type Rules, randomState, settingsTensor } from "./sampling.js";

/** What is told to every step of one generation. */
export interface Run {
  readonly rules: Rules;
  readonly settings: Tensor;
  readonly seed: number;
}

/**
 * Most tokens that are asked for and read together, and for how long the first of them may wait: no longer than one picture of a screen
 * stands, or for one more token that takes less than two of them.
 */
const mostAtOnce = 16;
const batchMs = 16;
/** Tokens that the device remembers: far more than are ever asked for and not yet read. */
const remembered = 1024;
const i64 = { dtype: "i64" } as const;

/** Tokens on their way; whoever does not wait for them does not hear of their failure. */
function watched(tokens: Promise<readonly number[]>): Promise<readonly number[]> {
  tokens.catch(() => {});
  return tokens;
}

/** Feeds one sequence at a time through a model. */
export class Decoder {
  readonly model: CausalModel;
  readonly cache: KVCache;
  readonly length: number;
  private readonly device: string | undefined;
  /** 1 at tokens that the sequence has. */
  private readonly seen: Tensor;
  /** The last token, where it goes, and the state that the next one is drawn from. */
  private readonly token: Tensor;
  private readonly position: Tensor;
  private readonly random: Tensor;
  /** Tokens by their position, in turns. */
  private readonly made: Tensor;
  /** Whether tokens are read several at a time, which pays where steps and reads go through one queue. */
  private queued = false;
  /** How many tokens are asked for at a time. */
  private size = 1;
  /** Position of the token that the next step takes. */
  private at = 0;
  /** Puts the sequence on at a token and a position, in the memory that the steps know. */
  private readonly place: (token: Tensor, position: Tensor, random: Tensor) => void;
  private readonly prefill: (tokens: Tensor, count: Tensor, settings: Tensor, random: Tensor, rules: Rules) => Tensor;
  private readonly decode: Compiled<(settings: Tensor, rules: Rules, queued: boolean) => Tensor | undefined>;

  constructor(model: CausalModel, length: number, device?: string) {
    this.model = model;
    this.length = length;
    this.device = device;
    this.cache = this.on(() => model.makeCache(length));
    const own = (shape: readonly number[], dtype: "f32" | "i64" | "u32"): Tensor => this.on(() => zeros(shape, { dtype }).clone());
    const seen = (this.seen = own([model.vocabulary], "f32"));
    const token = (this.token = own([1], "i64"));
    const position = (this.position = own([], "i64"));
    const state = (this.random = own([4], "u32"));
    const made = (this.made = own([remembered], "i64"));
    const { cache } = this;
    const draw = this.on(() => tensor([0, 0, 1, 0], { dtype: "u32" }));
    const note = (tokens: Tensor, rules: Rules, fresh: boolean): void => {
      if (rules.penalty) seen.copy_(F.indexFill(fresh ? zeros([model.vocabulary], { dtype: "f32" }) : seen, 0, tokens, 1));
    };
    const next = (logits: Tensor, rules: Rules, settings: Tensor, random: Tensor): Tensor => {
      const chosen = choose(logits.at(0), rules, settings, random, seen);
      token.copy_(chosen);
      if (rules.draw) state.copy_(random.add(draw));
      return chosen;
    };
    this.place = compile((at: Tensor, where: Tensor, random: Tensor): void => {
      token.copy_(at);
      position.copy_(where);
      state.copy_(random);
    });
    this.prefill = compile(
      (tokens: Tensor, count: Tensor, settings: Tensor, random: Tensor, rules: Rules): Tensor => {
        note(tokens.at(0), rules, true);
        position.copy_(count);
        return next(model.prefill(tokens, cache), rules, settings, random);
      },
      { dynamic: [{ 1: { min: 1, max: length } }] },
    );
    this.decode = compile((settings: Tensor, rules: Rules, queued: boolean): Tensor | undefined => {
      note(token, rules, false);
      const chosen = next(model.decode(token, position, cache), rules, settings, state);
      if (queued) made.copy_(F.indexCopy(made, 0, position.remainder(remembered).reshape([1]), chosen));
      position.copy_(position.add(1));
      return queued ? undefined : chosen;
    });
  }
  private on<T>(f: () => T): T {
    return noGrad(() => (this.device ? withDevice(this.device, f) : f()));
  }
  /** How tokens are to be chosen, ready for the device. */
  async begin(numbers: readonly number[], rules: Rules, seed: number): Promise<Run> {
    await ready(this.device);
    this.queued = keepsOrder(this.device);
    return this.on(() => ({ rules, settings: settingsTensor(numbers), seed }));
  }
  /** The token after a prompt. */
  start(tokens: readonly number[], run: Run): Promise<readonly number[]> {
    this.at = tokens.length;
    const token = this.on(() =>
      this.prefill(tensor([tokens], i64), tensor(tokens.length, i64), run.settings, randomState(run.seed, 0), run.rules),
    );
    return this.value(token);
  }
  /** Goes on behind a token at a position; the cache is taken as it is. */
  resume(token: number, position: number, run: Run): void {
    this.at = position;
    this.on(() => this.place(tensor([token], i64), tensor(position, i64), randomState(run.seed, 0)));
  }
  /**
   * The tokens of `first`, if it is given, and those behind them, `most` in all, as they come. The device is given the next steps before it
   * has ended these, so it never waits for the host; steps behind a token that ends the text are lost.
   */
  async *batches(run: Run, most: number, first?: Promise<readonly number[]>): AsyncGenerator<readonly number[], void, undefined> {
    const asked: Promise<readonly number[]>[] = [];
    if (first) {
      asked.push(watched(first));
      // One turn of the event loop, in which the prompt goes to the device, or its kernels to the compiler.
      await turn();
    }
    let planned = asked.length;
    let told: number | undefined;
    for (let made = 0; made < most; ) {
      while (asked.length < 2 && planned < most) {
        const count = Math.min(this.size, most - planned);
        asked.push(watched(this.steps(count, run)));
        planned += count;
      }
      const tokens = await asked.shift()!;
      made += tokens.length;
      yield tokens;
      const now = performance.now();
      // The first ones say how long the way here is, not how soon the next follow.
      if (told !== undefined) this.size = Math.min(2 * this.size, this.atOnce((now - told) / tokens.length));
      told = now;
    }
  }
  /** How many tokens are worth asking for at a time, where one takes `ms`. */
  private atOnce(ms: number): number {
    const least = ms < 2 * batchMs ? 2 : 1;
    return this.queued ? Math.min(Math.max(Math.floor(batchMs / ms), least), mostAtOnce) : 1;
  }
  /** The next tokens, at most 16 where the device keeps order, otherwise one. They are asked for at once, and read together. */
  steps(count: number, run: Run): Promise<readonly number[]> {
    const from = this.at;
    this.at += count;
    if (!this.queued) return this.value(this.on(() => this.decode(run.settings, run.rules, false))!);
    this.on(() => this.decode.repeat(count, run.settings, run.rules, true));
    return this.values(from, count);
  }
  private async value(token: Tensor): Promise<readonly number[]> {
    return [await token.item()];
  }
  private async values(from: number, count: number): Promise<readonly number[]> {
    const all = await this.made.data();
    return Array.from({ length: count }, (_, i) => Number(all[(from + i) % remembered]));
  }
  dispose(): void {
    for (const { key, value } of this.cache.layers) for (const t of [key, value]) t.dispose();
    for (const t of [this.seen, this.token, this.position, this.random, this.made]) t.dispose();
  }
}
