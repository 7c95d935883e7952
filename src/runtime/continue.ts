/** Text from the program file of a byte language model, such as `npm start` writes. It needs the small runtime alone. */
import { ArgumentError } from "../core/errors.js";
import { randomWords } from "../core/philox.js";
import type { Session } from "./session.js";

/** How a text goes on. */
export interface ContinueOptions {
  readonly prompt: string;
  readonly maxTokens: number;
  readonly temperature: number;
  readonly seed: number;
}
/** What was written. */
export interface Continued {
  readonly tokens: number;
  readonly tokensPerSecond: number;
}

/** Feeds the prompt byte by byte, then what the model answers, until `maxTokens` are out or `signal` aborts. */
export async function continueBytes(
  session: Session,
  o: ContinueOptions,
  signal: AbortSignal,
  write: (piece: string) => void,
): Promise<Continued> {
  const { metadata } = session.pie;
  if (metadata["kind"] !== "byte-language-model")
    throw new ArgumentError(`${session.pie.source.name} is no byte language model (its kind is ${metadata["kind"] ?? "not told"})`);
  const vocabulary = Number(metadata["vocabulary"]);
  const prompt = new TextEncoder().encode(o.prompt || "\n");
  const decoder = new TextDecoder();
  let token = prompt[0]!;
  let made = 0;
  let started = performance.now();
  for (let position = 0; made < o.maxTokens && !signal.aborted; position++) {
    if (position === prompt.length - 1) started = performance.now();
    const noise = Float32Array.from(randomWords([o.seed >>> 0, 0x9e3779, 0, 0], position, vocabulary), (w) => ((w >>> 8) + 0.5) * 2 ** -24);
    const { next } = await session.run("decode", { token: [token], position, temperature: o.temperature, noise });
    if (position + 1 < prompt.length) {
      token = prompt[position + 1]!;
      continue;
    }
    token = Number(next!.item());
    made++;
    write(decoder.decode(Uint8Array.of(token), { stream: true }));
  }
  write(decoder.decode());
  const seconds = (performance.now() - started) / 1000;
  return { tokens: made, tokensPerSecond: made / Math.max(1e-9, seconds) };
}
