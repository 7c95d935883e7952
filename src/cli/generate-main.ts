/** The process that `train` starts: it has the small runtime alone, and opens a file that was written a moment ago, hence trusted. */
import { parseArgs } from "node:util";
import { continueBytes } from "../runtime/continue.js";
import { openDevice, Session } from "../runtime/index.js";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { device: { type: "string" }, seed: { type: "string" }, "max-tokens": { type: "string" } },
});
const device = await openDevice(values.device!);
const session = await Session.open(positionals[0]!, { device, trust: true, methods: ["decode"] });
const options = { prompt: "interface ", maxTokens: Number(values["max-tokens"]), temperature: 0.7, seed: Number(values.seed) };
process.stdout.write(options.prompt);
const result = await continueBytes(session, options, new AbortController().signal, (piece) => void process.stdout.write(piece));
process.stdout.write("\n");
await session.dispose();
await device.close();
process.send?.({ tokens: result.tokens, tokensPerSecond: result.tokensPerSecond });
process.disconnect?.();
