/** How the next token is chosen from logits. All of it runs on the device. */
import { ArgumentError } from "../core/errors.js";
import { arange, F, type Tensor, tensor, where } from "../tensor/index.js";

/** Options of choosing tokens, as in Hugging Face's generation. */
export interface SamplingOptions {
  /** 0 takes the likeliest token, 1 draws from the model's distribution. Default: 0. */
  readonly temperature?: number;
  /** Only this many of the likeliest tokens may be drawn. */
  readonly topK?: number;
  /** Only the likeliest tokens that together have this probability may be drawn. */
  readonly topP?: number;
  /** Only tokens with at least this part of the likeliest one's probability may be drawn. */
  readonly minP?: number;
  /** Divides logits of tokens that were there before, where they are positive, and multiplies the others. 1 changes nothing. */
  readonly repetitionPenalty?: number;
  /** The same seed draws the same tokens. Default: 0. */
  readonly seed?: number;
}
/** Which of the rules a program holds; what they use is told with each call, so other numbers compile nothing. */
export interface Rules {
  readonly draw: boolean;
  readonly topK: boolean;
  readonly topP: boolean;
  readonly minP: boolean;
  readonly penalty: boolean;
}

/** Checks options; the rules that they ask for, and their numbers. */
export function rulesOf(o: SamplingOptions): { readonly rules: Rules; readonly numbers: readonly number[]; readonly seed: number } {
  const { temperature = 0, topK, topP, minP, repetitionPenalty = 1, seed = 0 } = o;
  const check = (ok: boolean, what: string): void => {
    if (!ok) throw new ArgumentError(`generate: ${what}`);
  };
  check(temperature >= 0 && Number.isFinite(temperature), `a temperature of ${temperature}; it is a number from 0 up`);
  check(topK === undefined || (Number.isSafeInteger(topK) && topK >= 1), `topK is ${topK}; it is a whole number above 0`);
  check(topP === undefined || (topP > 0 && topP <= 1), `topP is ${topP}; it lies in (0, 1]`);
  check(minP === undefined || (minP >= 0 && minP <= 1), `minP is ${minP}; it lies in [0, 1]`);
  check(repetitionPenalty > 0 && Number.isFinite(repetitionPenalty), `repetitionPenalty is ${repetitionPenalty}; it is a number above 0`);
  check(Number.isSafeInteger(seed), `the seed ${seed} is not a whole number`);
  const draw = temperature > 0;
  return {
    rules: {
      draw,
      topK: draw && topK !== undefined,
      topP: draw && topP !== undefined && topP < 1,
      minP: draw && minP !== undefined && minP > 0,
      penalty: repetitionPenalty !== 1,
    },
    numbers: [temperature, topK ?? 0, topP ?? 1, minP ?? 0, repetitionPenalty],
    seed,
  };
}
/** The numbers of `rulesOf` as a tensor. */
export const settingsTensor = (numbers: readonly number[]): Tensor => tensor(numbers, { dtype: "f32" });
/** The state from which the `draw`-th token is drawn. */
export function randomState(seed: number, draw: number): Tensor {
  const s = BigInt.asUintN(64, BigInt(seed));
  return tensor([s & 0xffffffffn, s >> 32n, BigInt(draw), 0n], { dtype: "u32" });
}

/**
 * The next token, i64 [1], from logits [vocabulary]. `settings` are the numbers of `rulesOf`, `random` a random state; `seen` is 1 at
 * tokens that were there before.
 */
export function choose(logits: Tensor, rules: Rules, settings: Tensor, random: Tensor, seen: Tensor): Tensor {
  let x = logits.to("f32");
  const vocabulary = x.size(0);
  const [temperature, topK, topP, minP, penalty] = settings.unbind(0) as [Tensor, Tensor, Tensor, Tensor, Tensor];
  if (rules.penalty) x = where(seen.gt(0), where(x.gt(0), x.div(penalty), x.mul(penalty)), x);
  if (!rules.draw) return x.argmax(-1, { keepdim: true });
  x = x.div(temperature);
  const never = Number.NEGATIVE_INFINITY;
  if (rules.topK || rules.topP) {
    const { values } = F.sort(x, -1, { descending: true });
    let sorted: Tensor = values;
    if (rules.topK) sorted = where(arange(vocabulary, { dtype: "f32" }).lt(topK), sorted, never);
    if (rules.topP) {
      const p = sorted.softmax(-1);
      sorted = where(p.cumsum(-1).sub(p).lt(topP), sorted, never);
    }
    const least = where(sorted.eq(never), Number.POSITIVE_INFINITY, sorted).amin(-1, { keepdim: true });
    x = where(x.lt(least), never, x);
  }
  if (rules.minP) x = where(x.lt(x.amax(-1, { keepdim: true }).add(minP.log())), never, x);
  // The largest of logits with Gumbel noise is a draw from their softmax.
  const u = F.uniform(random, [vocabulary], 0).clamp(2 ** -25, 1);
  return x.sub(u.log().neg().log()).argmax(-1, { keepdim: true });
}
