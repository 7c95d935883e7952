/** `treepie generate`: a text model in a .pie file continues a prompt. It loads the small runtime and nothing of the compiler. */
import { randomWords } from "../core/philox.js";
import { ArgumentError, NoProgramError, openDevice, Session } from "../runtime/index.js";

export interface GenerateCommand {
  readonly prompt: string;
  readonly maxTokens: number;
  readonly temperature: number;
  readonly seed: number;
  readonly trust?: boolean;
  readonly device?: string;
  readonly threads?: number;
  readonly json?: boolean;
}

/** Devices of the small runtime, best first. */
const small: readonly string[] = ["c", "wasm", "js"];

/** What one generation did. */
export interface Generated {
  readonly text: string;
  readonly tokens: number;
  readonly tokensPerSecond: number;
  readonly device: string;
}

export async function generate(file: string, o: GenerateCommand): Promise<void> {
  const stop = new AbortController();
  process.once("SIGINT", () => stop.abort());
  const session = await open(file, o);
  try {
    const pieces: string[] = [];
    const result = await stream(session, o, stop.signal, (piece) => {
      if (o.json) pieces.push(piece);
      else process.stdout.write(piece);
    });
    if (o.json) console.log(JSON.stringify({ ...result, text: pieces.join("") }));
    else {
      process.stdout.write("\n");
      process.stderr.write(`${result.tokens} tokens, ${result.tokensPerSecond.toFixed(0)} tokens/s on ${result.device}\n`);
    }
  } finally {
    await session.dispose();
    await session.device.close();
  }
}

/** The named device, or the first that has a program for the file: native code first, which needs trust. Else the graph is compiled. */
async function open(file: string, o: GenerateCommand): Promise<Session> {
  const reasons: string[] = [];
  for (const name of o.device ? small.filter((d) => d === o.device) : small) {
    let device: Awaited<ReturnType<typeof openDevice>>;
    try {
      device = await openDevice(name, o.threads === undefined ? {} : { threads: o.threads });
    } catch (error) {
      if (o.device) throw error;
      reasons.push(`${name}: ${(error as Error).message}`);
      continue;
    }
    try {
      return await Session.open(file, { device, trust: o.trust === true, methods: ["decode"] });
    } catch (error) {
      await device.close();
      if (!(error instanceof NoProgramError)) throw error;
      reasons.push(error.message);
    }
  }
  // Only here, where no program fits, is the compiler loaded.
  const { openCompiled } = await import("./open.js");
  const why = o.trust ? `${file} has no program that runs here` : `${file} is not trusted (--trust runs the code that it carries)`;
  console.error(`treepie: ${why}: its graph is compiled`);
  if (process.env["TREEPIE_DEBUG"]) console.error(reasons.join("\n"));
  return openCompiled(file, o.device, ["decode"]);
}

/** Feeds the prompt byte by byte, then what the model answers, until `maxTokens` are out or `signal` aborts. */
export async function stream(
  session: Session,
  o: Pick<GenerateCommand, "prompt" | "maxTokens" | "temperature" | "seed">,
  signal: AbortSignal,
  write: (piece: string) => void,
): Promise<Generated> {
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
  return { text: "", tokens: made, tokensPerSecond: made / Math.max(1e-9, seconds), device: session.device.name };
}
