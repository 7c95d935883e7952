/** The page: what a person does becomes calls of the worker, and what it tells is shown. */
import { Client, Failure } from "./client.js";
import { listenForDrops } from "./drop.js";
import { button, find, input, megabytes, say } from "./elements.js";
import { enableKept, showKept } from "./kept-list.js";
import { showKernels } from "./kernels.js";
import { Plot } from "./plot.js";
import type { Calls, Event, KeptModel, ModelInfo } from "./protocol.js";
import { TextView } from "./text.js";

const deviceSelect = find("device", HTMLSelectElement);
const bar = find("load-progress", HTMLProgressElement);
const text = new TextView(find("text", HTMLElement));
// What scrolls can be reached by keyboard; not every browser sees to that.
for (const id of ["text", "kernels-box"]) find(id, HTMLElement).tabIndex = 0;
const plot = new Plot(find("plot", SVGSVGElement));

let model: ModelInfo | undefined;
let busy: "load" | "generate" | "train" | "measure" | undefined = "load";
let trained = false;

function refresh(): void {
  const free = busy === undefined;
  for (const id of ["load-demo", "choose-files", "choose-folder", "choose-corpus", "train"]) button(id).disabled = !free;
  deviceSelect.disabled = !free;
  enableKept(free);
  button("generate").disabled = !free || !model;
  button("measure").disabled = !free || !model?.measurable;
  button("stop-generate").disabled = busy !== "generate";
  button("stop-train").disabled = busy !== "train";
  for (const id of ["download-pie", "download-weights"]) button(id).disabled = !free || !trained;
}
function fail(why: string): void {
  say("failure", why);
  find("failure-box", HTMLElement).hidden = why === "";
}
button("close-failure").onclick = () => fail("");
const wordsOf = (error: unknown): string =>
  error instanceof Failure ? error.message : `Something unexpected happened: ${error instanceof Error ? error.message : String(error)}`;
/** Does one thing at a time; what goes wrong is told, and the page goes on. */
async function doing(kind: NonNullable<typeof busy>, work: () => Promise<void>): Promise<void> {
  if (busy) return fail("Something is running. Stop it, or wait for its end, and try again.");
  busy = kind;
  fail("");
  refresh();
  try {
    await work();
  } catch (error) {
    fail(wordsOf(error));
  } finally {
    busy = undefined;
    bar.hidden = true;
    refresh();
  }
}
/** The same for work that can be stopped: the keyboard moves to its other button and back, since a button that rests keeps no focus. */
async function stoppable(kind: "generate" | "train", work: () => Promise<void>): Promise<void> {
  const [start, stop] = [button(kind), button(`stop-${kind}`)];
  const byKeyboard = document.activeElement === start;
  const done = doing(kind, work);
  if (byKeyboard && busy === kind) stop.focus({ preventScroll: true });
  await done;
  if (byKeyboard && [stop, document.body].includes(document.activeElement as HTMLElement)) start.focus({ preventScroll: true });
}
const client = new Client(hear, () => {
  forget("The model is gone: load it again.");
  trained = false;
});

function hear(e: Event): void {
  switch (e.event) {
    case "progress":
      bar.hidden = false;
      bar.value = e.total ? e.done / e.total : 0;
      say("model-note", `Loading: ${megabytes(e.done)} of ${megabytes(e.total)}`);
      return;
    case "text":
      text.write(e.piece);
      say("speed", `${e.tokens} tokens, ${e.tokensPerSecond.toFixed(0)} tokens/s`);
      if (model) tellModel(model, e.bytes);
      return;
    case "kept":
      keepShown(e.models);
      say("kept-note", e.note);
      return;
    case "loss": {
      plot.add(e.step, e.loss);
      const speed = e.tokensPerSecond > 0 ? `, ${e.tokensPerSecond.toFixed(0)} tokens/s` : "";
      say("train-note", `Step ${e.step}: loss ${e.loss.toFixed(3)} nats per byte${speed}`);
      return;
    }
    default:
      e satisfies never;
  }
}

function forget(note: string): void {
  model = undefined;
  find("kernels-box", HTMLElement).hidden = true;
  say("kernels-note", "");
  say("model-note", note);
}
function tellModel(m: ModelInfo, bytes: number): void {
  // Weights may come to the device when they are first used.
  const memory = bytes > 50_000 ? `, ${megabytes(bytes)} of memory` : "";
  const said = `Loaded ${m.name}: ${(m.parameters / 1e6).toFixed(2)} million parameters${memory} on ${m.device}.`;
  const note = find("model-note", HTMLElement);
  // A status that does not change is not read out again.
  if (note.textContent !== said) note.textContent = said;
  note.dataset["bytes"] = String(bytes);
}
function show(info: ModelInfo | undefined): void {
  forget("No model is loaded.");
  model = info;
  if (info) tellModel(info, info.bytes);
}
const load = (work: () => Promise<ModelInfo>): Promise<void> =>
  doing("load", async () => {
    say("model-note", "Loading …");
    try {
      show(await work());
    } catch (error) {
      show(await client.call("loaded", undefined));
      throw error;
    }
  });
