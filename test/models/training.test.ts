/** The models in training: dropout, a compiled step, checkpoints of other layouts. */
import { beforeAll, describe, expect, test } from "vitest";
import { Bert, bertConfig, GPT2, gpt2Config, Llama, llamaConfig } from "../../src/models/index.js";
import { AdamW } from "../../src/optim/index.js";
import { compile, manualSeed, type Tensor, tensor } from "../../src/tensor/index.js";
import { useDevice } from "../support/devices.js";

beforeAll(() => useDevice());

const tokens = (): Tensor => tensor([Array.from({ length: 10 }, (_, i) => (i * 7) % 19)], { dtype: "i64" });
const gpt2 = { vocab_size: 19, n_embd: 12, n_layer: 1, n_head: 2, n_positions: 12 };
const bert = {
  vocab_size: 19,
  hidden_size: 12,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  intermediate_size: 20,
  max_position_embeddings: 12,
};
const llama = {
  vocab_size: 19,
  hidden_size: 12,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  intermediate_size: 20,
};

describe("a compiled training step", () => {
  test.each([
    ["GPT-2 with dropout", (): [GPT2, (x: Tensor) => Tensor] => ((m) => [m, (x) => m.loss(x)])(new GPT2(gpt2Config(gpt2)))],
    ["BERT with dropout", (): [Bert, (x: Tensor) => Tensor] => ((m) => [m, (x) => m.loss(x, x)])(new Bert(bertConfig(bert)))],
    ["Llama", (): [Llama, (x: Tensor) => Tensor] => ((m) => [m, (x) => m.loss(x)])(new Llama(llamaConfig(llama)))],
  ] as const)("%s learns a sequence in one program", async (_, make) => {
    manualSeed(4);
    const [model, lossOf] = make();
    const optimizer = new AdamW(model.parameters(), { lr: 1e-2 });
    const step = compile((x: Tensor) => {
      optimizer.zeroGrad();
      const loss = lossOf(x);
      loss.backward();
      optimizer.step();
      return loss;
    });
    const x = tokens();
    const losses: number[] = [];
    for (let i = 0; i < 40; i++) losses.push(await step(x).item());
    expect(losses[0]!).toBeGreaterThan(2.7);
    expect(losses.at(-1)!).toBeLessThan(1.6);
    expect(step.traces).toBe(1);
    model.eval();
    expect(await lossOf(x).item()).toBe(await lossOf(x).item());
  });
});

describe("checkpoints", () => {
  test("have the keys of their head, and old ones are understood", () => {
    const m = new GPT2(gpt2Config(gpt2));
    expect(m.checkpointKey("wte.weight")).toBe("transformer.wte.weight");
    expect(m.checkpointKey("h.0.attn.bias")).toBeNull();
    expect(m.checkpointKey("h.0.attn.c_attn.bias")).toBe("transformer.h.0.attn.c_attn.bias");
    expect(m.checkpointKey("lm_head.weight")).toBeNull();
    expect(Object.keys(new GPT2(gpt2Config({ ...gpt2, tie_word_embeddings: false })).stateDict())).toContain("lm_head.weight");
    const b = new Bert(bertConfig(bert));
    expect(b.checkpointKey("bert.embeddings.LayerNorm.gamma")).toBe("bert.embeddings.LayerNorm.weight");
    expect(b.checkpointKey("bert.pooler.dense.weight")).toBeNull();
    expect(b.checkpointKey("cls.predictions.decoder.weight")).toBeNull();
    expect(new Llama(llamaConfig(llama)).checkpointKey("model.layers.0.self_attn.rotary_emb.inv_freq")).toBeNull();
  });
  test("with a bare prefix load strictly, and a missing key is named", () => {
    const m = new GPT2(gpt2Config(gpt2));
    const bare = Object.fromEntries(Object.entries(m.stateDict()).map(([k, t]) => [k.replace("transformer.", ""), t]));
    expect(new GPT2(gpt2Config(gpt2)).loadStateDict(bare)).toEqual({ missing: [], unexpected: [] });
    delete bare["ln_f.bias"];
    expect(() => new GPT2(gpt2Config(gpt2)).loadStateDict(bare)).toThrow(/missing: transformer.ln_f.bias/);
  });
  test("of a Llama with rope_theta and rope_scaling in the older layout", () => {
    const c = llamaConfig({ ...llama, rope_theta: 5e5, rope_scaling: { type: "linear", factor: 2 } });
    expect([c.ropeBase, c.ropeScaling]).toEqual([5e5, { type: "linear", factor: 2 }]);
  });
});
