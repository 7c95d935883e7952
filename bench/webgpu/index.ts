/** `--suite webgpu`: the webgpu backend against the adapter's own limits, and against jax-js on the same adapter. */
import { closePeers } from "../cpu/contest.js";
import { type Case, row } from "../row.js";
import { kernels } from "./kernels.js";
import { models } from "./models.js";
import { closeGround, ground } from "./site.js";

const machine: Case = {
  name: "machine-copy",
  async run() {
    const { copy } = await (await ground()).bench();
    return [row({ suite: "webgpu", name: "machine-copy", metric: "copy bandwidth, read and written", unit: "GB/s" }, copy / 1e9)];
  },
};

export const cases: readonly Case[] = [machine, ...kernels, ...models];
export { bars } from "./bars.js";
/** Ends the device and the peer. */
export async function close(): Promise<void> {
  await closePeers();
  await closeGround();
}
