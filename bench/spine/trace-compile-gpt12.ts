/** `trace-compile-gpt12`: recording and compiling the training step of a 12-layer GPT, down to kernel text, without the C compiler. */
import { c } from "#treepie/backends/c/index.js";
import { compile } from "#treepie/compile/index.js";
import { gpt12 } from "../gpt12.js";
import { type Case, median, row } from "../row.js";

export const traceCompile: Case = {
  name: "trace-compile-gpt12",
  async run() {
    const record = gpt12();
    const codegen = c.codegen();
    const times: number[] = [];
    let what = "";
    for (let i = 0; i < 3; i++) {
      const start = performance.now();
      const program = compile(record(), codegen);
      times.push((performance.now() - start) / 1000);
      what = `${program.steps.length} steps, ${program.kernels.length} distinct kernels`;
    }
    return [
      row({ suite: "spine", name: "trace-compile-gpt12", metric: "first time", unit: "s" }, times[0]!, {
        lowerIsBetter: true,
        limit: 3,
        note: `${what}; median of 3: ${median(times).toFixed(2)} s; limit is the bound of 3 s`,
      }),
    ];
  },
};
