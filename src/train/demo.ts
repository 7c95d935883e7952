/** The main job: a small GPT learns a text byte by byte. One compiled program runs each step. */

import { ArgumentError, FileError } from "../core/errors.js";
import { randomWords } from "../core/philox.js";
import { GPT, type GPTConfig } from "../models/gpt/index.js";
import { AdamW, clipGradNorm_, WarmupCosineLR } from "../optim/index.js";
import { autocast, compile, manualSeed, noGrad, type Tensor, tensor } from "../tensor/index.js";
import { openCheckpoint, type SavedCheckpoint, saveCheckpoint } from "./checkpoint.js";
import type { Corpus } from "./corpus.js";
import { checkConfig, type DemoDType, type DemoPlan, type DemoProgress, differences, readProgress } from "./progress.js";

/** Sizes of the demo: what its checkpoint and its benchmark name. */
export const demoModel: GPTConfig = { vocabulary: 256, width: 128, heads: 4, layers: 4, context: 128 };
export const demoBatch = 16;
export const demoSteps = 1200;
export const demoRate = 3e-3;

export interface DemoOptions {
  readonly corpus: Corpus;
  /** File of the checkpoint; without one nothing is saved. */
  readonly checkpoint?: string;
  /** Goes on from the checkpoint; what is not given is taken from it, and nothing may differ. */
  readonly resume?: boolean;
  readonly steps?: number;
  readonly seed?: number;
  readonly batch?: number;
  /** Highest learning rate. */
  readonly lr?: number;
  /** What products are computed in (default: f32); weights and their updates are f32. */
  readonly dtype?: DemoDType;
  /** Sizes of the model; those of the demo where not given. */
  readonly config?: Partial<GPTConfig>;
  /** Stops after this many steps in all, with a checkpoint. */
  readonly stopAt?: number;
  /** Stops after the step that runs, with a checkpoint. */
  readonly signal?: AbortSignal;
  /** Told once what is trained. */
  onStart?(progress: DemoProgress): void;
  /** Told after each step; the loss comes every few steps. */
  onStep?(done: number, loss: number, tokensPerSecond: number): void;
  warn?(message: string): void;
}

/** A trained (or stopped) run. */
export interface DemoRun {
  readonly model: GPT;
  readonly progress: DemoProgress;
  readonly stopped: boolean;
  /** It was stopped while its first step was being compiled, and nothing was saved since it began. */
  readonly unsaved: boolean;
}

/** Random windows of the text: the same ones for the same seed and step, so that a resumed run sees what it would have seen. */
export function batchAt(
  text: Uint8Array,
  seed: number,
  step: number,
  batch: number = demoBatch,
  context: number = demoModel.context,
): { readonly tokens: Uint8Array; readonly targets: Uint8Array } {
  const words = randomWords([seed >>> 0, 0xba7c4, 0, 0], step, batch);
  const tokens = new Uint8Array(batch * context);
  const targets = new Uint8Array(batch * context);
  for (let b = 0; b < batch; b++) {
    const at = words[b]! % (text.length - context);
    tokens.set(text.subarray(at, at + context), b * context);
    targets.set(text.subarray(at + 1, at + 1 + context), b * context);
  }
  return { tokens, targets };
}
/** Decay for matrices, none for biases and norms, as GPT-2 and its successors train. */
export function demoOptimizer(model: GPT, lr: number = demoRate): AdamW {
  const params = model.parameters();
  return new AdamW(
    [
      { params: params.filter((p) => p.ndim >= 2), weightDecay: 0.1 },
      { params: params.filter((p) => p.ndim < 2), weightDecay: 0 },
    ],
    { lr, betas: [0.9, 0.95] },
  );
}
/** Forward, backward, clipping and AdamW as one function of a batch, compiled into one program. */
export function demoStep(model: GPT, optimizer: AdamW, dtype: DemoDType = "f32"): (tokens: Tensor, targets: Tensor) => Tensor {
  const params = model.parameters();
  return compile((tokens: Tensor, targets: Tensor): Tensor => {
    const forward = (): Tensor => model.loss(tokens.to("i64"), targets.to("i64"));
    const loss = dtype === "f32" ? forward() : autocast(dtype, forward);
    loss.backward();
    clipGradNorm_(params, 1);
    optimizer.step();
    optimizer.zeroGrad();
    return loss.detach();
  });
}

