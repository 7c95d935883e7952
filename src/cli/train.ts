/** `treepie train`, the main job: train, measure, save, export, and let the exported model write. */
import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { setDefaultBackend, ready, currentDeviceName, closeDevices } from "../index.js";
import { type Corpus, readText, typescriptLibraries } from "../train/corpus.js";
import { lossCurve } from "../train/curve.js";
import { type DemoRun, demoBatch, demoModel, demoSteps, trainDemo, validate } from "../train/demo.js";
import { ngramLoss } from "../train/ngram.js";
import { writeFileWhole } from "../runtime/file.js";
import { exportGPT } from "./export.js";
import { duration, progress } from "./progress.js";

export interface TrainCommand {
  readonly demo?: boolean;
  readonly text?: string;
  readonly steps?: number;
  readonly seed: number;
  readonly resume?: boolean;
  readonly out: string;
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
  const corpus = o.text ? readText(o.text) : typescriptLibraries();
  mkdirSync(o.out, { recursive: true });
  if (o.device) setDefaultBackend(o.device);
  await ready();
  const device = currentDeviceName();
  const steps = o.steps ?? demoSteps;
  say(`A GPT of ${demoModel.layers} layers of width ${demoModel.width} learns ${corpus.name} (${corpus.train.length} bytes) on ${device}`);

  const { run, rate } = await learn(o, corpus, steps);
  if (run.stopped) {
    say(`stopped after ${run.progress.done} of ${steps} steps; the checkpoint is in ${o.out}; go on with --resume`);
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
  await exportGPT(run.model, pie, [device]);
  await closeDevices();

  say(`\nThe exported model, in a process of its own with the runtime alone:\n`);
  const generated = await generateElsewhere(pie, device, o.seed);
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

/** Trains with a live line; Ctrl-C saves and leaves after the step that runs. */
async function learn(o: TrainCommand, corpus: Corpus, steps: number): Promise<{ readonly run: DemoRun; readonly rate: number }> {
  const stop = new AbortController();
  const interrupt = (): void => stop.abort();
  process.on("SIGINT", interrupt);
  process.on("SIGTERM", interrupt);
  const line = progress(steps, "steps");
  let rate = 0;
  try {
    const run = await trainDemo({
      corpus,
      steps,
      seed: o.seed,
      checkpoint: join(o.out, "checkpoint.safetensors"),
      resume: o.resume === true,
      signal: stop.signal,
      onStep(done, loss, tokensPerSecond) {
        rate = tokensPerSecond;
        line.update(done, `loss ${loss.toFixed(3)}  ${tokensPerSecond.toFixed(0)} tokens/s`);
      },
      warn: (message) => console.error(`\ntreepie: warning: ${message}`),
    });
    return { run, rate };
  } finally {
    line.end();
    process.off("SIGINT", interrupt);
    process.off("SIGTERM", interrupt);
  }
}

function writeCurve(file: string, run: DemoRun, validation: number, [bigram, trigram, fourgram]: readonly [number, number, number]): void {
  const svg = lossCurve(`GPT on ${run.progress.corpus}: ${run.progress.done} steps of ${demoBatch * demoModel.context} bytes`, [
    { name: "training", color: "#1f77b4", points: run.progress.curve },
    { name: `validation ${validation.toFixed(3)}`, color: "#d62728", points: [[0, validation]] },
    { name: `bigram ${bigram.toFixed(2)}`, color: "#999", points: [[0, bigram]], dashed: true },
    { name: `trigram ${trigram.toFixed(2)}`, color: "#777", points: [[0, trigram]], dashed: true },
    { name: `4-gram ${fourgram.toFixed(2)}`, color: "#444", points: [[0, fourgram]], dashed: true },
  ]);
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
