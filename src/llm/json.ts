/** Texts of a model's folder. */
import { FileError } from "../core/errors.js";
import type { Folder } from "../runtime/folder.js";
import { asObject, decodeText, parseJson } from "../runtime/json.js";

/** A file's text; undefined where there is none. */
export async function readTextIfThere(folder: Folder, name: string): Promise<string | undefined> {
  const source = await folder.open(name);
  if (!source) return undefined;
  try {
    await source.load?.(0, source.size);
    return decodeText(source.read(0, source.size), source.name);
  } finally {
    source.close();
  }
}
/** The object in a file of the folder; undefined where there is no such file. */
export async function readJsonIfThere(folder: Folder, name: string): Promise<Readonly<Record<string, unknown>> | undefined> {
  const text = await readTextIfThere(folder, name);
  if (text === undefined) return undefined;
  const where = `${name} of ${folder.name}`;
  return asObject(parseJson(text, where), where);
}
/** The object in a file of the folder. */
export async function readJson(folder: Folder, name: string): Promise<Readonly<Record<string, unknown>>> {
  const json = await readJsonIfThere(folder, name);
  if (!json)
    throw new FileError(
      `${folder.name} has no ${name}; a model folder holds config.json, model.safetensors (or its shards) and tokenizer.json`,
    );
  return json;
}
