/** `treepie export`: a checkpoint of `train` as a program file. */
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { ArgumentError } from "../core/errors.js";
import { backends } from "../devices.js";
import { exportPie } from "../export.js";
import { type Tensor, tensor, zeros } from "../index.js";
import type { Codegen } from "../kernel/codegen.js";
import { GPT, type LayerCache, sample } from "../models/gpt/index.js";
import { openCheckpoint } from "../train/checkpoint.js";
import { readProgress } from "../train/progress.js";

export interface ExportCommand {
  readonly out: string;
  readonly target?: readonly string[];
  readonly binary?: boolean;
}

export async function exportModel(folder: string, o: ExportCommand): Promise<void> {
  const file = existsSync(folder) && statSync(folder).isDirectory() ? join(folder, "checkpoint.safetensors") : folder;
  if (!existsSync(file)) throw new ArgumentError(`there is no checkpoint at ${file}; \`treepie train\` writes one`);
  const saved = openCheckpoint(file);
  try {
    const model = new GPT(readProgress(saved.progress, file).config);
    saved.restore(model);
    await exportGPT(model, o.out, o.target ?? [], o.binary === true);
  } finally {
    saved.close();
  }
  console.error(`wrote ${o.out}`);
}

/**
 * Writes a GPT as a `.pie` file with two methods: `logits` of a whole window, and `decode`, which takes one token and its position, keeps
 * keys and values as state, and samples the next token.
 */
export async function exportGPT(model: GPT, file: string, targets: readonly string[], binary = false): Promise<void> {
  const { vocabulary, width, heads, layers, context } = model.config;
  const codegens: Codegen[] = [];
  for (const name of targets) {
    const load = backends[name];
    if (!load) throw new ArgumentError(`there is no target ${name}; known are ${Object.keys(backends).join(", ")}`);
    const backend = await load();
    const why = backend.unavailable();
    if (why) throw new ArgumentError(`programs for ${name} cannot be made here: ${why}`);
    codegens.push(backend.codegen());
  }
  model.eval();
  const caches = Array.from(
    { length: layers },
    (): LayerCache => ({ key: zeros([1, heads, context, width / heads]), value: zeros([1, heads, context, width / heads]) }),
  );
  await exportPie(
    file,
    {
      logits: {
        fn: (tokens: Tensor) => ({ logits: model.forward(tokens) }),
        inputs: { tokens: tensor(new Array<number>(context).fill(0), [1, context], { dtype: "i64" }) },
        dynamic: { tokens: { 1: { min: 1, max: context } } },
      },
      decode: {
        fn: (token: Tensor, position: Tensor, temperature: Tensor, noise: Tensor) => ({
          next: sample(model.step(token, position, caches), temperature, noise.reshape([1, vocabulary])),
        }),
        inputs: {
          token: tensor([0], { dtype: "i64" }),
          position: tensor(0, { dtype: "i64" }),
          temperature: tensor(1, { dtype: "f32" }),
          noise: zeros([vocabulary]),
        },
      },
    },
    {
      module: model,
      state: Object.fromEntries(
        caches.flatMap((c, i) => [
          [`cache.${i}.key`, c.key],
          [`cache.${i}.value`, c.value],
        ]),
      ),
      targets: codegens,
      metadata: { kind: "byte-language-model", vocabulary: `${vocabulary}`, context: `${context}` },
      ...(binary && { binary }),
    },
  );
}
