/** Rows of starting: from the start of a process to its first result, with an empty cache of kernels (and `cc`), and with a full one. */
import { spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Bar, type Case, failedRow, median, type Row, row } from "../row.js";
import { bars as cpuBars } from "./bars.js";
import { bert, type Checkpoint, checkpointFolder, gpt2, llama1b } from "./checkpoint.js";
import { benchPath } from "./folder.js";
import { resnet18 } from "./resnet.js";

/** Seconds until a process has printed a result, and how many of them it waited for weights on their way to the device. */
interface Started {
  readonly seconds: number;
  readonly upload: number;
}
function start(kind: string, folder: string, cache: string, backend: string): Promise<Started> {
  const script = join(dirname(fileURLToPath(import.meta.url)), "first.js");
  return new Promise((resolve, reject) => {
    const from = performance.now();
    const child = spawn(process.execPath, ["--conditions=bundled", script, kind, folder, backend], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, TREEPIE_CACHE_DIR: cache },
    });
    let seconds: number | undefined;
    let upload = 0;
    let stderr = "";
    child.stdout!.once("data", (d) => {
      seconds = (performance.now() - from) / 1000;
      upload = (JSON.parse(String(d)) as { upload?: number }).upload ?? 0;
    });
    child.stderr!.on("data", (d) => (stderr = (stderr + d).slice(-1000)));
    child.once("error", reject);
    child.once("exit", (code) => {
      if (code === 0 && seconds !== undefined) resolve({ seconds, upload });
      else reject(new Error(`the process ended with ${code}: ${stderr.trim().split("\n").slice(-3).join(" ")}`));
    });
  });
}
/** Brings a file into the page cache. */
function readThrough(file: string): void {
  const f = openSync(file, "r");
  const block = new Uint8Array(1 << 24);
  while (readSync(f, block) > 0);
  closeSync(f);
}

/** Seconds that Llama's rows may take; the others have no bound. */
const bounds: Readonly<Record<string, number>> = {
  "llama1b-compile-cold": 10,
  "llama1b-compile-warm": 1,
  "llama1b-start-cold": 15,
  "llama1b-start-warm": 1.5,
};
interface StartSite {
  readonly suite: string;
  readonly backend: string;
  readonly bars: Readonly<Record<string, Bar>>;
}
/** Two rows: with nothing compiled, and with everything on disk. */
export function startCase(
  name: string,
  kind: string,
  c: Checkpoint,
  result: string,
  { suite, backend, bars }: StartSite = { suite: "cpu", backend: "c", bars: cpuBars },
): Case {
  return {
    name,
    rows: [`${name}-cold`, `${name}-warm`],
    async run(): Promise<readonly Row[]> {
      const cache = benchPath("kernels", name);
      const at = (end: string): { suite: string; name: string; metric: string; unit: string } => ({
        suite,
        name: `${name}-${end}`,
        metric: `process start to ${result}, ${end === "cold" ? "no compiled kernels" : "kernels on disk"}, weights in the page cache`,
        unit: "s",
      });
      const made = (end: string, { seconds, upload }: Started): Row => {
        const limit = bounds[`${name}-${end}`];
        return row(at(end), seconds, {
          lowerIsBetter: true,
          ...(limit && { limit, note: `limit: the bound${upload ? `; weights were uploaded in ${upload.toFixed(2)} s of it` : ""}` }),
          bar: bars[`${name}-${end}`],
        });
      };
      try {
        const folder = checkpointFolder(c);
        readThrough(join(folder, "model.safetensors"));
        rmSync(cache, { recursive: true, force: true });
        mkdirSync(cache, { mode: 0o700 });
        const cold = await start(kind, folder, cache, backend);
        const warm: Started[] = [];
        for (let i = 0; i < 3; i++) warm.push(await start(kind, folder, cache, backend));
        const of = (f: (s: Started) => number): number => median(warm.map(f));
        return [made("cold", cold), made("warm", { seconds: of((s) => s.seconds), upload: of((s) => s.upload) })];
      } catch (error) {
        return ["cold", "warm"].map((end) => failedRow(at(end), error, bars[`${name}-${end}`]));
      }
    },
  };
}

export const starts: readonly Case[] = [
  startCase("llama1b-compile", "token", llama1b, "the first token after 32"),
  startCase("gpt2-6l-compile", "token", gpt2, "the first token after 32"),
  startCase("gpt2-6l-train-compile", "step", gpt2, "the loss of the first step"),
  startCase("bert-6l-train-compile", "step", bert, "the loss of the first step"),
  startCase("resnet18-compile", "image", resnet18, "the first logits"),
];
