/** The page: what a person does becomes calls of the worker, and what it tells is shown. */
import { Client, Failure } from "./client.js";
import { Plot } from "./plot.js";
import type { Calls, Event, KernelTime, ModelInfo } from "./protocol.js";

function find<T extends Element>(id: string, kind: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`the page has no ${id}`);
  return found;
}
const button = (id: string): HTMLButtonElement => find(id, HTMLButtonElement);
const input = (id: string): HTMLInputElement => find(id, HTMLInputElement);
const say = (id: string, text: string): void => void (find(id, HTMLElement).textContent = text);

const deviceSelect = find("device", HTMLSelectElement);
const output = find("text", HTMLTextAreaElement);
const bar = find("load-progress", HTMLProgressElement);
const plot = new Plot(find("plot", SVGSVGElement));
const failure = find("failure", HTMLParagraphElement);

let model: ModelInfo | undefined;
let busy: "load" | "generate" | "train" | "measure" | undefined = "load";
let trained = false;

function refresh(): void {
  for (const id of ["load-demo", "train"]) button(id).disabled = busy !== undefined;
  for (const id of ["files", "folder", "corpus"]) input(id).disabled = busy !== undefined;
  deviceSelect.disabled = busy !== undefined;
  button("generate").disabled = busy !== undefined || !model;
  button("measure").disabled = busy !== undefined || !model?.measurable;
  button("stop-generate").disabled = busy !== "generate";
  button("stop-train").disabled = busy !== "train";
  for (const id of ["download-pie", "download-weights"]) button(id).disabled = busy === "train" || !trained;
}
function fail(text: string): void {
  failure.textContent = text;
  failure.hidden = text === "";
}
/** Does one thing at a time; what goes wrong is told, and the page goes on. */
async function doing(kind: NonNullable<typeof busy>, work: () => Promise<void>): Promise<void> {
  busy = kind;
  fail("");
  refresh();
  try {
    await work();
  } catch (error) {
    fail(error instanceof Failure ? error.message : `Something unexpected happened: ${String(error)}`);
  } finally {
    busy = undefined;
    bar.hidden = true;
    refresh();
  }
}
const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
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
    case "text": {
      write(e.piece);
      say("speed", `${e.tokens} tokens, ${e.tokensPerSecond.toFixed(0)} tokens/s`);
      return;
    }
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

let unwritten = "";
/** Text that comes is written once a frame: a fast model makes several tokens in one. */
function write(piece: string): void {
  if (!unwritten) requestAnimationFrame(flush);
  unwritten += piece;
}
function flush(): void {
  const below = output.scrollHeight - output.scrollTop - output.clientHeight < 40;
  output.setRangeText(unwritten, output.value.length, output.value.length);
  unwritten = "";
  if (below) output.scrollTop = output.scrollHeight;
}

