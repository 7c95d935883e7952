/** `call-overhead`: what one call of a compiled training step costs the host in steady state, on a device that computes nothing. */
import {
  closeDevices,
  compile,
  engineCounters,
  manualSeed,
  nn,
  optim,
  randn,
  ready,
  setDefaultBackend,
  synchronize,
  type Tensor,
} from "#treepie/index.js";
import { type Case, median, row } from "../row.js";

const calls = 500;

export const callOverhead: Case = {
  name: "call-overhead",
  async run() {
    setDefaultBackend("null");
    await ready();
    try {
      manualSeed(1);
      const model = new nn.Sequential(new nn.Linear(64, 64), new nn.ReLU(), new nn.Linear(64, 64), new nn.ReLU(), new nn.Linear(64, 10));
      const optimizer = new optim.AdamW(model.parameters());
      const step = compile((x: Tensor): Tensor => {
        const loss = model.forward(x).square().mean();
        optimizer.zeroGrad();
        loss.backward();
        optimizer.step();
        return loss;
      });
      const x = randn([32, 64]);
      const rounds: number[] = [];
      for (let r = 0; r < 9; r++) {
        const start = performance.now();
        for (let i = 0; i < calls; i++) step(x);
        const seconds = (performance.now() - start) / 1000;
        await synchronize();
        if (r > 1) rounds.push((seconds / calls) * 1e6);
      }
      return [
        row({ suite: "spine", name: "call-overhead", metric: "host time of a call, 6 parameters with AdamW", unit: "us" }, median(rounds), {
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
