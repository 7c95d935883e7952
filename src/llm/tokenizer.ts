/** Text to tokens and back, as a folder's tokenizer.json says. */
import type { Template } from "@huggingface/jinja";
import type { Tokenizer as Encoder } from "@huggingface/tokenizers";
import { ArgumentError, FormatError } from "../core/errors.js";
import { type Folder, openFolder } from "../runtime/folder.js";
import { readJson, readJsonIfThere, readTextIfThere } from "./json.js";

/** One turn of a conversation. */
export interface ChatMessage {
  readonly role: "system" | "user" | "assistant" | (string & {});
  readonly content: string;
}

/** Text to tokens and back. */
export interface Tokenizer {
  /** Tokens of a text; with those that the model wants around it (such as `<s>`), unless told otherwise. */
  encode(text: string, options?: { readonly special?: boolean }): number[];
  /** Text of tokens, without special ones. */
  decode(tokens: readonly number[]): string;
  /** A conversation as one text, up to where the answer starts. It is encoded with `special: false`. */
  chat(messages: readonly ChatMessage[]): string;
}

/** Reads tokenizer.json and tokenizer_config.json of a folder. */
export async function loadTokenizer(from: string | Folder): Promise<Tokenizer> {
  const folder = openFolder(from);
  return made(folder, await readJson(folder, "tokenizer.json"));
}
/** The same; undefined where the folder has no tokenizer.json. */
export async function loadTokenizerIfThere(folder: Folder): Promise<Tokenizer | undefined> {
  const json = await readJsonIfThere(folder, "tokenizer.json");
  return json && made(folder, json);
}

async function made(folder: Folder, json: Readonly<Record<string, unknown>>): Promise<Tokenizer> {
  const config = (await readJsonIfThere(folder, "tokenizer_config.json")) ?? {};
  const written = templateIn(config) ?? (await readTextIfThere(folder, "chat_template.jinja"));
  // Only who has text loads these packages.
  const [{ Tokenizer: Made }, jinja] = await Promise.all([import("@huggingface/tokenizers"), import("@huggingface/jinja")]);
  let encoder: Encoder;
  try {
    encoder = new Made(json, config);
    encoder.encode("a");
  } catch (error) {
    throw new FormatError(`tokenizer.json of ${folder.name} is no tokenizer that can be used: ${(error as Error).message}`);
  }
  let template: Template | undefined;
  return {
    encode: (text, options = {}) => encoder.encode(text, { add_special_tokens: options.special ?? true }).ids,
    decode: (tokens) => (tokens.length ? encoder.decode([...tokens], { skip_special_tokens: true }) : ""),
    chat(messages) {
      if (written === undefined) throw new ArgumentError(`${folder.name} has no chat template; give the prompt as one text`);
      template ??= new jinja.Template(written);
      const word = (key: string): string => {
        const x = config[key];
        return typeof x === "string" ? x : ((x as { content?: string } | null | undefined)?.content ?? "");
      };
      return template.render({
        messages,
        add_generation_prompt: true,
        bos_token: word("bos_token"),
        eos_token: word("eos_token"),
      });
    },
  };
}
function templateIn(config: Readonly<Record<string, unknown>>): string | undefined {
  const given = config["chat_template"];
  if (typeof given === "string") return given;
  if (Array.isArray(given)) {
    const named = given as readonly { readonly name: string; readonly template: string }[];
    const found = named.find((t) => t.name === "default") ?? named[0];
    return found?.template;
  }
  return undefined;
}
