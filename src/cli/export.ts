/** `treepie export`: a checkpoint of `train` as a program file. */
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { ArgumentError } from "../core/errors.js";
import { backends } from "../devices.js";
import { exportPie, recompiled } from "../export.js";
import { closeDevices } from "../index.js";
import type { Codegen } from "../kernel/codegen.js";
import { GPT } from "../models/gpt/index.js";
import { gptMethods } from "../models/gpt/methods.js";
import { openSource, readPie, writePie } from "../runtime/index.js";
import { openCheckpoint } from "../train/checkpoint.js";
import { readProgress } from "../train/progress.js";

export interface ExportCommand {
  readonly out: string;
  readonly target?: readonly string[];
  readonly binary?: boolean;
}

/** A checkpoint, or a program file whose graphs are compiled for other targets. */
export async function exportModel(from: string, o: ExportCommand): Promise<void> {
  const targets = await codegensFor(o.target ?? []);
  const options = { targets, binary: o.binary === true };
  if (from.endsWith(".pie")) {
    const source = openSource(from);
    try {
      writePie(o.out, await recompiled(readPie(source), options));
    } finally {
      source.close();
    }
  } else {
    const file = existsSync(from) && statSync(from).isDirectory() ? join(from, "checkpoint.safetensors") : from;
    if (!existsSync(file)) throw new ArgumentError(`there is no checkpoint at ${file}; \`treepie train\` writes one`);
    const saved = openCheckpoint(file);
    try {
      const model = new GPT(readProgress(saved.progress, file).config);
      saved.restore(model);
      await exportGPT(model, o.out, targets, options.binary);
    } finally {
      saved.close();
    }
    await closeDevices();
  }
  console.error(`wrote ${o.out}`);
}
/** The compile-time halves of backends. */
export async function codegensFor(names: readonly string[]): Promise<Codegen[]> {
  const codegens: Codegen[] = [];
  for (const name of names) {
    const load = backends[name];
    if (!load) throw new ArgumentError(`there is no target ${name}; known are ${Object.keys(backends).join(", ")}`);
    const backend = await load();
    const why = backend.unavailable();
    if (why) throw new ArgumentError(`programs for ${name} cannot be made here: ${why}`);
    codegens.push(backend.codegen());
  }
  return codegens;
}

/** Writes a GPT as a `.pie` file. */
export async function exportGPT(model: GPT, file: string, targets: readonly Codegen[], binary = false): Promise<void> {
  const { methods, options } = gptMethods(model);
  await exportPie(file, methods, { ...options, targets, ...(binary && { binary }) });
}
