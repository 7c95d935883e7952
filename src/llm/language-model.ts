/** A language model with its tokenizer: text in, text out. */
import { ArgumentError, UnsupportedError } from "../core/errors.js";
import { CausalModel } from "../models/index.js";
import type { Folder } from "../runtime/folder.js";
import { Decoder } from "./decoder.js";
import { type LoadedWeights, type LoadOptions, loadPretrained, type Pretrained } from "./load.js";
import { rulesOf, type SamplingOptions } from "./sampling.js";
import { TextStream } from "./stream.js";
import type { ChatMessage, Tokenizer } from "./tokenizer.js";

/** How a text goes on, and when it ends. */
export interface GenerateOptions extends SamplingOptions {
  /** How many tokens are made at most. Default: as many as fit. */
  readonly maxTokens?: number;
  /** Aborting ends the generation with the signal's reason; the model can be used again at once. */
  readonly signal?: AbortSignal;
  /** Tokens that end the generation; default: the model's own. */
  readonly stopTokens?: readonly number[];
}
/** What a generation did; the value that its iterator returns. */
export interface GenerationReport {
  readonly promptTokens: number;
  readonly tokens: number;
  /** Until the first token was there, with what had to be compiled. */
  readonly prefillSeconds: number;
  /** From then on. */
  readonly decodeSeconds: number;
  readonly finished: "stop" | "length";
}
/** How a language model is made from a folder. */
export interface LanguageModelOptions extends LoadOptions {
  /** How many positions the cache has; default: the model's context, at most 2048. */
  readonly maxLength?: number;
}

/** Loads a language model from a folder in the Hugging Face layout: a path, an `https:` address, or files that a user chose. */
export async function loadModel(folder: string | Folder, options: LanguageModelOptions = {}): Promise<LanguageModel> {
  const loaded = await loadPretrained(folder, options);
  if (!(loaded.model instanceof CausalModel))
    throw new UnsupportedError(
      `${loaded.folder} holds a ${loaded.model.constructor.name}, which does not generate text; load it with loadPretrained and call its forward`,
    );
  return new LanguageModel({ ...loaded, model: loaded.model }, options);
}

/** A model that continues text. It holds one sequence at a time. */
export class LanguageModel {
  readonly model: CausalModel;
  readonly maxLength: number;
  readonly stopTokens: readonly number[];
  private readonly loaded: Pretrained<CausalModel>;
  private readonly device: string | undefined;
  private decoder: Decoder | undefined;
  private busy = false;

  constructor(loaded: Pretrained<CausalModel>, options: LanguageModelOptions = {}) {
    this.loaded = loaded;
    this.model = loaded.model;
    this.device = options.device;
    this.maxLength = options.maxLength ?? Math.min(loaded.model.context, 2048);
    if (!(Number.isSafeInteger(this.maxLength) && this.maxLength >= 1 && this.maxLength <= loaded.model.context))
      throw new ArgumentError(`maxLength is ${this.maxLength}; this model has ${loaded.model.context} positions`);
    const eos = loaded.generation["eos_token_id"] ?? loaded.config["eos_token_id"] ?? [];
    this.stopTokens = (Array.isArray(eos) ? eos : [eos]).filter((x) => typeof x === "number");
  }
  /** How the weights came into memory. */
  get weights(): LoadedWeights {
    return this.loaded.weights;
  }
  get tokenizer(): Tokenizer {
    const t = this.loaded.tokenizer;
    if (!t) throw new ArgumentError(`${this.loaded.folder} has no tokenizer.json: give and take tokens, with generateTokens`);
    return t;
  }
  /** Compiles what a generation with these options runs, so that its first token comes as fast as later ones. */
  async warmUp(options: GenerateOptions = {}): Promise<void> {
    const most = Math.min(2, this.maxLength);
    const run = this.generateTokens([0], { ...options, maxTokens: most, stopTokens: [] });
    while (!(await run.next()).done);
  }
  /** Tokens of a prompt: a text, or a conversation by the model's own template. */
  promptTokens(prompt: string | readonly ChatMessage[]): number[] {
    if (typeof prompt === "string") return this.tokenizer.encode(prompt);
    return this.tokenizer.encode(this.tokenizer.chat(prompt), { special: false });
  }
  /** Continues a prompt; text comes piece by piece. */
  async *generate(
    prompt: string | readonly ChatMessage[],
    options: GenerateOptions = {},
  ): AsyncGenerator<string, GenerationReport, undefined> {
    const tokens = this.promptTokens(prompt);
    const text = new TextStream(this.tokenizer, tokens);
    const source = this.generateTokens(tokens, options);
    try {
      for (;;) {
        const next = await source.next();
        const piece = next.done ? text.end() : text.push(next.value);
        if (piece) yield piece;
        if (next.done) return next.value;
      }
    } finally {
      await source.return(undefined as never);
    }
  }
  /** Continues tokens, one after another. What ends a generation is not given out. */
  async *generateTokens(prompt: readonly number[], options: GenerateOptions = {}): AsyncGenerator<number, GenerationReport, undefined> {
    const { signal } = options;
    const { rules, numbers, seed } = rulesOf(options);
    const room = this.maxLength - prompt.length + 1;
    const most = options.maxTokens ?? room;
    this.check(prompt, most, room);
    signal?.throwIfAborted();
    if (this.busy)
      throw new ArgumentError("generate: this model is at another generation; finish or abort it first, or load a second model");
    const stops = new Set(options.stopTokens ?? this.stopTokens);
    this.loaded.weights.check();
    this.busy = true;
    try {
      const started = performance.now();
      this.decoder ??= new Decoder(this.model, this.maxLength, this.device);
      const { decoder } = this;
      const run = await decoder.begin(numbers, rules, seed);
      let made = 0;
      let first = started;
      const report = (finished: GenerationReport["finished"]): GenerationReport => ({
        promptTokens: prompt.length,
        tokens: made,
        prefillSeconds: (first - started) / 1000,
        decodeSeconds: (performance.now() - first) / 1000,
        finished,
      });
      if (most === 0) return report("length");
      for await (const tokens of decoder.batches(run, most, decoder.start(prompt, run))) {
        if (made === 0) first = performance.now();
        for (const token of tokens) {
          signal?.throwIfAborted();
          if (stops.has(token)) return report("stop");
          made++;
          yield token;
        }
      }
      return report("length");
    } finally {
      this.busy = false;
    }
  }
  private check(prompt: readonly number[], most: number, room: number): void {
    if (prompt.length === 0) throw new ArgumentError("generate: the prompt has no tokens; give at least the one that starts a text");
    const odd = prompt.find((t) => !(Number.isSafeInteger(t) && t >= 0 && t < this.model.vocabulary));
    if (odd !== undefined) throw new ArgumentError(`generate: ${odd} is no token; this model has ${this.model.vocabulary}`);
    if (!(Number.isSafeInteger(most) && most >= 0) && room > 0) throw new ArgumentError(`generate: maxTokens is ${most}`);
    if (most > room || room < 1)
      throw new ArgumentError(
        `generate: a prompt of ${prompt.length} tokens and ${room < 1 ? "an answer" : `${most} more`} do not fit into ${this.maxLength} positions; shorten them, or load the model with a greater maxLength (up to ${this.model.context})`,
      );
  }
  /** Gives the cache's memory back. Never necessary. */
  dispose(): void {
    if (this.busy) throw new ArgumentError("dispose: the model is at a generation");
    this.decoder?.dispose();
    this.decoder = undefined;
  }
}
