/** `treepie generate`: a text model in a .pie file continues a prompt. It loads the small runtime and nothing of the compiler. */
import { continueBytes } from "../runtime/continue.js";
import { NoProgramError, openDevice, Session } from "../runtime/index.js";

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

export async function generate(file: string, o: GenerateCommand): Promise<void> {
  const stop = new AbortController();
  process.once("SIGINT", () => stop.abort());
  const session = await open(file, o);
  try {
    const pieces: string[] = [];
    const result = await continueBytes(session, o, stop.signal, (piece) => {
      if (o.json) pieces.push(piece);
      else process.stdout.write(piece);
    });
    if (o.json) console.log(JSON.stringify({ text: pieces.join(""), ...result, device: session.device.name }));
    else {
      process.stdout.write("\n");
      process.stderr.write(`${result.tokens} tokens, ${result.tokensPerSecond.toFixed(0)} tokens/s on ${session.device.name}\n`);
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
