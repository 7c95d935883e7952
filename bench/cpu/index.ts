/** `--suite cpu`: the c backend against PyTorch, JavaScript peers and the machine's limits. */
import { type Case, row } from "../row.js";
import { blas } from "./blas.js";
import { generation, llamaRows } from "./generation.js";
import { kernels } from "./kernels.js";
import { measureMachine } from "./machine.js";
import { memory } from "./memory.js";
import { mlpTrain } from "./mlp.js";
import { resnetInfer } from "./resnet.js";
import { starts } from "./start.js";
import { training } from "./training.js";

const machine: Case = {
  name: "machine",
  rows: ["machine-copy", "machine-read", "machine-f32", "machine-bf16"],
  async run() {
    const m = measureMachine();
    const at = (name: string, metric: string, unit: string): { suite: string; name: string; metric: string; unit: string } => ({
      suite: "cpu",
      name,
      metric,
      unit,
    });
    const how = "measured by bench/peers/limits.c on all cores";
    return [
      row(at("machine-copy", "copy bandwidth, read and written", "GB/s"), m.copy / 1e9, { note: how }),
      row(at("machine-read", "read bandwidth", "GB/s"), m.read / 1e9, { note: how }),
      row(at("machine-f32", "peak rate, f32", "GFLOP/s"), m.f32 / 1e9, { note: how }),
      row(at("machine-bf16", "peak rate, bf16", "GFLOP/s"), m.bf16 / 1e9, { note: `${how}; ${m.bf16Unit}` }),
    ];
  },
};

export const cases: readonly Case[] = [
  machine,
  ...kernels,
  ...blas,
  mlpTrain,
  resnetInfer,
  ...generation,
  ...training,
  ...llamaRows,
  memory,
  ...starts,
];
export { bars } from "./bars.js";
export { closePeers as close } from "./contest.js";