/** Trains, saves, and returns the model. */
export async function trainDemo(o: DemoOptions): Promise<DemoRun> {
  if (o.resume && !o.checkpoint) throw new ArgumentError("resume needs the checkpoint to go on from");
  const saved = o.resume ? openCheckpoint(o.checkpoint!) : undefined;
  try {
    const progress = begin(o, saved);
    o.onStart?.(progress);
    manualSeed(progress.seed);
    const model = new GPT(progress.config);
    const optimizer = demoOptimizer(model, progress.lr);
    saved?.restore(model, optimizer);
    const ran = await steps(o, progress, model, optimizer);
    return { model, progress, stopped: progress.done < progress.steps, unsaved: !ran };
  } finally {
    saved?.close();
  }
}
/** A new run, or the one that the checkpoint holds if it is the one that is asked for. */
function begin(o: DemoOptions, checkpoint: SavedCheckpoint | undefined): DemoProgress {
  const saved = checkpoint && readProgress(checkpoint.progress, o.checkpoint!);
  const plan: DemoPlan = {
    config: { ...(saved?.config ?? demoModel), ...o.config },
    batch: o.batch ?? saved?.batch ?? demoBatch,
    lr: o.lr ?? saved?.lr ?? demoRate,
    dtype: o.dtype ?? saved?.dtype ?? "f32",
    seed: o.seed ?? saved?.seed ?? 1,
    corpus: o.corpus.name,
    steps: o.steps ?? saved?.steps ?? demoSteps,
  };
  checkConfig(plan.config);
  if (plan.batch < 1) throw new ArgumentError("a batch of 0 sequences teaches nothing; it is a whole number of at least 1");
  if (o.corpus.train.length <= plan.config.context)
    throw new ArgumentError(`${plan.corpus}: ${o.corpus.train.length} bytes are too few for a context of ${plan.config.context}`);
  const differ = saved ? differences(saved, plan) : [];
  if (differ.length)
    throw new ArgumentError(
      `${o.checkpoint} is of another run: ${differ.join(", ")}; start without --resume, or leave these options as they were`,
    );
  return { ...plan, done: saved?.done ?? 0, seconds: saved?.seconds ?? 0, curve: saved?.curve ?? [] };
}

