/** Models from folders in the Hugging Face layout: on disk, under a URL, or chosen by a page's user. */
import type { DType } from "../core/dtype.js";
import { ArgumentError, FormatError, ShapeError, UnsupportedError } from "../core/errors.js";
import { showShape } from "../core/type.js";
import { Bert, bertConfig, GPT2, gpt2Config, Llama, llamaConfig, type PretrainedModel } from "../models/index.js";
import { blank } from "../nn/index.js";
import { type Folder, openFolder } from "../runtime/folder.js";
import { openSafetensorsIn, type Safetensors, type StoredTensor } from "../runtime/safetensors.js";
import { evaluate, fromBytes, type MappedFile, mapFile, readOnto, type Tensor, withDevice } from "../tensor/index.js";
import { readJson, readJsonIfThere } from "./json.js";
import { loadTokenizerIfThere, type Tokenizer } from "./tokenizer.js";

/** The dtype that weights and activations have. */
export type ModelDType = "f32" | "bf16" | "f16";
/** How a checkpoint's weights are loaded. */
export interface LoadOptions {
  /** Default: the dtype in which the weights are stored. */
  readonly dtype?: ModelDType;
  /** Name of the device; default: the current one. */
  readonly device?: string;
  /**
   * `mapped` (default): weights stay in the file where they can, which starts sooner and shares memory between processes. `copied`: they
   * go to memory of the process in large pages, which decodes faster, most of all after pauses.
   */
  readonly weights?: "mapped" | "copied";
  /** Told while weights are loaded: bytes of the checkpoint so far, and all. */
  onProgress?(done: number, total: number): void;
  readonly signal?: AbortSignal;
}
/** What a folder holds. */
export interface Pretrained<M extends PretrainedModel = PretrainedModel> {
  readonly model: M;
  /** config.json as it stands. */
  readonly config: Readonly<Record<string, unknown>>;
  /** generation_config.json as it stands; empty where there is none. */
  readonly generation: Readonly<Record<string, unknown>>;
  /** Undefined where the folder has no tokenizer.json. */
  readonly tokenizer: Tokenizer | undefined;
  /** For messages. */
  readonly folder: string;
  readonly weights: LoadedWeights;
}
/** How the weights came into memory. */
export interface LoadedWeights {
  /** Bytes that are read where they lie in the files. */
  readonly mapped: number;
  /** Bytes that were copied: what is converted, what is small, and all of it on devices that cannot map files. */
  readonly copied: number;
  /** Throws FileError where a file was changed since, so that mapped weights are no longer those that were loaded. */
  check(): void;
}

/** Makers by `model_type`. */
const architectures: Readonly<Record<string, (json: Readonly<Record<string, unknown>>) => PretrainedModel>> = {
  llama: (json) => new Llama(llamaConfig(json)),
  gpt2: (json) => new GPT2(gpt2Config(json)),
  bert: (json) => new Bert(bertConfig(json)),
};

/** Reads a folder (a path, an `https:` address, or files that a user chose) with config.json, safetensors (in one file or in shards) and tokenizer.json. Unknown weights and missing ones are errors. */
export async function loadPretrained(from: string | Folder, options: LoadOptions = {}): Promise<Pretrained> {
  const folder = openFolder(from);
  const config = await readJson(folder, "config.json");
  const type = config["model_type"];
  const make = typeof type === "string" && Object.hasOwn(architectures, type) ? architectures[type] : undefined;
  if (!make)
    throw new UnsupportedError(
      `${folder.name} holds a model of type ${JSON.stringify(type ?? null)}; known are ${Object.keys(architectures).join(", ")}`,
    );
  const file = await openSafetensorsIn(folder, options.signal);
  try {
    const on = <T>(f: () => T): T => (options.device ? withDevice(options.device, f) : f());
    const model = on(() => blank(() => make(config)));
    const weights = await loadWeights(model, file, { ...options, folder: folder.name });
    model.eval();
    const tokenizer = await loadTokenizerIfThere(folder);
    const generation = (await readJsonIfThere(folder, "generation_config.json")) ?? {};
    return { model, config, generation, tokenizer, folder: folder.name, weights };
  } finally {
    file.close();
  }
}

/** Smaller tensors are copied: a page of their own costs more. */
const leastMapped = 1 << 16;

/**
 * Gives a model the weights of a checkpoint: its parameters become the stored values, converted where another dtype is asked for. What
 * needs no conversion stays in the file, where the device can map it.
 */
export async function loadWeights(
  model: PretrainedModel,
  file: Safetensors,
  { dtype, device, folder, weights = "mapped", onProgress, signal }: LoadOptions & { readonly folder: string },
): Promise<LoadedWeights> {
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
  const bytes = { mapped: 0, copied: 0 };
  const maps = new Map<string, MappedFile | undefined>();
  const mapOf = async (t: StoredTensor): Promise<MappedFile | undefined> => {
    if (!maps.has(t.file)) maps.set(t.file, await mapFile(file.source(t.name), device));
    return maps.get(t.file);
  };
  try {
    file.check();
    // Largest first: while one is copied, it lies in memory twice. From a server in the order of the file, which is one request.
    const sizeOf = ([, key]: readonly [string, string]): number => file.tensors.get(key)!.bytes;
    const placeOf = ([, key]: readonly [string, string]): number => (file.source(key).load ? file.tensors.get(key)!.offset : 0);
    const total = [...stored].reduce((sum, x) => sum + sizeOf(x), 0);
    for (const [own, key] of [...stored].sort((a, b) => placeOf(a) - placeOf(b) || sizeOf(b) - sizeOf(a))) {
      const t = file.tensors.get(key)!;
      const natural = t.dtype !== undefined && t.dtype !== "complex64" && t.bytes >= leastMapped && !t.stored.startsWith("F8");
      const mapped = natural ? (await mapOf(t))?.tensor(t.offset, t.shape, t.dtype) : undefined;
      const stays = mapped && t.dtype === target && weights === "mapped";
      if (!mapped) await file.load(key, signal);
      const sent = natural && !mapped ? await readOnto((at, into) => file.readLater(key, at, into), t.shape, t.dtype, device) : undefined;
      bytes[stays ? "mapped" : "copied"] += t.bytes;
      parameters.get(own)!.rebind(await converted(mapped ?? sent ?? read(file, key, device), target, mapped && !stays));
      file.release(key);
      onProgress?.(bytes.mapped + bytes.copied, total);
    }
  } finally {
    for (const m of maps.values()) m?.close();
  }
  return { ...bytes, check: () => (bytes.mapped ? file.check() : undefined) };
}
function read(file: Safetensors, key: string, device: string | undefined): Tensor {
  const { bytes, shape, dtype } = file.read(key);
  return fromBytes(bytes, shape, { dtype, ...(device && { device }) });
}
/** A weight in that dtype. One by one, so that the stored values of only one are in memory beside the converted ones. */
async function converted(given: Tensor, dtype: DType, copy: boolean = false): Promise<Tensor> {
  if (given.dtype === dtype && !copy) return given;
  const value = given.dtype === dtype ? given.clone() : given.to(dtype);
  await evaluate(value);
  if (copy) given.dispose();
  return value;
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
