/** Folders in the Hugging Face layout with random weights, which we and the peers load. Made once, under runs/bench/. */
import { closeSync, existsSync, mkdirSync, openSync, renameSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { models, nn } from "#treepie";
import { benchPath } from "./folder.js";
import { uniform } from "./inputs.js";

type Config = Readonly<Record<string, unknown>>;
/** A model of the suite: its config.json, and the dtype in which its weights are stored. */
export interface Checkpoint {
  readonly name: string;
  readonly config: Config;
  readonly dtype: "f32" | "bf16";
  /** Names and shapes of its weights. */
  readonly weights: () => readonly (readonly [string, readonly number[]])[];
}
const weightsOf = (make: () => models.PretrainedModel): ReturnType<Checkpoint["weights"]> =>
  nn.blank(() => [...make().namedParameters()].map(([key, p]) => [key, p.shape] as const));

const gpt2Json: Config = {
  model_type: "gpt2",
  vocab_size: 50257,
  n_embd: 768,
  n_layer: 6,
  n_head: 12,
  n_positions: 1024,
  layer_norm_epsilon: 1e-5,
  activation_function: "gelu_new",
  embd_pdrop: 0,
  attn_pdrop: 0,
  resid_pdrop: 0,
  tie_word_embeddings: true,
};
/** GPT-2 with some layers, without dropout. */
export function gpt2Layers(layers: number): Checkpoint {
  const config = { ...gpt2Json, n_layer: layers };
  return { name: `gpt2-${layers}l`, dtype: "f32", config, weights: () => weightsOf(() => new models.GPT2(models.gpt2Config(config))) };
}
/** The shape of DistilGPT-2. */
export const gpt2: Checkpoint = gpt2Layers(6);
const bertJson: Config = {
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
/** BERT with 6 layers, without dropout. */
export const bert: Checkpoint = {
  name: "bert-6l",
  dtype: "f32",
  config: bertJson,
  weights: () => weightsOf(() => new models.Bert(models.bertConfig(bertJson))),
};
const llama1bJson: Config = {
  model_type: "llama",
  vocab_size: 128256,
  hidden_size: 2048,
  num_hidden_layers: 16,
  num_attention_heads: 32,
  num_key_value_heads: 8,
  head_dim: 64,
  intermediate_size: 8192,
  max_position_embeddings: 131072,
  rms_norm_eps: 1e-5,
  hidden_act: "silu",
  rope_theta: 500000,
  rope_scaling: {
    rope_type: "llama3",
    factor: 32,
    low_freq_factor: 1,
    high_freq_factor: 4,
    original_max_position_embeddings: 8192,
  },
  tie_word_embeddings: true,
};
/** The shape of Llama-3.2-1B. */
export const llama1b: Checkpoint = {
  name: "llama1b",
  dtype: "bf16",
  config: llama1bJson,
  weights: () => weightsOf(() => new models.Llama(models.llamaConfig(llama1bJson))),
};

/** The number of weights of which `when` is true. */
export const countWeights = (c: Checkpoint, when: (key: string) => boolean = () => true): number =>
  c.weights().reduce((n, [key, shape]) => (when(key) ? n + shape.reduce((a, b) => a * b, 1) : n), 0);

/** The model's folder, made if it is not there. */
export function checkpointFolder(c: Checkpoint): string {
  const folder = benchPath("models", c.name);
  const file = join(folder, "model.safetensors");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "config.json"), JSON.stringify(c.config));
  if (!existsSync(file)) writeRandom(file, c);
  return folder;
}

const words = 1 << 16;
/** Norms scale by 1; all else is spread evenly with a deviation of 0.02, as after an initialisation. */
function writeRandom(file: string, c: Checkpoint): void {
  const size = c.dtype === "f32" ? 4 : 2;
  const list = c.weights();
  const header: Record<string, unknown> = {};
  let end = 0;
  for (const [key, shape] of list) {
    const bytes = shape.reduce((a, b) => a * b, size);
    header[key] = { dtype: c.dtype.toUpperCase(), shape, data_offsets: [end, (end += bytes)] };
  }
  const text = JSON.stringify(header);
  const head = Buffer.alloc(8 + Math.ceil(text.length / 8) * 8, " ");
  head.writeBigUInt64LE(BigInt(head.length - 8));
  head.write(text, 8);
  const out = openSync(`${file}.part`, "w");
  // One of 65,536 values for each pair of random bytes.
  const next = uniform(99);
  const f32 = Float32Array.from({ length: words }, () => (2 * next() - 1) * 0.02 * Math.sqrt(3));
  const bits = new Uint32Array(f32.buffer);
  const bf16 = Uint16Array.from({ length: words }, (_, i) => bits[i]! >>> 16);
  const values = c.dtype === "f32" ? f32 : bf16;
  const one = c.dtype === "f32" ? 1 : 0x3f80;
  const block = c.dtype === "f32" ? new Float32Array(1 << 22) : new Uint16Array(1 << 22);
  // In writes of whole 64 MiB the system keeps the file in its cache in large pages, as it does when a file is read ahead.
  const chunk = new Uint8Array(1 << 26);
  let filled = 0;
  const write = (bytes: Uint8Array): void => {
    for (let at = 0; at < bytes.length; ) {
      const n = Math.min(bytes.length - at, chunk.length - filled);
      chunk.set(bytes.subarray(at, at + n), filled);
      at += n;
      filled += n;
      if (filled === chunk.length) flush();
    }
  };
  const flush = (): void => {
    for (let at = 0; at < filled; ) at += writeSync(out, chunk, at, filled - at);
    filled = 0;
  };
  write(head);
  let state = 0x12345678;
  for (const [key, shape] of list) {
    const ones = /((norm|ln_\w+|LayerNorm|bn\d|downsample\.1)\.weight|running_var)$/i.test(key);
    for (let left = shape.reduce((a, b) => a * b, 1); left > 0; left -= block.length) {
      const n = Math.min(left, block.length);
      if (ones) block.fill(one, 0, n);
      else
        for (let i = 0; i < n; i++) {
          state ^= state << 13;
          state ^= state >>> 17;
          state ^= state << 5;
          block[i] = values[(state >>> 8) & (words - 1)]!;
        }
      write(new Uint8Array(block.buffer, 0, n * size));
    }
  }
  flush();
  closeSync(out);
  renameSync(`${file}.part`, file);
}
