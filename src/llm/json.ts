/** JSON files of a model's folder. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { FileError } from "../core/errors.js";
import { openSource } from "../runtime/file.js";
import { asObject, decodeText, parseJson } from "../runtime/json.js";

/** The object in `folder/name`; undefined where there is no such file. */
export function readJsonIfThere(folder: string, name: string): Readonly<Record<string, unknown>> | undefined {
  const path = join(folder, name);
  if (!existsSync(path)) return undefined;
  const source = openSource(path);
  try {
    return asObject(parseJson(decodeText(source.read(0, source.size), path), path), path);
  } finally {
    source.close();
  }
}
/** The object in `folder/name`. */
export function readJson(folder: string, name: string): Readonly<Record<string, unknown>> {
  const json = readJsonIfThere(folder, name);
  if (!json)
    throw new FileError(`${folder} has no ${name}; a model folder holds config.json, model.safetensors (or its shards) and tokenizer.json`);
  return json;
}
