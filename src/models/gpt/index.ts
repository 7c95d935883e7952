/** A small decoder-only transformer: pre-norm blocks, rotary positions, byte or token vocabulary. `npm start` trains it. */
import { type Buffer, buffer, Embedding, init, LayerNorm, Linear, Module, ModuleList } from "../../nn/index.js";
import { arange, cat, F, noGrad, type Tensor, where } from "../../tensor/index.js";

/** Sizes of a GPT. `width` is a multiple of `heads`, and the quotient is even. */
export interface GPTConfig {
  readonly vocabulary: number;
  readonly width: number;
  readonly heads: number;
  readonly layers: number;
  /** Longest sequence in training, and how far back generation looks. */
  readonly context: number;
}

/** Cosines and sines of the rotary position embedding (Su et al. 2021), [positions, width / heads / 2] each. */
function rotaryAngles(positions: Tensor, headWidth: number): { readonly cos: Tensor; readonly sin: Tensor } {
  const half = headWidth / 2;
  const frequency = arange(half, { dtype: "f32" })
    .mul(-Math.log(10000) / half)
    .exp();
  const angle = positions.to("f32").unsqueeze(-1).mul(frequency);
  return { cos: angle.cos(), sin: angle.sin() };
}
/** Rotates the two halves of each head against each other. */
function rotate(x: Tensor, cos: Tensor, sin: Tensor): Tensor {
  const [a, b] = x.chunk(2, -1) as [Tensor, Tensor];
  return cat([a.mul(cos).sub(b.mul(sin)), b.mul(cos).add(a.mul(sin))], -1);
}

/** Causal self-attention with one projection for queries, keys and values. */
export class Attention extends Module {
  qkv: Linear;
  out: Linear;
  readonly heads: number;

  constructor(config: GPTConfig) {
    super();
    this.heads = config.heads;
    this.qkv = new Linear(config.width, 3 * config.width);
    this.out = new Linear(config.width, config.width);
  }
  /** Queries, keys and values [batch, heads, time, width / heads] of x [batch, time, width], the first two rotated. */
  private project(x: Tensor, cos: Tensor, sin: Tensor): readonly [Tensor, Tensor, Tensor] {
    const [b, t, d] = x.shape as [number, number, number];
    const [q, k, v] = this.qkv
      .forward(x)
      .reshape([b, t, 3, this.heads, d / this.heads])
      .permute([2, 0, 3, 1, 4])
      .unbind(0) as [Tensor, Tensor, Tensor];
    return [rotate(q, cos, sin), rotate(k, cos, sin), v];
  }
  private merge(y: Tensor, like: Tensor): Tensor {
    return this.out.forward(y.transpose(1, 2).reshape(like.shape));
  }
  forward(x: Tensor, cos: Tensor, sin: Tensor): Tensor {
    const [q, k, v] = this.project(x, cos, sin);
    return this.merge(q.scaledDotProductAttention(k, v, null, { isCausal: true }), x);
  }
  /** One position: writes its key and value into the cache's row `slot` and attends to the rows that `seen` marks. */
  step(x: Tensor, cos: Tensor, sin: Tensor, cache: LayerCache, slot: Tensor, seen: Tensor): Tensor {
    const [q, k, v] = this.project(x, cos, sin);
    cache.key.copy_(where(slot, k, cache.key));
    cache.value.copy_(where(slot, v, cache.value));
    return this.merge(q.scaledDotProductAttention(cache.key, cache.value, seen), x);
  }
}

/** Attention and a two-layer perceptron, each behind a norm and beside a residual. */
export class Block extends Module {
  norm1: LayerNorm;
  attention: Attention;
  norm2: LayerNorm;
  up: Linear;
  down: Linear;

  constructor(config: GPTConfig) {
    super();
    this.norm1 = new LayerNorm(config.width);
    this.attention = new Attention(config);
    this.norm2 = new LayerNorm(config.width);
    this.up = new Linear(config.width, 4 * config.width);
    this.down = new Linear(4 * config.width, config.width);
  }
  private perceptron(x: Tensor): Tensor {
    return x.add(this.down.forward(this.up.forward(this.norm2.forward(x)).gelu({ approximate: "tanh" })));
  }
  forward(x: Tensor, cos: Tensor, sin: Tensor): Tensor {
    return this.perceptron(x.add(this.attention.forward(this.norm1.forward(x), cos, sin)));
  }
  step(x: Tensor, cos: Tensor, sin: Tensor, cache: LayerCache, slot: Tensor, seen: Tensor): Tensor {
    return this.perceptron(x.add(this.attention.step(this.norm1.forward(x), cos, sin, cache, slot, seen)));
  }
}