/** Trains until the steps are done or somebody wants to stop, and saves. False if it was stopped before anything ran. */
async function steps(o: DemoOptions, progress: DemoProgress, model: GPT, optimizer: AdamW): Promise<boolean> {
  const { batch, config, dtype, seed } = progress;
  const schedule = new WarmupCosineLR(optimizer, {
    warmup: Math.min(50, Math.ceil(progress.steps / 10)),
    total: progress.steps,
    minFactor: 0.02,
  });
  const step = demoStep(model, optimizer, dtype);
  const bytes = (x: Uint8Array): Tensor => tensor(x, [batch, config.context], { dtype: "u8" });
  const end = Math.min(progress.steps, o.stopAt ?? progress.steps);
  const earlier = progress.seconds;
  const started = performance.now();
  /** The first step compiles; the rate counts from its end. */
  let first: { readonly done: number; readonly at: number } | undefined;
  let shown = started;
  let saved = started;
  let warned = false;
  /** Losses that nobody has read yet, of the steps up to `progress.done`. */
  let unread: Tensor[] = [];
  while (progress.done < end && !o.signal?.aborted) {
    const at = progress.done;
    schedule.lastEpoch = at - 1;
    schedule.step();
    const { tokens, targets } = batchAt(o.corpus.train, seed, at, batch, config.context);
    unread.push(step(bytes(tokens), bytes(targets)));
    const done = ++progress.done;
    // Reading a loss waits for its step: now and then is enough to show it, and often enough that Ctrl-C is soon heard.
    if (first && done % 5 !== 0 && done !== end && performance.now() - shown < 200) continue;
    // While the first step is compiled, Ctrl-C leaves at once: what was saved before is all there is.
    const losses = await unless(first ? undefined : o.signal, Promise.all(unread.map((t) => t.item())));
    if (!losses) {
      progress.done = at;
      return false;
    }
    unread = [];
    const now = performance.now();
    progress.seconds = earlier + (now - started) / 1000;
    losses.map(Number).forEach((loss, i) => {
      const n = done - losses.length + 1 + i;
      if (n === 1 || n % 5 === 0 || n === progress.steps) progress.curve.push([n, loss]);
      if (Number.isFinite(loss) || warned) return;
      warned = true;
      o.warn?.(`the loss is ${loss} at step ${n}: training has diverged; a lower learning rate (--lr) or another --seed may help`);
    });
    first ??= { done, at: now };
    shown = now;
    const rate = ((done - first.done) * batch * config.context) / Math.max(1e-9, (now - first.at) / 1000);
    o.onStep?.(done, Number(losses.at(-1)), rate);
    if (now - saved < 30_000 || done === end) continue;
    try {
      await save(o, progress, model, optimizer);
    } catch (error) {
      if (!(error instanceof FileError)) throw error;
      o.warn?.(`${error.message}; training goes on`);
    }
    saved = performance.now();
  }
  await save(o, progress, model, optimizer);
  return true;
}
async function save(o: DemoOptions, progress: DemoProgress, model: GPT, optimizer: AdamW): Promise<void> {
  if (o.checkpoint) await saveCheckpoint(o.checkpoint, { model, optimizer, progress });
}

/** The value, or undefined as soon as the signal aborts. */
async function unless<T>(signal: AbortSignal | undefined, value: Promise<T>): Promise<T | undefined> {
  if (!signal) return value;
  let stop = (): void => {};
  const stopped = new Promise<undefined>((resolve) => {
    stop = () => resolve(undefined);
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
  });
  try {
    return await Promise.race([value, stopped]);
  } finally {
    signal.removeEventListener("abort", stop);
    value.catch(() => {});
  }
}

/** Mean loss in nats per byte over the whole text, in windows of the model's context. */
export async function validate(model: GPT, text: Uint8Array): Promise<number> {
  const { context } = model.config;
  const rows = 32;
  const windows = Math.floor((text.length - 1) / context);
  // A weight of 0 fills the last batch up, so that one program serves all.
  const evaluate = compile((tokens: Tensor, targets: Tensor, weights: Tensor): Tensor => {
    const logits = model.forward(tokens.to("i64")).reshape([-1, model.config.vocabulary]);
    const each = logits.crossEntropy(targets.to("i64").reshape([-1]), { reduction: "none" });
    return each.reshape([rows, context]).mul(weights).sum();
  });
  model.eval();
  const sums: Tensor[] = [];
  try {
    for (let at = 0; at < windows; at += rows) {
      const tokens = new Uint8Array(rows * context);
      const targets = new Uint8Array(rows * context);
      const weights = new Float32Array(rows);
      for (let r = 0; r < Math.min(rows, windows - at); r++) {
        const from = (at + r) * context;
        tokens.set(text.subarray(from, from + context), r * context);
        targets.set(text.subarray(from + 1, from + 1 + context), r * context);
        weights[r] = 1;
      }
      const of = (x: Uint8Array): Tensor => tensor(x, [rows, context], { dtype: "u8" });
      sums.push(noGrad(() => evaluate(of(tokens), of(targets), tensor(weights, [rows, 1]))));
    }
    let total = 0;
    for (const s of sums) total += Number(await s.item());
    return total / (windows * context);
  } finally {
    model.train();
  }
}
