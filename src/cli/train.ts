/** `treepie train`, the main job: train, measure, save, export, and let the exported model write. */
import { spawn } from "node:child_process";
import { accessSync, constants, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { ArgumentError } from "../core/errors.js";
import { closeDevices, currentDeviceName, ready, setDefaultBackend } from "../index.js";
import { writeFileWhole } from "../runtime/file.js";
import { type Corpus, readText, typescriptLibraries } from "../train/corpus.js";
import { lossCurve } from "../train/curve.js";
import { type DemoRun, trainDemo, validate } from "../train/demo.js";
import { ngramLoss } from "../train/ngram.js";
import { type DemoDType, demoDTypes } from "../train/progress.js";
import { codegensFor, exportGPT } from "./export.js";
import { duration, type Progress, progress } from "./progress.js";

export interface TrainCommand {
  readonly demo?: boolean;
  readonly text?: string;
  readonly steps?: number;
  readonly stopAt?: number;
  readonly seed?: number;
  readonly resume?: boolean;
  readonly out: string;
  readonly layers?: number;
  readonly width?: number;
  readonly heads?: number;
  readonly context?: number;
  readonly batch?: number;
  readonly lr?: number;
  readonly dtype?: string;
  readonly device?: string;
  readonly json?: string;
}
interface Results {
  readonly validationLoss: number;
  readonly bigramLoss: number;
  readonly trigramLoss: number;
  readonly fourgramLoss: number;
  readonly steps: number;
  readonly trainTokensPerSecond: number;
  readonly generateTokensPerSecond: number;
  readonly seconds: number;
  readonly device: string;
}

const generatedBytes = 300;
const say = (text: string): void => console.log(text);

export async function train(o: TrainCommand): Promise<void> {
  const began = performance.now();
  if (o.dtype !== undefined && !demoDTypes.some((d) => d === o.dtype))
    throw new ArgumentError(`--dtype ${o.dtype} is not one of ${demoDTypes.join(", ")}`);
  const corpus = o.text ? readText(o.text) : typescriptLibraries();
  mkdirSync(o.out, { recursive: true });
  // What cannot be written is told now, not after the training.
  if (o.json) accessSync(dirname(resolve(o.json)), constants.W_OK);
  if (o.device) setDefaultBackend(o.device);
  await ready();
  const device = currentDeviceName();
  const { run, rate } = await learn(o, corpus, device);
  const { steps, seed } = run.progress;
  if (run.stopped) {
    const saved = run.progress.done > 0 || !run.unsaved ? `the checkpoint is in ${o.out}; go on with --resume` : "nothing was to be saved";
    say(`stopped after ${run.progress.done} of ${steps} steps; ${saved}`);
    // A compiler that still runs for the first step is not waited for.
    if (run.unsaved) process.exit();
    await closeDevices();
    return;
  }
  const validationLoss = await validate(run.model, corpus.validation);
  const [bigramLoss, trigramLoss, fourgramLoss] = [2, 3, 4].map((n) => ngramLoss(corpus.train, corpus.validation, n)) as [
    number,
    number,
    number,
  ];
  say(
    `validation loss ${validationLoss.toFixed(4)} nats per byte; on the same split a smoothed bigram has ${bigramLoss.toFixed(4)}, a trigram ${trigramLoss.toFixed(4)}, a 4-gram ${fourgramLoss.toFixed(4)}`,
  );
  writeCurve(join(o.out, "loss.svg"), run, validationLoss, [bigramLoss, trigramLoss, fourgramLoss]);
  const pie = join(o.out, "model.pie");
  await exportGPT(run.model, pie, await codegensFor([device]));
  await closeDevices();

  say(`\nThe exported model, in a process of its own with the runtime alone:\n`);
  const generated = await generateElsewhere(pie, device, seed);
  say(`\n${generated.tokens} bytes, ${generated.tokensPerSecond.toFixed(0)} a second`);
  const seconds = (performance.now() - began) / 1000;
  say(`\ncheckpoint.safetensors, loss.svg and model.pie are in ${o.out}; ${duration(seconds)} in all`);
  const results: Results = {
    validationLoss,
    bigramLoss,
    trigramLoss,
    fourgramLoss,
    steps,
    trainTokensPerSecond: rate,
    generateTokensPerSecond: generated.tokensPerSecond,
    seconds,
    device,
  };
  if (o.json) writeFileSync(o.json, `${JSON.stringify(results, null, 1)}\n`);
}

/** Trains with a live line; Ctrl-C saves and leaves after the step that runs, a second one at once. */
async function learn(o: TrainCommand, corpus: Corpus, device: string): Promise<{ readonly run: DemoRun; readonly rate: number }> {
  const stop = new AbortController();
  let asked = Number.POSITIVE_INFINITY;
  const interrupt = (): void => {
    // Runners such as npm pass on a Ctrl-C that the terminal has sent already.
    if (performance.now() - asked > 500) process.exit(130);
    asked = Math.min(asked, performance.now());
    stop.abort();
  };
  process.on("SIGINT", interrupt);
  process.on("SIGTERM", interrupt);
  let line: Progress | undefined;
  let rate = 0;
  try {
    const run = await trainDemo({
      corpus,
      checkpoint: join(o.out, "checkpoint.safetensors"),
      resume: o.resume === true,
      signal: stop.signal,
      config: given({ layers: o.layers, width: o.width, heads: o.heads, context: o.context }),
      ...(o.dtype && { dtype: o.dtype as DemoDType }),
      ...given({ steps: o.steps, stopAt: o.stopAt, seed: o.seed, batch: o.batch, lr: o.lr }),
      onStart({ config, steps }) {
        const { layers, width } = config;
        say(`A GPT of ${layers} layers of width ${width} learns ${corpus.name} (${corpus.train.length} bytes) on ${device}`);
        line = progress(steps, "steps");
      },
      onStep(done, loss, tokensPerSecond) {
        rate = tokensPerSecond;
        const speed = tokensPerSecond > 0 ? `  ${tokensPerSecond.toFixed(0)} tokens/s` : "";
        line?.update(done, `loss ${loss.toFixed(3)}${speed}`);
      },
      warn: (message) => console.error(`\ntreepie: warning: ${message}`),
    });
    return { run, rate };
  } finally {
    line?.end();
    if (!stop.signal.aborted) {
      process.off("SIGINT", interrupt);
      process.off("SIGTERM", interrupt);
    }
  }
}
/** Only the entries that have a value. */
function given<T extends Readonly<Record<string, number | undefined>>>(options: T): { [K in keyof T]?: number } {
  return Object.fromEntries(Object.entries(options).filter(([, v]) => v !== undefined)) as { [K in keyof T]?: number };
}

function writeCurve(file: string, run: DemoRun, validation: number, [bigram, trigram, fourgram]: readonly [number, number, number]): void {
  const svg = lossCurve(
    `GPT on ${run.progress.corpus}: ${run.progress.done} steps of ${run.progress.batch * run.progress.config.context} bytes`,
    [
      { name: "training", color: "#1f77b4", points: run.progress.curve },
      { name: `validation ${validation.toFixed(3)}`, color: "#d62728", points: [[0, validation]] },
      { name: `bigram ${bigram.toFixed(2)}`, color: "#999", points: [[0, bigram]], dashed: true },
      { name: `trigram ${trigram.toFixed(2)}`, color: "#777", points: [[0, trigram]], dashed: true },
      { name: `4-gram ${fourgram.toFixed(2)}`, color: "#444", points: [[0, fourgram]], dashed: true },
    ],
  );
  writeFileWhole(file, [new TextEncoder().encode(svg)]);
}

/** `treepie generate` in a child process, its text shown as it comes. */
function generateElsewhere(
  file: string,
  device: string,
  seed: number,
): Promise<{ readonly tokens: number; readonly tokensPerSecond: number }> {
  const cli = fileURLToPath(new URL("./generate-main.js", import.meta.url));
  const args = [file, "--device", device, "--seed", `${seed}`, "--max-tokens", `${generatedBytes}`];
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [cli, ...args], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
    let result: { tokens: number; tokensPerSecond: number } | undefined;
    child.on("message", (m) => {
      result = m as { tokens: number; tokensPerSecond: number };
    });
    child.once("error", reject);
    child.once("exit", (code) => (result ? resolve(result) : reject(new Error(`the exported model did not run (exit code ${code})`))));
  });
}
