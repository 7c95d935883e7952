/** `trace-compile-gpt12`: recording and compiling the training step of a 12-layer GPT, down to kernel text, without the C compiler. */
import { c } from "#treepie/backends/c/index.js";
import { compile } from "#treepie/compile/index.js";
import { type Tensor, tensor, traceFunction } from "#treepie/index.js";
import { GPT } from "#treepie/models/gpt/index.js";
import { AdamW, clipGradNorm_ } from "#treepie/optim/index.js";
import { type Case, median, row } from "../row.js";

export const traceCompile: Case = {
  name: "trace-compile-gpt12",
  async run() {
    const model = new GPT({ vocabulary: 50257, width: 768, heads: 12, layers: 12, context: 1024 });
    const optimizer = new AdamW(model.parameters(), { lr: 1e-3 });
    const params = model.parameters();
    const tokens = tensor(new Uint8Array(4 * 128), [4, 128], { dtype: "i64" });
    const step = (x: Tensor, y: Tensor): Tensor => {
      const loss = model.loss(x, y);
      optimizer.zeroGrad();
      loss.backward();
      clipGradNorm_(params, 1);
      optimizer.step();
      return loss.detach();
    };
    const codegen = c.codegen();
    const times: number[] = [];
    let what = "";
    for (let i = 0; i < 3; i++) {
      const start = performance.now();
      const { recording } = traceFunction(step, [tokens, tokens]);
      const program = compile(recording.graph, codegen);
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
