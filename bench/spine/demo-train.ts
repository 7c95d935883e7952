/** `demo-train-f32`: training steps of the demo's GPT, ours and PyTorch's in turn. */
import { availableParallelism } from "node:os";
import { manualSeed, ready, setDefaultBackend, tensor } from "#treepie/index.js";
import { GPT } from "#treepie/models/gpt/index.js";
import { typescriptLibraries } from "#treepie/train/corpus.js";
import { batchAt, demoBatch, demoModel, demoOptimizer, demoStep } from "#treepie/train/demo.js";
import { type PeerProcess, startPeer } from "../peer.js";
import { type Case, median, row } from "../row.js";

const rounds = 7;
const stepsPerRound = 10;

export const demoTrain: Case = {
  name: "demo-train-f32",
  async run() {
    const shape = JSON.stringify({ ...demoModel, batch: demoBatch, threads: availableParallelism() });
    const started = await Promise.all(
      ["eager", "compile"].map(async (mode) => [mode, await startPeer("demo_train.py", [mode, shape])] as const),
    );
    const missing = started.flatMap(([mode, p]) => (typeof p === "string" ? [`PyTorch ${mode} (${p})`] : []));
    const peers = started.filter((x): x is readonly [string, PeerProcess] => typeof x[1] !== "string");
    const ours = await trainer();
    const times: Record<string, number[]> = { ours: [] };
    try {
      for (let r = 0; r < rounds; r++) {
        times["ours"]!.push(await ours(stepsPerRound));
        for (const [mode, peer] of peers) (times[mode] ??= []).push(Number((await peer.ask({ steps: stepsPerRound }))["seconds"]));
      }
    } finally {
      for (const [, peer] of peers) peer.close();
    }
    const tokens = demoBatch * demoModel.context;
    const rate = (mode: string): number => tokens / median(times[mode]!);
    return [
      row({ suite: "spine", name: "demo-train-f32", metric: "training", unit: "tokens/s" }, rate("ours"), {
        peers: peers.map(([mode]) => ({ name: `PyTorch ${mode}`, value: rate(mode) })),
        missing,
      }),
    ];
  },
};

/** A function that trains some steps and gives seconds a step. */
async function trainer(): Promise<(steps: number) => Promise<number>> {
  setDefaultBackend("c");
  await ready();
  manualSeed(1);
  const model = new GPT(demoModel);
  const step = demoStep(model, demoOptimizer(model));
  const { train } = typescriptLibraries();
  let at = 0;
  const one = async (): Promise<void> => {
    const { tokens, targets } = batchAt(train, 1, at++);
    const of = (x: Uint8Array): ReturnType<typeof tensor> => tensor(x, [demoBatch, demoModel.context], { dtype: "u8" });
    await step(of(tokens), of(targets)).item();
  };
  for (let i = 0; i < 3; i++) await one();
  return async (steps) => {
    const start = performance.now();
    for (let i = 0; i < steps; i++) await one();
    return (performance.now() - start) / 1000 / steps;
  };
}
