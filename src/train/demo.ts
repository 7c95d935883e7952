/** The main job: a small GPT learns a text byte by byte. One compiled program runs each step. */
import { randomWords } from "../core/philox.js";
import { ArgumentError } from "../core/errors.js";
import { GPT, type GPTConfig } from "../models/gpt/index.js";
import { AdamW, clipGradNorm_, WarmupCosineLR } from "../optim/index.js";
import { compile, manualSeed, noGrad, tensor, type Tensor } from "../tensor/index.js";
import { openCheckpoint, saveCheckpoint } from "./checkpoint.js";
import type { Corpus } from "./corpus.js";

/** Sizes of the demo: what its checkpoint and its benchmark name. */
export const demoModel: GPTConfig = { vocabulary: 256, width: 128, heads: 4, layers: 4, context: 128 };
export const demoBatch = 16;
export const demoSteps = 1200;
const peakRate = 3e-3;

/** Where a training run stands; saved with its checkpoint. */
export interface DemoProgress {
  readonly config: GPTConfig;
  readonly seed: number;
  readonly corpus: string;
  /** Steps that the schedule was made for, and steps done. */
  readonly steps: number;
  done: number;
  /** Seconds of training so far. */
  seconds: number;
  /** (step, training loss) every few steps. */
  readonly curve: [number, number][];
}

export interface DemoOptions {
  readonly corpus: Corpus;
  readonly steps: number;
  readonly seed: number;
  /** File of the checkpoint. */
  readonly checkpoint: string;
  readonly resume?: boolean;
  /** Stops after the step that runs, with a checkpoint. */
  readonly signal?: AbortSignal;
  /** Told after each step; the loss comes every few steps. */
  onStep?(done: number, loss: number, tokensPerSecond: number): void;
  warn?(message: string): void;
}

/** A trained (or stopped) run. */
export interface DemoRun {
  readonly model: GPT;
  readonly progress: DemoProgress;
  readonly stopped: boolean;
}

/** Random windows of the text: the same ones for the same seed and step, so that a resumed run sees what it would have seen. */
export function batchAt(text: Uint8Array, seed: number, step: number): { readonly tokens: Uint8Array; readonly targets: Uint8Array } {
  const { context } = demoModel;
  const words = randomWords([seed >>> 0, 0xba7c4, 0, 0], step, demoBatch);
  const tokens = new Uint8Array(demoBatch * context);
  const targets = new Uint8Array(demoBatch * context);
  for (let b = 0; b < demoBatch; b++) {
    const at = words[b]! % (text.length - context);
    tokens.set(text.subarray(at, at + context), b * context);
    targets.set(text.subarray(at + 1, at + 1 + context), b * context);
  }
  return { tokens, targets };
}
/** Decay for matrices, none for biases and norms, as GPT-2 and its successors train. */
export function demoOptimizer(model: GPT): AdamW {
  const params = model.parameters();
  return new AdamW(
    [
      { params: params.filter((p) => p.ndim >= 2), weightDecay: 0.1 },
      { params: params.filter((p) => p.ndim < 2), weightDecay: 0 },
    ],
    { lr: peakRate, betas: [0.9, 0.95] },
  );
}
/** Forward, backward, clipping and AdamW as one function of a batch, compiled into one program. */
export function demoStep(model: GPT, optimizer: AdamW): (tokens: Tensor, targets: Tensor) => Tensor {
  const params = model.parameters();
  return compile((tokens: Tensor, targets: Tensor): Tensor => {
    const loss = model.loss(tokens.to("i64"), targets.to("i64"));
    optimizer.zeroGrad();
    loss.backward();
    clipGradNorm_(params, 1);
    optimizer.step();
    return loss.detach();
  });
}
const bytes = (x: Uint8Array): Tensor => tensor(x, [demoBatch, demoModel.context], { dtype: "u8" });

/** Trains, saves, and returns the model. */
export async function trainDemo(o: DemoOptions): Promise<DemoRun> {
  const { train } = o.corpus;
  manualSeed(o.seed);
  const model = new GPT(demoModel);
  const optimizer = demoOptimizer(model);
  const progress: DemoProgress = { config: demoModel, seed: o.seed, corpus: o.corpus.name, steps: o.steps, done: 0, seconds: 0, curve: [] };
  if (o.resume) resume(o, progress, model, optimizer);
  const schedule = new WarmupCosineLR(optimizer, { warmup: Math.min(50, Math.ceil(o.steps / 10)), total: o.steps, minFactor: 0.02 });
  const step = demoStep(model, optimizer);
  const tokensPerStep = demoBatch * demoModel.context;
  const earlier = progress.seconds;
  const started = performance.now();
  /** The first step compiles; the rate counts from its end. */
  let first: { readonly done: number; readonly at: number } | undefined;
  let lastSave = started;
  let warned = false;
  while (progress.done < o.steps && !o.signal?.aborted) {
    const at = progress.done;
    schedule.lastEpoch = at - 1;
    schedule.step();
    const { tokens, targets } = batchAt(train, o.seed, at);
    const result = step(bytes(tokens), bytes(targets));
    const done = ++progress.done;
    // Reading a loss waits for its step; now and then is enough to show it and to keep the queue short.
    if (first && done % 5 !== 0 && done !== o.steps) continue;
    const loss = Number(await result.item());
    const now = performance.now();
    first ??= { done, at: now };
    progress.curve.push([done, loss]);
    progress.seconds = earlier + (now - started) / 1000;
    if (!Number.isFinite(loss) && !warned) {
      warned = true;
      o.warn?.(`the loss is ${loss} at step ${done}: training has diverged; a lower learning rate or another --seed may help`);
    }
    o.onStep?.(done, loss, ((done - first.done) * tokensPerStep) / Math.max(1e-9, (now - first.at) / 1000));
    if (now - lastSave > 30_000) {
      await save(o, progress, model, optimizer);
      lastSave = performance.now();
    }
  }
  await save(o, progress, model, optimizer);
  return { model, progress, stopped: progress.done < o.steps };
}
const save = (o: DemoOptions, progress: DemoProgress, model: GPT, optimizer: AdamW): Promise<void> =>
  saveCheckpoint(o.checkpoint, { model, optimizer, progress });

/** Takes up a checkpoint of the same run: seed, text and number of steps must be what they were. */
function resume(o: DemoOptions, progress: DemoProgress, model: GPT, optimizer: AdamW): void {
  const file = openCheckpoint(o.checkpoint);
  try {
    const saved = file.progress as DemoProgress;
    const differ = (["seed", "corpus", "steps"] as const).filter((k) => saved[k] !== progress[k]);
    if (JSON.stringify(saved.config) !== JSON.stringify(progress.config))
      throw new ArgumentError(`${o.checkpoint} holds a model of other sizes: ${JSON.stringify(saved.config)}`);
    if (differ.length)
      throw new ArgumentError(
        `${o.checkpoint} is of another run: ${differ.map((k) => `${k} was ${saved[k]} and is ${progress[k]}`).join(", ")}; start without --resume, or with what it had`,
      );
    file.restore(model, optimizer);
    Object.assign(progress, { done: saved.done, seconds: saved.seconds, curve: saved.curve });
  } finally {
    file.close();
  }
}

/** Mean loss in nats per byte over the whole text, in windows of the model's context. */
export async function validate(model: GPT, text: Uint8Array): Promise<number> {
  const { context } = model.config;
  const rows = 2 * demoBatch;
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