function number(id: string, least: number): number {
  const element = input(id);
  const value = Number(element.value);
  if (element.value !== "" && element.checkValidity() && value >= least) return value;
  const name = element.labels?.[0]?.textContent ?? id;
  throw new Failure(
    `${name} is ${element.value === "" ? "empty" : element.value}; it has to be a number from ${element.min} to ${element.max}.`,
  );
}

button("load-demo").onclick = () => load(() => client.call("loadDemo", { device: deviceSelect.value }));
const loadFiles = (files: readonly File[]): Promise<void> => load(() => client.call("loadFiles", { device: deviceSelect.value, files }));
for (const id of ["files", "folder"]) {
  button(`choose-${id}`).onclick = () => input(id).click();
  input(id).onchange = () => {
    const files = [...(input(id).files ?? [])];
    input(id).value = "";
    if (files.length) void loadFiles(files);
  };
}
const drop = find("drop", HTMLParagraphElement);
listenForDrops(
  (over) => drop.classList.toggle("over", over),
  (dropped) =>
    void load(async () => {
      const { files, name } = await dropped().catch((error: Error) => {
        throw new Failure(`What was dropped cannot be read: ${error.message}. Use the buttons to choose it.`);
      });
      if (!files.length) throw new Failure("No file was dropped. Drop a .pie file or a folder, or use the buttons to choose it.");
      return client.call("loadFiles", { device: deviceSelect.value, files, ...(name && { name }) });
    }),
);
const keepShown = (models: readonly KeptModel[]): void => {
  showKept(
    models,
    ({ id }) => void load(() => client.call("loadKept", { device: deviceSelect.value, id })),
    ({ id }) =>
      void doing("load", async () => keepShown(await client.call("forget", id))).then(() => {
        // The button that was pressed is gone with its row; the keyboard goes on near it.
        if (document.activeElement === document.body) button("choose-folder").focus({ preventScroll: true });
      }),
  );
  enableKept(busy === undefined);
};
deviceSelect.onchange = () => {
  if (model) forget("The device has changed: load the model again.");
  refresh();
};

button("generate").onclick = () =>
  stoppable("generate", async () => {
    const prompt = find("prompt", HTMLTextAreaElement).value;
    const o = { prompt, tokens: number("length", 1), temperature: number("temperature", 0), seed: number("seed", 0) };
    text.begin(prompt);
    say("speed", "Starting …");
    const { tokens, tokensPerSecond, stopped } = await client.call("generate", o).finally(() => text.flush());
    if (!stopped) say("speed", `${tokens} tokens, ${tokensPerSecond.toFixed(0)} tokens/s`);
    else say("speed", `Stopped. ${find("speed", HTMLElement).textContent}`);
  });
const stop = (): void => void client.call("stop", undefined);
button("stop-generate").onclick = stop;

button("train").onclick = () =>
  stoppable("train", async () => {
    const chosen = input("corpus").files?.[0];
    const steps = number("steps", 1);
    forget("A model is being trained.");
    say("train-note", "Compiling the training step …");
    plot.begin(steps);
    try {
      const result = await client.call("train", { device: deviceSelect.value, steps, ...(chosen && { text: chosen }) });
      trained = true;
      show(result.model);
      const how = result.stopped ? `Stopped after ${result.steps} of ${steps} steps.` : `Done after ${result.steps} steps.`;
      say("train-note", `${how} The model is loaded: it can generate, and be downloaded.`);
    } catch (error) {
      show(await client.call("loaded", undefined));
      say("train-note", "");
      throw error;
    }
  });
button("stop-train").onclick = stop;
const ownText = find("corpus-name", HTMLElement).textContent;
button("choose-corpus").onclick = () => input("corpus").click();
input("corpus").onchange = () => say("corpus-name", input("corpus").files?.[0]?.name ?? ownText);

async function download(kind: Calls["save"]["takes"], name: string): Promise<void> {
  const url = URL.createObjectURL(await client.call("save", kind));
  const link = Object.assign(document.createElement("a"), { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
button("download-pie").onclick = () => void download("pie", "trained.pie").catch((e: Error) => fail(e.message));
button("download-weights").onclick = () => void download("safetensors", "trained.safetensors").catch((e: Error) => fail(e.message));

button("measure").onclick = () =>
  doing("measure", async () => {
    say("kernels-note", "Measuring …");
    try {
      const times = await client.call("measure", undefined);
      const total = showKernels(times);
      say("kernels-note", `${times.length} kernels, ${(total / 1000).toFixed(total < 1e5 ? 2 : 0)} ms for a token.`);
    } catch (error) {
      say("kernels-note", "");
      throw error;
    }
  });
// Until the devices are known, nothing can be asked for.
refresh();
try {
  const { choices, note } = await client.call("devices", undefined);
  deviceSelect.replaceChildren(...choices.map((c) => new Option(c.label, c.name)));
  say("device-note", note);
  keepShown(await client.call("kept", undefined));
} catch (error) {
  fail(wordsOf(error));
}
busy = undefined;
refresh();
// Without it the page works all the same, with a network.
if ("serviceWorker" in navigator) {
  navigator.serviceWorker.register(new URL("offline.js", document.baseURI)).catch(console.error);
  navigator.serviceWorker.ready.then(({ active }) => active?.postMessage("keep"));
}
