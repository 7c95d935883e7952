/** Text to tokens and back, as a folder's tokenizer.json says. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Template } from "@huggingface/jinja";
import type { Tokenizer as Encoder } from "@huggingface/tokenizers";
import { ArgumentError, FormatError } from "../core/errors.js";
import { readJson, readJsonIfThere } from "./json.js";

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
export async function loadTokenizer(folder: string): Promise<Tokenizer> {
  const json = readJson(folder, "tokenizer.json");
  const config = readJsonIfThere(folder, "tokenizer_config.json") ?? {};
  const file = join(folder, "tokenizer.json");
  // Only who has text loads these packages.
  const [{ Tokenizer: Made }, jinja] = await Promise.all([import("@huggingface/tokenizers"), import("@huggingface/jinja")]);
  let encoder: Encoder;
  try {
    encoder = new Made(json, config);
    encoder.encode("a");
  } catch (error) {
    throw new FormatError(`${file} is no tokenizer that can be used: ${(error as Error).message}`);
  }
  let template: Template | undefined;
  return {
    encode: (text, options = {}) => encoder.encode(text, { add_special_tokens: options.special ?? true }).ids,
    decode: (tokens) => (tokens.length ? encoder.decode([...tokens], { skip_special_tokens: true }) : ""),
    chat(messages) {
      template ??= new jinja.Template(chatTemplate(folder, config));
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
function chatTemplate(folder: string, config: Readonly<Record<string, unknown>>): string {
  const given = config["chat_template"];
  if (typeof given === "string") return given;
  if (Array.isArray(given)) {
    const named = given as readonly { readonly name: string; readonly template: string }[];
    const found = named.find((t) => t.name === "default") ?? named[0];
    if (found) return found.template;
  }
  const file = join(folder, "chat_template.jinja");
  if (existsSync(file)) return readFileSync(file, "utf8");
  throw new ArgumentError(`${folder} has no chat template; give the prompt as one text`);
}
