/** Rows of single kernels: memory against the adapter's copy, products against a bound, and both against jax-js. */
import { contest } from "../cpu/contest.js";
import { noise, tensorOf } from "../cpu/inputs.js";
import { mlp } from "../cpu/mlp.js";
import { pure } from "../cpu/runner.js";
import { matmulCase } from "../gpu/matmul.js";
import { chain8, layerNorm, type RowJob, type RowSite, rowCase, softmax } from "../gpu/rows.js";
import type { Case } from "../row.js";
import { bars } from "./bars.js";
import { ground, large, site } from "./site.js";

const suite = "webgpu";
const on = (name: string): RowSite => ({
  suite,
  bar: bars[name] ?? {},
  bench: async () => (await ground()).bench(),
  load: async (f, inputs) => (await ground()).load(f, inputs),
  peers: async () => ({}),
});
const memory = (job: RowJob, columns: number): Case => {
  const name = `${job.kind}-1gb`;
  return large(rowCase(name, job, columns, "f32", on(name)));
};
const product = (n: number): Case => {
  const name = `matmul-${n}-f32`;
  return matmulCase(name, n, "f32", false, bars[name], on(name));
};

const [rows, columns] = [16384, 4096];
const against = (n: number): Case =>
  contest({
    name: `matmul-${n}-f32`,
    site: { ...site, alone: undefined },
    metric: "a · b",
    unit: "TFLOP/s",
    work: (2 * n ** 3) / 1e12,
    tolerance: 1e-5,
    job: { kind: "matmul", spec: { packed: false }, inputs: () => [noise(1, [n, n]), noise(2, [n, n])] },
    variants: [],
    scripts: ["jax-js"],
    ours: async (inputs) => pure((x, y) => x!.matmul(y!), inputs.map(tensorOf)),
  });
const softmaxRow: Case = contest({
  name: "softmax",
  site: { ...site, alone: undefined },
  metric: `${rows} rows of ${columns}`,
  unit: "GB/s",
  work: (2 * 4 * rows * columns) / 1e9,
  tolerance: 1e-5,
  job: { kind: "softmax", inputs: () => [noise(3, [rows, columns])] },
  variants: [],
  scripts: ["jax-js"],
  ours: async (inputs) => pure((x) => x!.softmax(-1), inputs.map(tensorOf)),
});

export const kernels: readonly Case[] = [
  memory(chain8, 0),
  memory(softmax, 4096),
  memory(layerNorm, 4096),
  product(512),
  large(product(4096)),
  against(512),
  large(against(2048)),
  large(softmaxRow),
  large(mlp("mlp-train", { ...site, alone: undefined }, ["jax-js"])),
];
