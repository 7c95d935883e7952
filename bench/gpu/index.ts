/** `--suite gpu`: the cuda backend against PyTorch on the same GPU and against the GPU's limits. */

import { closePeers as closeModelPeers } from "../cpu/contest.js";
import { type Case, row } from "../row.js";
import { claimCases } from "./claims.js";
import { hostPerStep } from "./host.js";
import { matmulCases } from "./matmul.js";
import { modelCases } from "./models.js";
import { closePeers } from "./peers.js";
import { rowCases } from "./rows.js";
import { bench, closeBench } from "./run.js";

const machine: Case = {
  name: "machine-copy",
  async run() {
    const { copy } = await bench();
    return [row({ suite: "gpu", name: "machine-copy", metric: "copy bandwidth, read and written", unit: "GB/s" }, copy / 1e9)];
  },
};

export const cases: readonly Case[] = [machine, ...rowCases, ...matmulCases, hostPerStep, ...modelCases, ...claimCases];
/** Ends the device and the peer. */
export async function close(): Promise<void> {
  await closePeers();
  await closeModelPeers();
  await closeBench();
}
