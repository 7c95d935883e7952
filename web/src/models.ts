/** Models that are loaded: program files of byte language models, and folders of language models. Both write text. */

import { compile } from "#treepie/compile/index.js";
import { closeDevices, llm, memory, registerBackend } from "#treepie/page.js";
import { blobFolder, blobSource, continueBytes, type Device, type Pie, type Session, StepTimes, timed } from "#treepie/runtime/page.js";
import { loadPie } from "#treepie/runtime/pie.js";
import { backendOf, checkRoom, openDevice, openSession } from "./devices.js";
import { PageError } from "./failures.js";
import type { Generated, GenerateRequest, KernelTime, ModelInfo } from "./protocol.js";

export interface Model {
  readonly info: ModelInfo;
  generate(o: GenerateRequest, signal: AbortSignal, write: (piece: string) => void): Promise<Generated>;
  measure(): Promise<readonly KernelTime[]>;
  /** Memory that its device holds. */
  bytes(): number;
  close(): Promise<void>;
}
type Told = (done: number, total: number) => void;

/** Times of the kernels of `write`, which makes tokens: after some that warm up, as many as two seconds have room for. */
async function measureKernels(times: StepTimes, write: (tokens: number) => Promise<unknown>): Promise<readonly KernelTime[]> {
  await write(4);
  const begun = performance.now();
  await write(4);
  const tokens = Math.round(Math.min(64, Math.max(4, (4 * 2000) / (performance.now() - begun))));
  times.clear();
  await write(tokens);
  return times.steps.map((s) => ({
    label: s.label,
    microseconds: (1000 * s.milliseconds) / tokens,
    gigabytesPerSecond: s.milliseconds > 0 ? s.bytes / s.milliseconds / 1e6 : 0,
  }));
}

/** A program file: an address, a file or bytes. */
export async function openProgram(from: string | Blob, name: string, deviceName: string, told?: Told): Promise<Model> {
  const device = await openDevice(deviceName);
  let session: Session;
  try {
    session = await openSession(from, device, told);
    checkKind(session.pie, name);
  } catch (error) {
    await device.close();
    throw error;
  }
  const bytes = (): number => device.counters.bytes;
  const parameters = [...session.pie.state.values()]
    .filter((s) => !s.name.startsWith("cache."))
    .reduce((sum, s) => sum + s.shape.reduce((a, b) => a * b, 1), 0);
  const run = (on: Session, tokens: number): Promise<unknown> =>
    continueBytes(on, { prompt: "a", maxTokens: tokens, temperature: 1, seed: 1 }, new AbortController().signal, () => {});
  return {
    info: { name, parameters, device: deviceName, measurable: true, bytes: bytes() },
    bytes,
    async generate(o, signal, write) {
      await session.reset();
      const { tokens, tokensPerSecond } = await continueBytes(session, { ...o, maxTokens: o.tokens }, signal, write);
      return { tokens, tokensPerSecond, stopped: signal.aborted };
    },
    async measure() {
      const times = new StepTimes();
      const inner: Device = await openDevice(deviceName);
      try {
        const own = await openSession(from, timed(inner, times));
        const found = await measureKernels(times, (tokens) => run(own, tokens));
        await own.dispose();
        return found;
      } finally {
        await inner.close();
      }
    },
    async close() {
      await session.dispose();
      await device.close();
    },
  };
}
function checkKind(pie: Pie, name: string): void {
  const { kind } = pie.metadata;
  if (kind === "byte-language-model" && pie.methods.has("decode")) return;
  if (kind === "language-model")
    throw new PageError(
      `${name} is a language model without its tokenizer. Choose the folder of the model instead, with config.json, tokenizer.json and model.safetensors.`,
    );
  throw new PageError(`${name} is a program file, but it holds no text model, which is what this page runs.`);
}

const programOf = (files: readonly File[]): File | undefined => files.find((f) => f.name.endsWith(".pie"));
/** The name of a folder that was chosen or dropped, as far as the browser tells it. */
const folderName = (files: readonly File[]): string => files[0]!.webkitRelativePath.split("/")[0] || "the chosen folder";

