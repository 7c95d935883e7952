/** Training in bf16 with f32 master weights follows training in f32. */
import { beforeAll, expect, test } from "vitest";
import { GPT } from "../../src/models/gpt/index.js";
import { AdamW, clipGradNorm_ } from "../../src/optim/index.js";
import { autocast, compile, manualSeed, type Tensor, tensor } from "../../src/tensor/index.js";
import { typescriptLibraries } from "../../src/train/corpus.js";
import { batchAt } from "../../src/train/demo.js";
import { useDevice } from "../support/devices.js";

beforeAll(() => useDevice());

const steps = 200;
const [batch, context] = [4, 32];

/** Losses of the demo's model, reduced, each step one program. */
async function curve(enabled: boolean): Promise<number[]> {
  manualSeed(1);
  const model = new GPT({ vocabulary: 256, width: 32, heads: 2, layers: 2, context });
  const params = model.parameters();
  const optimizer = new AdamW(params, { lr: 3e-3, betas: [0.9, 0.95], weightDecay: 0.1 });
  const step = compile((x: Tensor, y: Tensor) => {
    const loss = autocast("bf16", () => model.loss(x.to("i64"), y.to("i64")), { enabled });
    optimizer.zeroGrad();
    loss.backward();
    clipGradNorm_(params, 1);
    optimizer.step();
    return loss.detach();
  });
  const { train } = typescriptLibraries();
  const losses: Tensor[] = [];
  for (let i = 0; i < steps; i++) {
    const { tokens, targets } = batchAt(train, 1, i, batch, context);
    const of = (x: Uint8Array): Tensor => tensor(x, [batch, context], { dtype: "u8" });
    losses.push(step(of(tokens), of(targets)));
  }
  expect(step.traces).toBe(1);
  for (const p of params) expect([p.dtype, p.grad!.dtype]).toEqual(["f32", "f32"]);
  return Promise.all(losses.map((l) => l.item() as Promise<number>));
}

test("the loss curve of bf16 stays within 2 % of that of f32 over 200 steps of the demo", async () => {
  const [f32, bf16] = [await curve(false), await curve(true)];
  expect(bf16).not.toEqual(f32);
  expect(f32.at(-1)!).toBeLessThan(0.6 * f32[0]!);
  const apart = f32.map((x, i) => Math.abs(bf16[i]! - x) / x);
  expect(Math.max(...apart)).toBeLessThan(0.02);
}, 60_000);
