/** Models from local folders in the Hugging Face layout. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { DType } from "../core/dtype.js";
import { ArgumentError, FormatError, ShapeError, UnsupportedError } from "../core/errors.js";
import { showShape } from "../core/type.js";
import { Bert, bertConfig, GPT2, gpt2Config, Llama, llamaConfig, type PretrainedModel } from "../models/index.js";
import { blank } from "../nn/index.js";
import { openSafetensors, type Safetensors } from "../runtime/safetensors.js";
import { evaluate, fromBytes, type Tensor, withDevice } from "../tensor/index.js";
import { readJson } from "./json.js";
import { loadTokenizer, type Tokenizer } from "./tokenizer.js";

/** The dtype that weights and activations have. */
export type ModelDType = "f32" | "bf16" | "f16";
export interface LoadOptions {
  /** Default: the dtype in which the weights are stored. */
  readonly dtype?: ModelDType;
  /** Name of the device; default: the current one. */
  readonly device?: string;
}
/** What a folder holds. */
export interface Pretrained<M extends PretrainedModel = PretrainedModel> {
  readonly model: M;
  /** config.json as it stands. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Undefined where the folder has no tokenizer.json. */
  readonly tokenizer: Tokenizer | undefined;
  readonly folder: string;
}

/** Makers by `model_type`. */
const architectures: Readonly<Record<string, (json: Readonly<Record<string, unknown>>) => PretrainedModel>> = {
  llama: (json) => new Llama(llamaConfig(json)),
  gpt2: (json) => new GPT2(gpt2Config(json)),
  bert: (json) => new Bert(bertConfig(json)),
};

/** Reads a folder with config.json, safetensors (in one file or in shards) and tokenizer.json. Unknown weights and missing ones are errors. */
export async function loadPretrained(folder: string, options: LoadOptions = {}): Promise<Pretrained> {
  const config = readJson(folder, "config.json");
  const type = config["model_type"];
  const make = typeof type === "string" && Object.hasOwn(architectures, type) ? architectures[type] : undefined;
  if (!make)
    throw new UnsupportedError(
      `${folder} holds a model of type ${JSON.stringify(type ?? null)}; known are ${Object.keys(architectures).join(", ")}`,
    );
  const file = openSafetensors(folder);
  try {
    const on = <T>(f: () => T): T => (options.device ? withDevice(options.device, f) : f());
    const model = on(() => blank(() => make(config)));
    await loadWeights(model, file, { ...options, folder });
    model.eval();
    const tokenizer = existsSync(join(folder, "tokenizer.json")) ? await loadTokenizer(folder) : undefined;
    return { model, config, tokenizer, folder };
  } finally {
    file.close();
  }
}

/** Gives a model the weights of a checkpoint: its parameters become the stored values, converted where another dtype is asked for. */
export async function loadWeights(
  model: PretrainedModel,
  file: Safetensors,
  { dtype, device, folder }: LoadOptions & { readonly folder: string },
): Promise<void> {
  const parameters = new Map(model.namedParameters());
  const stored = new Map<string, string>();
  const unexpected: string[] = [];
  for (const key of file.tensors.keys()) {
    const own = model.checkpointKey(key);
    if (own === null) continue;
    if (parameters.has(own)) stored.set(own, key);
    else unexpected.push(key);
  }
  const missing = [...parameters.keys()].filter((k) => !stored.has(k));
  const wrong = [...stored].flatMap(([own, key]) => {
    const [has, wants] = [file.tensors.get(key)!.shape, parameters.get(own)!.shape];
    return showShape(has) === showShape(wants) ? [] : [`${key} has shape ${showShape(has)}, the model's is ${showShape(wants)}`];
  });
  const faults = [
    ...(missing.length ? [`missing weights: ${list(missing)}`] : []),
    ...(unexpected.length ? [`unexpected weights: ${list(unexpected)}`] : []),
    ...(wrong.length ? [`wrong shapes: ${list(wrong)}`] : []),
  ];
  const text = `the weights in ${folder} do not fit its config.json (${model.constructor.name}): ${faults.join("; ")}`;
  if (missing.length || unexpected.length) throw new ArgumentError(text);
  if (wrong.length) throw new ShapeError(text);
  const target = dtype ?? storedDType(file, stored.values());
  for (const [own, key] of stored) {
    const p = parameters.get(own)!;
    const host = file.read(key);
    const given = fromBytes(host.bytes, host.shape, { dtype: host.dtype, ...(device && { device }) });
    const value: Tensor = host.dtype === target ? given : given.to(target);
    // One by one, so that the stored values of only one weight are in memory beside the converted ones.
    if (value !== given) await evaluate(value);
    p.rebind(value);
  }
}
function storedDType(file: Safetensors, keys: Iterable<string>): DType {
  for (const key of keys) {
    const { dtype } = file.tensors.get(key)!;
    if (dtype === "f32" || dtype === "bf16" || dtype === "f16") return dtype;
  }
  throw new FormatError("the checkpoint holds no weights in f32, bf16 or f16");
}
const list = (names: readonly string[]): string =>
  names.length > 6 ? `${names.slice(0, 6).join(", ")} and ${names.length - 6} more` : names.join(", ");
