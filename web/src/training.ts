/** Trains the model of `npm start` on a text, and packs what comes of it. */
import { exportContents } from "#treepie/export.js";
import { closeDevices, models, setDefaultBackend } from "#treepie/page.js";
import { encodePie, encodeSafetensors, HostTensor } from "#treepie/runtime/page.js";
import { split } from "#treepie/train/corpus.js";
import { trainDemo } from "#treepie/train/demo.js";
import { backendOf } from "./devices.js";
import { PageError } from "./failures.js";
import type { TrainRequest } from "./protocol.js";

/** A trained model as files. */
export interface Result {
  readonly steps: number;
  readonly stopped: boolean;
  readonly pie: Blob;
  readonly safetensors: Blob;
}

async function bytesOf(o: TrainRequest, base: string): Promise<readonly [name: string, bytes: Uint8Array]> {
  if (o.text) return [o.text.name, new Uint8Array(await o.text.arrayBuffer())];
  const response = await fetch(new URL("corpus.txt", base));
  if (!response.ok) throw new PageError("The text to learn is not on this server. Choose a text file of your own.");
  return ["TypeScript's lib*.d.ts", new Uint8Array(await response.arrayBuffer())];
}

/** Trains until the steps are done or the signal aborts; undefined where nothing was learnt before that. */
export async function train(
  o: TrainRequest,
  base: string,
  signal: AbortSignal,
  onStep: (step: number, loss: number, tokensPerSecond: number) => void,
): Promise<Result | undefined> {
  const [name, text] = await bytesOf(o, base);
  const least = 20 * 8192;
  if (text.length < least)
    throw new PageError(`${name} has ${text.length} bytes. At least ${least} are needed to learn from; choose a longer text.`);
  setDefaultBackend(o.device);
  try {
    const run = await trainDemo({ corpus: split(name, text), steps: o.steps, seed: 1, signal, onStep });
    if (run.unsaved) return undefined;
    const { methods, options } = models.gptMethods(run.model);
    const contents = await exportContents(methods, { ...options, targets: [(await backendOf(o.device)).codegen()] });
    const weights = new Map<string, HostTensor>();
    for (const [key, t] of Object.entries(run.model.stateDict())) weights.set(key, new HostTensor(t.dtype, t.shape, await t.bytes()));
    const file = (parts: readonly Uint8Array[]): Blob => new Blob(parts as Uint8Array<ArrayBuffer>[], { type: "application/octet-stream" });
    return {
      steps: run.progress.done,
      stopped: run.stopped,
      pie: file(encodePie(contents)),
      safetensors: file(encodeSafetensors(weights)),
    };
  } finally {
    await closeDevices();
  }
}
