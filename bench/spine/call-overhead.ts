/** `call-overhead`: what one call of a compiled training step costs the host in steady state, on a device that computes nothing. */
import { closeDevices, engineCounters, ready, setDefaultBackend, synchronize } from "#treepie/index.js";
import { smallStep, stepMetric } from "../mlp.js";
import { type Case, median, row } from "../row.js";

const calls = 500;

export const callOverhead: Case = {
  name: "call-overhead",
  async run() {
    setDefaultBackend("null");
    await ready();
    try {
      const step = smallStep();
      const rounds: number[] = [];
      for (let r = 0; r < 9; r++) {
        const start = performance.now();
        for (let i = 0; i < calls; i++) step();
        const seconds = (performance.now() - start) / 1000;
        await synchronize();
        if (r > 1) rounds.push((seconds / calls) * 1e6);
      }
      return [
        row({ suite: "spine", name: "call-overhead", metric: stepMetric, unit: "us" }, median(rounds), {
          lowerIsBetter: true,
          limit: 100,
          note: `limit is the bound of 100 us; ${engineCounters.compiles} compiles so far`,
        }),
      ];
    } finally {
      await closeDevices();
      setDefaultBackend("c");
    }
  },
};
