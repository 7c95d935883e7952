/**
 * A long run on a GPU leaves device memory and host heap as they were: 10,000 tokens of GPT-2, 500 training steps of BERT. For a machine that has
 * nothing installed: `npm run build && npx esbuild test/gpu/flat.ts --format=esm --outfile=dist/gpu/flat.mjs`, then
 * `node --expose-gc dist/gpu/flat.mjs decode 10000` and `train 500` there. A third word, `small`, takes small models: under a sanitizer. `TREEPIE_CHECK=c` runs elsewhere.
 */
import {
  autocast,
  compile,
  llm,
  manualSeed,
  memory,
  models,
  noGrad,
  optim,
  randint,
  ready,
  setDefaultBackend,
  type Tensor,
} from "#treepie";

const [what = "decode", steps = "10000", size = "whole"] = process.argv.slice(2);
const total = Number(steps);
const backend = process.env["TREEPIE_CHECK"] ?? "cuda";
const small = size === "small";
/** Looks at memory that a run has; the first comes once everything is compiled and has run for a while. */
const looks = 5;
/** Bytes that the heap may grow between the first look and the last. */
const heapAllowed = 6 << 20;

interface Look {
  readonly device: number;
  readonly heap: number;
}
async function look(): Promise<Look> {
  await memory.collect();
  globalThis.gc?.();
  await new Promise((r) => setTimeout(r, 20));
  globalThis.gc?.();
  const device = memory.report().devices.find((d) => d.device === backend);
  return { device: device?.bytes ?? 0, heap: process.memoryUsage().heapUsed };
}

const gpt2 = { model_type: "gpt2", vocab_size: 50257, n_embd: 768, n_layer: 6, n_head: 12, n_positions: 1024 };
const smallGpt2 = { ...gpt2, vocab_size: 1003, n_embd: 256, n_layer: 2, n_head: 4, n_positions: 128 };
/** Generations of 200 tokens, which must all be the same. */
async function decode(looked: (done: number) => Promise<void>): Promise<void> {
  const config = small ? smallGpt2 : gpt2;
  const model = noGrad(() => new models.GPT2(models.gpt2Config(config)).to("bf16")) as models.GPT2;
  model.eval();
  const weights = { mapped: 0, copied: 0, check: () => {} };
  const lm = new llm.LanguageModel(
    { model, config, generation: {}, tokenizer: undefined, folder: "a model of random weights", weights },
    { maxLength: small ? 64 : 256, device: backend },
  );
  const prompt = Array.from({ length: small ? 20 : 32 }, (_, i) => (i * 7919 + 13) % config.vocab_size);
  let first: readonly number[] | undefined;
  for (let done = 0; done < total; ) {
    const tokens: number[] = [];
    for await (const t of lm.generateTokens(prompt, { maxTokens: Math.min(small ? 40 : 200, total), stopTokens: [] })) tokens.push(t);
    first ??= tokens;
    if (tokens.some((t, i) => t !== first![i])) throw new Error(`a generation gave other tokens than the first: ${tokens.join(" ")}`);
    done += tokens.length;
    await looked(done);
  }
}

const bert = {
  model_type: "bert",
  vocab_size: 30522,
  hidden_size: 768,
  num_hidden_layers: 6,
  num_attention_heads: 12,
  intermediate_size: 3072,
  max_position_embeddings: 512,
  type_vocab_size: 2,
  layer_norm_eps: 1e-12,
  hidden_act: "gelu",
  hidden_dropout_prob: 0,
  attention_probs_dropout_prob: 0,
  pad_token_id: 0,
  tie_word_embeddings: true,
};
const smallBert = { ...bert, vocab_size: 1003, hidden_size: 256, num_hidden_layers: 2, num_attention_heads: 4, intermediate_size: 512 };
/** Steps of AdamW in mixed precision, whose loss must fall. */
async function train(looked: (done: number) => Promise<void>): Promise<void> {
  const config = small ? smallBert : bert;
  const model = new models.Bert(models.bertConfig(config));
  const params = [...model.parameters()];
  const optimizer = new optim.AdamW(params, { lr: 1e-4, weightDecay: 0.01 });
  const step = compile((tokens: Tensor, labels: Tensor): Tensor => {
    const loss = autocast("bf16", () => model.loss(tokens, labels));
    optimizer.zeroGrad();
    loss.backward();
    optimizer.step();
    return loss.detach();
  });
  const shape = small ? [2, 64] : [4, 128];
  const tokens = randint(0, config.vocab_size, shape, { dtype: "i64" });
  const losses: number[] = [];
  for (let i = 1; i <= total; i++) {
    losses.push(Number(await step(tokens, tokens).item()));
    await looked(i);
  }
  const [from, to] = [losses[0]!, losses.at(-1)!];
  console.log(`loss ${from.toFixed(4)} -> ${to.toFixed(4)}`);
  if (!losses.every(Number.isFinite) || (total > 20 && !(to < from))) throw new Error("the loss did not fall");
}

setDefaultBackend(backend);
await ready();
manualSeed(3);
const seen: Look[] = [];
const start = performance.now();
const looked = async (done: number): Promise<void> => {
  if (done >= ((seen.length + 1) * total) / looks) seen.push(await look());
};
await (what === "train" ? train : decode)(looked);
const mib = (bytes: number): string => (bytes / 2 ** 20).toFixed(2);
const growth = (of: keyof Look): number => seen.at(-1)![of] - seen[0]![of];
const flat = growth("device") <= 0 && (!globalThis.gc || growth("heap") <= heapAllowed);
console.log(
  `${what} ${total}: device ${seen.map((s) => mib(s.device)).join(", ")} MiB, heap ${seen.map((s) => mib(s.heap)).join(", ")} MiB, ` +
    `${((performance.now() - start) / 1000).toFixed(1)} s: ${flat ? "flat" : "GROWS"}`,
);
process.exit(flat ? 0 : 1);