function forget(note: string): void {
  model = undefined;
  find("kernels", HTMLTableElement).hidden = true;
  say("kernels-note", "");
  say("model-note", note);
}
function show(info: ModelInfo): void {
  forget("");
  model = info;
  say("model-note", `Loaded ${info.name}: ${(info.parameters / 1e6).toFixed(2)} million parameters, on ${info.device}.`);
}
const load = (work: () => Promise<ModelInfo>): Promise<void> =>
  doing("load", async () => {
    forget("Loading …");
    try {
      show(await work());
    } catch (error) {
      forget("No model is loaded.");
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
const loadFiles = (files: readonly File[]): void => {
  if (files.length) void load(() => client.call("loadFiles", { device: deviceSelect.value, files }));
};
for (const id of ["files", "folder"])
  input(id).onchange = () => {
    loadFiles([...(input(id).files ?? [])]);
    input(id).value = "";
  };
deviceSelect.onchange = () => {
  if (model) forget("The device has changed: load the model again.");
  refresh();
};

button("generate").onclick = () =>
  doing("generate", async () => {
    const prompt = find("prompt", HTMLTextAreaElement).value;
    const o = { prompt, tokens: number("length", 1), temperature: number("temperature", 0), seed: number("seed", 0) };
    output.value = prompt;
    say("speed", "Starting …");
    const { tokens, tokensPerSecond, stopped } = await client.call("generate", o);
    if (!stopped) say("speed", `${tokens} tokens, ${tokensPerSecond.toFixed(0)} tokens/s`);
    else say("speed", `Stopped. ${find("speed", HTMLElement).textContent}`);
  });
const stop = (): void => void client.call("stop", undefined);
button("stop-generate").onclick = stop;

button("train").onclick = () =>
  doing("train", async () => {
    const text = input("corpus").files?.[0];
    const steps = number("steps", 1);
    forget("A model is being trained.");
    say("train-note", "Compiling the training step …");
    plot.begin(steps);
    try {
      const result = await client.call("train", { device: deviceSelect.value, steps, ...(text && { text }) });
      trained = true;
      show(result.model);
      const how = result.stopped ? `Stopped after ${result.steps} of ${steps} steps.` : `Done after ${result.steps} steps.`;
      say("train-note", `${how} The model is loaded: it can generate, and be downloaded.`);
    } catch (error) {
      forget("No model is loaded.");
      say("train-note", "");
      throw error;
    }
  });
button("stop-train").onclick = stop;

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
    const times = await client.call("measure", undefined);
    showKernels(times);
  });
function showKernels(times: readonly KernelTime[]): void {
  const table = find("kernels", HTMLTableElement);
  const total = times.reduce((sum, t) => sum + t.microseconds, 0);
  table.tBodies[0]!.replaceChildren(
    ...times.map((t) => {
      const row = document.createElement("tr");
      const cells = [
        t.label,
        t.microseconds.toFixed(1),
        `${((100 * t.microseconds) / Math.max(1e-9, total)).toFixed(1)} %`,
        t.gigabytesPerSecond.toFixed(1),
      ];
      row.append(...cells.map((text) => Object.assign(document.createElement("td"), { textContent: text })));
      return row;
    }),
  );
  table.hidden = false;
  say("kernels-note", `${times.length} kernels, ${total.toFixed(0)} microseconds for a token.`);
}

/** What is dropped anywhere on the page: files, or the files of one folder. */
async function dropped(items: DataTransferItemList): Promise<File[]> {
  const entries = [...items].map((i) => i.webkitGetAsEntry()).filter((e) => e !== null);
  const fileOf = (e: FileSystemEntry): Promise<File> => new Promise((done, failed) => (e as FileSystemFileEntry).file(done, failed));
  const inside = async (folder: FileSystemDirectoryEntry): Promise<File[]> => {
    const reader = folder.createReader();
    const files: File[] = [];
    for (;;) {
      const some = await new Promise<FileSystemEntry[]>((done, failed) => reader.readEntries(done, failed));
      if (!some.length) return files;
      for (const e of some) if (e.isFile) files.push(await fileOf(e));
    }
  };
  const lists = await Promise.all(entries.map((e) => (e.isDirectory ? inside(e as FileSystemDirectoryEntry) : fileOf(e).then((f) => [f]))));
  return lists.flat();
}
const drop = find("drop", HTMLParagraphElement);
document.addEventListener("dragover", (e) => {
  e.preventDefault();
  drop.classList.add("over");
});
document.addEventListener("dragleave", () => drop.classList.remove("over"));
document.addEventListener("drop", async (e) => {
  e.preventDefault();
  drop.classList.remove("over");
  if (busy || !e.dataTransfer) return;
  loadFiles(await dropped(e.dataTransfer.items));
});

// Until the devices are known, nothing can be asked for.
refresh();
const { choices, note } = await client.call("devices", undefined);
deviceSelect.replaceChildren(...choices.map((c) => new Option(c.label, c.name)));
say("device-note", note);
busy = undefined;
refresh();
if ("serviceWorker" in navigator) await navigator.serviceWorker.register(new URL("offline.js", document.baseURI));