/** Refuses files that are no model, that are damaged or that have no room, before anything is done for them. */
export async function checkFiles(files: readonly File[], device: string): Promise<void> {
  const program = programOf(files);
  if (program) {
    const source = blobSource(program);
    try {
      checkKind(await loadPie(source), program.name);
    } finally {
      source.close();
    }
    return;
  }
  const weights = files.filter((f) => f.name.endsWith(".safetensors"));
  if (!files.some((f) => f.name === "config.json")) {
    if (weights[0])
      throw new PageError(`${weights[0].name} holds weights alone. Choose its folder, or config.json and tokenizer.json along with it.`);
    const names = files.slice(0, 3).map((f) => f.name);
    const none = names.length === 1 ? `${names[0]} is no model.` : `There is no model among these files (${names.join(", ")}).`;
    throw new PageError(`${none} Choose a .pie file, or a folder with ${parts}.`);
  }
  const missing = ["tokenizer.json", ...(weights.length ? [] : ["model.safetensors"])].filter((n) => !files.some((f) => f.name === n));
  if (missing.length) throw new PageError(`The folder has no ${missing.join(" and no ")}. A model that writes text has ${parts}.`);
  checkRoom(
    device,
    weights.reduce((sum, f) => sum + f.size, 0),
  );
}
const parts = "config.json, tokenizer.json and model.safetensors";

/** The files among them that a model consists of. */
export function filesOfModel(files: readonly File[]): readonly File[] {
  const program = programOf(files);
  return program ? [program] : files.filter((f) => /\.(json|safetensors)$/.test(f.name));
}
/** Files that belong together and were checked: a program file, or the files of a model's folder. */
export function openFiles(files: readonly File[], name: string | undefined, device: string, told: Told): Promise<Model> {
  const program = programOf(files);
  return program ? openProgram(program, name ?? program.name, device, told) : openFolderModel(files, name, device, told);
}

async function openFolderModel(files: readonly File[], name: string | undefined, device: string, told: Told): Promise<Model> {
  const folder = blobFolder(files, name ?? folderName(files));
  const load = (on: string): Promise<llm.LanguageModel> => llm.loadModel(folder, { device: on, onProgress: told });
  let model: llm.LanguageModel;
  try {
    model = await load(device);
  } catch (error) {
    // What was loaded before it failed would stay.
    await closeDevices();
    throw error;
  }
  const bytes = (): number => memory.report().devices.reduce((sum, d) => sum + d.bytes, 0);
  const parameters = model.model.parameters().reduce((sum, p) => sum + p.numel(), 0);
  return {
    info: { name: folder.name, parameters, device, measurable: true, bytes: bytes() },
    bytes,
    async generate(o, signal, write) {
      const room = model.maxLength - model.promptTokens(o.prompt).length + 1;
      if (room < 1) throw new PageError(`The beginning is too long: this model reads at most ${model.maxLength} tokens. Shorten it.`);
      const run = model.generate(o.prompt, {
        maxTokens: Math.min(o.tokens, room),
        seed: o.seed,
        signal,
        ...(o.temperature > 0 && { temperature: o.temperature, topK: 40 }),
      });
      const begun = performance.now();
      try {
        for (;;) {
          const next = await run.next();
          if (!next.done) write(next.value);
          else
            return {
              tokens: next.value.tokens,
              tokensPerSecond: next.value.tokens / Math.max(1e-9, next.value.decodeSeconds),
              stopped: false,
            };
        }
      } catch (error) {
        if (!signal.aborted) throw error;
        return { tokens: 0, tokensPerSecond: 0, stopped: performance.now() > begun };
      }
    },
    async measure() {
      const times = new StepTimes();
      const backend = await backendOf(device);
      registerBackend("timed", async () => ({ ...backend, open: async (o) => timed(await backend.open(o), times) }), compile);
      // One model at a time is in memory.
      await closeDevices();
      try {
        const own = await load("timed");
        const write = async (tokens: number): Promise<void> => {
          for await (const _ of own.generateTokens([0], { maxTokens: tokens, stopTokens: [] }));
        };
        return await measureKernels(times, write);
      } finally {
        await closeDevices();
        model = await load(device);
      }
    },
    close: () => closeDevices(),
  };
}
