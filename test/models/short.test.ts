/** Small random models in short arithmetic: no further from f32 than PyTorch's own autocast, f16 and bf16 are. */
import { beforeAll, describe, expect, test } from "vitest";
import { Bert, type CausalModel } from "../../src/models/index.js";
import { autocast, evaluate, noGrad, type Tensor } from "../../src/tensor/index.js";
import { useDevice } from "../support/devices.js";
import { type Golden, loadGolden, models } from "./golden.js";

beforeAll(() => useDevice());

/** Both round at the same places, so that one draw of rounding errors is as likely to be the larger one as the other. */
const allowed = 1.25;

const numbers = async (t: Tensor): Promise<Float32Array> => (await t.to("f32").data()) as Float32Array;
/** The error's norm as a part of the norm, over all tensors. */
async function apart(pairs: readonly (readonly [got: Tensor, want: Tensor])[]): Promise<number> {
  let [error, size] = [0, 0];
  for (const [got, want] of pairs) {
    expect(got.shape).toEqual(want.shape);
    const [x, y] = [await numbers(got), await numbers(want)];
    y.forEach((v, i) => {
      error += (x[i]! - v) ** 2;
      size += v * v;
    });
  }
  return Math.sqrt(error / size);
}
const errorOf = async ({ get }: Golden, kind: string): Promise<number> => (await numbers(get(`errors.${kind}`)))[0]!;

function run({ model, get }: Golden): { logits: Tensor; loss: Tensor } {
  const tokens = get("input_ids");
  if (model instanceof Bert) {
    const inputs = { tokenTypes: get("token_type_ids"), attentionMask: get("attention_mask") };
    return { logits: model.forward(tokens, inputs), loss: model.loss(tokens, get("labels"), inputs) };
  }
  const causal = model as CausalModel;
  return { logits: causal.forward(tokens), loss: causal.loss(tokens, get("labels")) };
}

describe.each(models)("%s", (name) => {
  test("under autocast to bf16: logits and gradients", async () => {
    const golden = loadGolden(name);
    const { logits, loss } = autocast("bf16", () => run(golden));
    loss.backward();
    const parameters = golden.model.namedParameters();
    await evaluate(logits, loss, ...parameters.map(([, p]) => p.grad!));
    expect(parameters.map(([, p]) => p.grad!.dtype)).toEqual(parameters.map(() => "f32"));
    const error = await apart([[logits, golden.get("logits")]]);
    // Far from f32's, since the products are short; as near as PyTorch's.
    expect(error).toBeGreaterThan(1e-4);
    expect(error).toBeLessThan(allowed * (await errorOf(golden, "autocast.logits")));
    const grads = parameters.map(([key, p]) => [p.grad!, golden.gradients.get(key)!] as const);
    expect(await apart(grads)).toBeLessThan(allowed * (await errorOf(golden, "autocast.grads")));
  });
  test.each(["f16", "bf16"] as const)("with weights in %s: logits", async (dtype) => {
    const golden = loadGolden(name);
    golden.model.to(dtype);
    const { logits } = noGrad(() => run(golden));
    expect(logits.dtype).toBe(dtype);
    expect(await apart([[logits, golden.get("logits")]])).toBeLessThan(allowed * (await errorOf(golden, `${dtype}.logits`)));
  });
});
