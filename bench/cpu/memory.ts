/** `llama1b-memory`: the largest resident set of a process that loads the model and decodes, in multiples of its weights. */
import { spawnSync } from "node:child_process";
import { statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Case, failedRow, type RowHead, row } from "../row.js";
import { bars } from "./bars.js";
import { checkpointFolder, llama1b } from "./checkpoint.js";

const name = "llama1b-memory";
const bound = 1.15;
const head: RowHead = { suite: "cpu", name, metric: "largest resident set, prompt of 32 tokens and 32 more, bf16", unit: "x weights" };

export const memory: Case = {
  name,
  async run() {
    try {
      const folder = checkpointFolder(llama1b);
      const script = join(dirname(fileURLToPath(import.meta.url)), "first.js");
      const ran = spawnSync(process.execPath, ["--conditions=bundled", script, "memory", folder], { encoding: "utf8" });
      if (ran.status !== 0) throw new Error(`the process ended with ${ran.status}: ${ran.stderr.trim().split("\n").slice(-3).join(" ")}`);
      const { peak } = JSON.parse(ran.stdout) as { peak: number };
      const weights = statSync(join(folder, "model.safetensors")).size;
      const gigabytes = (bytes: number): string => (bytes / 1e9).toFixed(3);
      return [
        row(head, peak / weights, {
          lowerIsBetter: true,
          limit: bound,
          note: `limit: the bound; ${gigabytes(peak)} GB for ${gigabytes(weights)} GB of weights`,
          bar: bars[name],
        }),
      ];
    } catch (error) {
      return [failedRow(head, error, bars[name])];
    }
  },
};
