/** What computes: one call at a time, in a thread of its own, so that the page answers while a model runs. */
import { devices } from "./devices.js";
import { PageError, sentence } from "./failures.js";
import { type Model, openFiles, openProgram } from "./models.js";
import type { Calls, Event, Reply, Request } from "./protocol.js";
import { type Result, train } from "./training.js";

const tell = (message: Reply): void => postMessage(message);
const event = (e: Event): void => tell(e);
const base = new URL(import.meta.env.BASE_URL, self.location.origin).href;

let model: Model | undefined;
let trained: Result | undefined;
let running: AbortController | undefined;

const progress = (done: number, total: number): void => event({ event: "progress", done, total });
async function replace(open: () => Promise<Model>): Promise<Model["info"]> {
  await model?.close();
  model = undefined;
  model = await open();
  return model.info;
}
/** Runs something that `stop` ends. */
async function stoppable<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  if (running) throw new PageError("Something is running already. Stop it first.");
  running = new AbortController();
  try {
    return await work(running.signal);
  } finally {
    running = undefined;
  }
}
function loaded(): Model {
  if (!model) throw new PageError("No model is loaded.");
  return model;
}

const calls: { readonly [K in keyof Calls]: (argument: Calls[K]["takes"]) => Promise<Calls[K]["gives"]> } = {
  devices,
  loadDemo: ({ device }) => replace(() => openProgram(new URL("demo.pie", base).href, "the demo model", device, progress)),
  loadFiles: ({ device, files }) => replace(() => openFiles(files, device, progress)),
  generate: (o) =>
    stoppable((signal) => {
      const begun = performance.now();
      let tokens = 0;
      return loaded().generate(o, signal, (piece) => {
        const seconds = (performance.now() - begun) / 1000;
        event({ event: "text", piece, tokens: ++tokens, tokensPerSecond: tokens / Math.max(1e-9, seconds) });
      });
    }),
  train: (o) =>
    stoppable(async (signal) => {
      // The memory of a model that is not used is worth more here.
      await model?.close();
      model = undefined;
      const result = await train(o, base, signal, (step, loss, tokensPerSecond) => event({ event: "loss", step, loss, tokensPerSecond }));
      if (!result) throw new PageError("Training was stopped before its first step was done; there is nothing to keep.");
      trained = result;
      model = await openProgram(result.pie, "the model that was trained here", o.device);
      return { steps: result.steps, stopped: result.stopped, model: model.info };
    }),
  async save(kind) {
    if (!trained) throw new PageError("Nothing was trained yet.");
    return trained[kind];
  },
  measure: () => stoppable(() => loaded().measure()),
  async stop() {
    running?.abort(new Error("stopped"));
    return undefined;
  },
};

self.onmessage = async ({ data }: MessageEvent<Request>) => {
  try {
    tell({ id: data.id, value: await (calls[data.call] as (argument: unknown) => Promise<unknown>)(data.argument) });
  } catch (error) {
    console.error(error);
    tell({ id: data.id, failure: sentence(error) });
  }
};
