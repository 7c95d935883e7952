/** Small random models against transformers: logits, loss and gradients; and the cache against the whole forward. */
import { beforeAll, describe, expect, test } from "vitest";
import { Bert, type CausalModel } from "../../src/models/index.js";
import { compile, evaluate, noGrad, type Tensor, tensor } from "../../src/tensor/index.js";
import { useDevice } from "../support/devices.js";
import { loadGolden, models } from "./golden.js";

beforeAll(() => useDevice());

const numbers = async (t: Tensor): Promise<Float32Array> => (await t.data()) as Float32Array;
/** The largest difference, as a part of the largest magnitude. */
async function apart(a: Tensor, b: Tensor, least = 1e-3): Promise<number> {
  expect(a.shape).toEqual(b.shape);
  const [x, y] = [await numbers(a), await numbers(b)];
  const largest = y.reduce((m, v) => Math.max(m, Math.abs(v)), least);
  return x.reduce((m, v, i) => Math.max(m, Math.abs(v - y[i]!)), 0) / largest;
}

describe.each(models)("%s", (name) => {
  test("gives transformers' logits, loss and gradients", async () => {
    const { model, get, gradients } = loadGolden(name);
    const tokens = get("input_ids");
    let logits: Tensor;
    let loss: Tensor;
    if (model instanceof Bert) {
      const inputs = { tokenTypes: get("token_type_ids"), attentionMask: get("attention_mask") };
      logits = model.forward(tokens, inputs);
      loss = model.loss(tokens, get("labels"), inputs);
    } else {
      const causal = model as CausalModel;
      logits = causal.forward(tokens);
      loss = causal.loss(tokens, get("labels"));
    }
    loss.backward();
    const parameters = model.namedParameters();
    await evaluate(logits, loss, ...parameters.map(([, p]) => p.grad!));
    expect(await apart(logits, get("logits"))).toBeLessThan(1e-5);
    expect(await apart(loss.reshape([1]), get("loss"))).toBeLessThan(1e-6);
    expect(parameters.map(([key]) => key).sort()).toEqual([...gradients.keys()].sort());
    for (const [key, p] of parameters) expect(await apart(p.grad!, gradients.get(key)!), key).toBeLessThan(5e-5);
  });
});

describe.each(["gpt2", "llama2", "llama3"])("%s with a cache", (name) => {
  test("prefill and decode give the logits of the whole forward, in one program each", async () => {
    const { model, get } = loadGolden(name);
    const causal = model as CausalModel;
    const tokens = Array.from((await get("input_ids").data()) as BigInt64Array, Number).slice(0, 13);
    const cache = causal.makeCache(20);
    const prefill = compile((t: Tensor) => causal.prefill(t, cache), { dynamic: [{ 1: { min: 1, max: 20 } }] });
    const decode = compile((t: Tensor, p: Tensor) => causal.decode(t, p, cache));
    const wanted = noGrad(() => causal.forward(tensor([tokens], { dtype: "i64" })));
    for (const length of [5, 1, 12]) {
      const got = [noGrad(() => prefill(tensor([tokens.slice(0, length)], { dtype: "i64" })))];
      for (let i = length; i < tokens.length; i++)
        got.push(noGrad(() => decode(tensor([tokens[i]!], { dtype: "i64" }), tensor(i, { dtype: "i64" }))));
      for (const [i, logits] of got.entries()) expect(await apart(logits.at(0), wanted.at(0, length - 1 + i))).toBeLessThan(1e-5);
    }
    expect([prefill.traces, decode.traces]).toEqual([1, 1]);
  });
});
