/** The training step of a 12-layer GPT, recorded: what compilers are timed with. */
import { type Tensor, tensor, traceFunction } from "#treepie/index.js";
import { GPT } from "#treepie/models/gpt/index.js";
import { AdamW, clipGradNorm_ } from "#treepie/optim/index.js";

/** A model of its own; each call of the result records its step once. */
export function gpt12(): () => ReturnType<typeof traceFunction>["recording"]["graph"] {
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
  return () => traceFunction(step, [tokens, tokens]).recording.graph;
}
