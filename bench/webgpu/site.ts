/** WebGPU on this machine's adapter: what it can do, and whether it is a GPU at all. */
import { openGpu } from "#treepie/backends/webgpu/gpu.js";
import { webgpu } from "#treepie/backends/webgpu/index.js";
import type { Site } from "../cpu/contest.js";
import { matrixRate } from "../gpu/matmul.js";
import { type Ground, groundOf } from "../gpu/run.js";
import { absentRow, type Case } from "../row.js";
import { bars } from "./bars.js";

/** Whether the adapter is software: then only small sizes are measured. */
async function isSoftware(): Promise<boolean> {
  const { device, software } = await openGpu();
  device.destroy();
  return software;
}
let software: Promise<boolean> | undefined;
const onSoftware = (): Promise<boolean> => {
  software ??= isSoftware();
  return software;
};

/** Large rows are for GPUs. */
export const large = (c: Case): Case => ({
  ...c,
  async run(chosen) {
    if (!(await onSoftware())) return c.run(chosen);
    return chosen.map((name) => absentRow({ suite: "webgpu", name, metric: "", unit: "" }, "not run: software adapter"));
  },
});

let opened: Promise<Ground> | undefined;
/** The adapter as a ground of programs that are timed; a software one copies less. */
export function ground(): Promise<Ground> {
  opened ??= onSoftware().then((soft) => groundOf(webgpu, { bytes: soft ? 1 << 26 : 1 << 30, kernel: true }));
  return opened;
}
/** Ends it; the next row opens another. */
export async function closeGround(): Promise<void> {
  await (await opened)?.close();
  opened = undefined;
}

let measured: ReturnType<Site["measure"]> | undefined;
async function measure(): ReturnType<Site["measure"]> {
  const on = await ground();
  const { copy } = await on.bench();
  const f32 = await matrixRate((await onSoftware()) ? 256 : 2048, "f32", on);
  await closeGround();
  return { copy, read: copy, f32, bf16: f32, bf16Unit: "none" };
}
/** Whole programs against scripts on the same adapter, or against bounds. */
export const site: Site = {
  suite: "webgpu",
  backend: "webgpu",
  alone: true,
  scriptArguments: ["webgpu"],
  warm: 2,
  wake: 0.02,
  measure: () => {
    measured ??= measure();
    return measured;
  },
  bars,
};
