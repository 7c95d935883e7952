/** `host-per-step`: what one call of a compiled training step costs the host in steady state. */
import { closeDevices, ready, setDefaultBackend, synchronize } from "#treepie/index.js";
import { smallStep, stepMetric } from "../mlp.js";
import { type Case, median, row } from "../row.js";

const calls = 40;
/** Turns before the figure counts: the engine compiles what is called often, and a training run has thousands of steps. */
const warmUp = 200;
const rounds = 200;

export const hostPerStep: Case = {
  name: "host-per-step",
  async run() {
    setDefaultBackend("cuda");
    await ready();
    try {
      const step = smallStep();
      const [host, whole]: [number[], number[]] = [[], []];
      for (let r = 0; r < warmUp + rounds; r++) {
        const start = performance.now();
        for (let i = 0; i < calls; i++) step();
        const called = performance.now();
        await synchronize();
        if (r < warmUp) continue;
        host.push(((called - start) / calls) * 1000);
        whole.push(((performance.now() - start) / calls) * 1000);
      }
      return [
        row({ suite: "gpu", name: "host-per-step", metric: stepMetric, unit: "us" }, median(host), {
          lowerIsBetter: true,
          limit: 15,
          note: `limit is the bound of 15 us; with the GPU's work ${median(whole).toFixed(1)} us a step`,
          bar: { limitFraction: 1 },
        }),
      ];
    } finally {
      await closeDevices();
    }
  },
};