/** Keys and values of one layer, [1, heads, context, width / heads]: row p % context belongs to position p. */
export interface LayerCache {
  readonly key: Tensor;
  readonly value: Tensor;
}

/** A language model over tokens. */
export class GPT extends Module {
  embed: Embedding;
  blocks: ModuleList<Block>;
  norm: LayerNorm;
  head: Linear;
  cos: Buffer;
  sin: Buffer;
  readonly config: GPTConfig;

  constructor(config: GPTConfig) {
    super();
    this.config = config;
    this.embed = new Embedding(config.vocabulary, config.width);
    this.blocks = new ModuleList(Array.from({ length: config.layers }, () => new Block(config)));
    this.norm = new LayerNorm(config.width);
    this.head = new Linear(config.width, config.vocabulary, { bias: false });
    const { cos, sin } = rotaryAngles(arange(config.context), config.width / config.heads);
    this.cos = buffer(cos, { persistent: false });
    this.sin = buffer(sin, { persistent: false });
    this.initialize();
  }
  /** Small weights, and blocks that start as the identity: what leaves a residual branch begins at zero. */
  private initialize(): void {
    noGrad(() => {
      for (const m of this.modules()) {
        if (m instanceof Linear) {
          init.normal_(m.weight, 0, 0.5 / Math.sqrt(this.config.width));
          if (m.bias) init.zeros_(m.bias);
        } else if (m instanceof Embedding) init.normal_(m.weight, 0, 0.02);
      }
      for (const b of this.blocks) {
        init.zeros_(b.attention.out.weight);
        init.zeros_(b.down.weight);
      }
    });
  }
  /** Logits [batch, time, vocabulary] of tokens [batch, time]; time is at most `config.context`. */
  forward(tokens: Tensor): Tensor {
    const t = tokens.shape[1]!;
    const [cos, sin] = [this.cos.narrow(0, 0, t), this.sin.narrow(0, 0, t)];
    let x = this.embed.forward(tokens);
    for (const b of this.blocks) x = b.forward(x, cos, sin);
    return this.head.forward(this.norm.forward(x));
  }
  /** Mean cross-entropy in nats of predicting `targets` [batch, time]. */
  loss(tokens: Tensor, targets: Tensor): Tensor {
    return this.forward(tokens)
      .reshape([-1, this.config.vocabulary])
      .crossEntropy(targets.reshape([-1]));
  }
  /** Logits [1, vocabulary] after one more token [1], the `position`-th (rank 0); the caches are updated in place. */
  step(token: Tensor, position: Tensor, caches: readonly LayerCache[]): Tensor {
    const { context, width, heads } = this.config;
    const rows = arange(context, { dtype: "i64" }).reshape([1, 1, context, 1]);
    const slot = rows.eq(position.remainder(context));
    const seen = rows.reshape([1, 1, 1, context]).le(position);
    const { cos, sin } = rotaryAngles(position.reshape([1]), width / heads);
    let x = this.embed.forward(token.reshape([1, 1]));
    for (const [i, b] of [...this.blocks].entries()) x = b.step(x, cos, sin, caches[i]!, slot, seen);
    return this.head.forward(this.norm.forward(x)).reshape([1, this.config.vocabulary]);
  }
}

/**
 * The next token from logits [1, n]: the likeliest at temperature 0, otherwise a draw by the Gumbel-max trick from `uniform` [1, n] in
 * [0, 1). `temperature` is rank 0, so changing it compiles nothing.
 */
export function sample(logits: Tensor, temperature: Tensor, uniform: Tensor): Tensor {
  const gumbel = F.neg(F.log(F.neg(F.log(uniform.clamp(1e-20, 1)))));
  return logits.add(gumbel.mul(temperature)).argmax(-1);
}
