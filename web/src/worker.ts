/** What computes: one call at a time, in a thread of its own, so that the page answers while a model runs. */
import { devices } from "./devices.js";
import { PageError, sentence } from "./failures.js";
import { forgetKept, keep, listKept, openKept } from "./kept.js";
import { checkFiles, filesOfModel, type Model, openFiles, openProgram } from "./models.js";
import type { Calls, Event, Reply, Request } from "./protocol.js";
import { type Result, train } from "./training.js";

const tell = (message: Reply): void => postMessage(message);
const event = (e: Event): void => tell(e);
/** The page's folder: this script lies one folder below. */
const base = new URL("../", self.location.href).href;

let model: Model | undefined;
let trained: Result | undefined;
let running: AbortController | undefined;

const progress = (done: number, total: number): void => event({ event: "progress", done, total });
async function close(): Promise<void> {
  const old = model;
  model = undefined;
  await old?.close();
}
/** One model at a time is in memory. */
async function replace(open: () => Promise<Model>): Promise<Model["info"]> {
  await close();
  model = await open();
  return model.info;
}
/** Copies what was loaded for the next visit, while it is used already. */
function keepLater(name: string, files: readonly File[], id?: string): void {
  keep(name, files, id)
    .then(async (note) => event({ event: "kept", models: await listKept(), note }))
    .catch((error) => console.error(error));
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
/** The device's memory, looked up twice a second at most. */
function memoryOf(m: Model): () => number {
  let [bytes, at] = [m.bytes(), performance.now()];
  return () => {
    if (performance.now() - at > 500) [bytes, at] = [m.bytes(), performance.now()];
    return bytes;
  };
}

const calls: { readonly [K in keyof Calls]: (argument: Calls[K]["takes"]) => Promise<Calls[K]["gives"]> } = {
  devices,
  loadDemo: ({ device }) => replace(() => openProgram(new URL("demo.pie", base).href, "the demo model", device, progress)),
  async loadFiles({ device, files, name }) {
    await checkFiles(files, device);
    const info = await replace(() => openFiles(files, name, device, progress));
    keepLater(info.name, filesOfModel(files));
    return info;
  },
  async loadKept({ device, id }) {
    const held = await openKept(id);
    try {
      await checkFiles(held.files, device);
      await close();
      const own = await openFiles(held.files, held.name, device, progress);
      model = {
        ...own,
        async close() {
          await own.close();
          held.release();
        },
      };
      return own.info;
    } catch (error) {
      held.release();
      throw error;
    }
  },
  loaded: async () => model?.info,
  kept: listKept,
  async forget(id) {
    await forgetKept(id);
    return listKept();
  },
  generate: (o) =>
    stoppable((signal) => {
      const own = loaded();
      const bytes = memoryOf(own);
      const begun = performance.now();
      let tokens = 0;
      return own.generate(o, signal, (piece) => {
        const seconds = (performance.now() - begun) / 1000;
        event({ event: "text", piece, tokens: ++tokens, tokensPerSecond: tokens / Math.max(1e-9, seconds), bytes: bytes() });
      });
    }),
  train: (o) =>
    stoppable(async (signal) => {
      // The memory of a model that is not used is worth more here.
      await close();
      const result = await train(o, base, signal, (step, loss, tokensPerSecond) => event({ event: "loss", step, loss, tokensPerSecond }));
      if (!result) throw new PageError("Training was stopped before its first step was done; there is nothing to keep.");
      trained = result;
      model = await openProgram(result.pie, "the model that was trained here", o.device);
      keepLater(`trained here, ${result.steps} steps`, [new File([result.pie], "trained.pie")], "trained");
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

navigator.locks?.request(self.name, () => {
  tell({ alive: self.name });
  return new Promise(() => {});
});
self.onmessage = async ({ data }: MessageEvent<Request>) => {
  try {
    tell({ id: data.id, value: await (calls[data.call] as (argument: unknown) => Promise<unknown>)(data.argument) });
  } catch (error) {
    console.error(error);
    tell({ id: data.id, failure: sentence(error) });
  }
};
