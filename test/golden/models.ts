/** The models of tools/goldens/training.py, as a user writes them here. */
import { Conv2d, Embedding, GroupNorm, LayerNorm, Linear, Module, ModuleList } from "../../src/nn/index.js";
import { arange, F, type Tensor } from "../../src/tensor/index.js";

/** A model with the loss that it is trained by. */
export abstract class Trained extends Module {
  abstract override forward(x: Tensor): Tensor;
  abstract loss(x: Tensor, y: Tensor): Tensor;
}

class Block extends Module {
  heads: number;
  ln1: LayerNorm;
  qkv: Linear;
  proj: Linear;
  ln2: LayerNorm;
  fc: Linear;
  out: Linear;
  constructor(d: number, heads: number) {
    super();
    this.heads = heads;
    this.ln1 = new LayerNorm(d);
    this.qkv = new Linear(d, 3 * d);
    this.proj = new Linear(d, d);
    this.ln2 = new LayerNorm(d);
    this.fc = new Linear(d, 4 * d);
    this.out = new Linear(4 * d, d);
  }
  forward(x: Tensor): Tensor {
    const [b, s, d] = x.shape as [number, number, number];
    const split = this.qkv.forward(this.ln1.forward(x)).split(d, 2);
    const [q, k, v] = split.map((t) => t.reshape([b, s, this.heads, d / this.heads]).transpose(1, 2)) as [Tensor, Tensor, Tensor];
    const y = q.scaledDotProductAttention(k, v, null, { isCausal: true });
    const h = x.add(this.proj.forward(y.transpose(1, 2).reshape([b, s, d])));
    return h.add(this.out.forward(this.fc.forward(this.ln2.forward(h)).gelu()));
  }
}

class Gpt extends Trained {
  wte: Embedding;
  wpe: Embedding;
  blocks: ModuleList<Block>;
  lnf: LayerNorm;
  head: Linear;
  constructor() {
    super();
    this.wte = new Embedding(11, 8);
    this.wpe = new Embedding(8, 8);
    this.blocks = new ModuleList([new Block(8, 2), new Block(8, 2)]);
    this.lnf = new LayerNorm(8);
    this.head = new Linear(8, 11, { bias: false });
  }
  forward(x: Tensor): Tensor {
    let h = this.wte.forward(x).add(this.wpe.forward(arange(x.size(1))));
    for (const block of this.blocks) h = block.forward(h);
    return this.head.forward(this.lnf.forward(h));
  }
  loss(x: Tensor, y: Tensor): Tensor {
    return F.crossEntropy(this.forward(x).reshape([-1, 11]), y.reshape([-1]));
  }
}

class Conv extends Trained {
  conv1: Conv2d;
  norm: GroupNorm;
  conv2: Conv2d;
  fc: Linear;
  constructor() {
    super();
    this.conv1 = new Conv2d(1, 4, 3, { padding: 1 });
    this.norm = new GroupNorm(2, 4);
    this.conv2 = new Conv2d(4, 6, 3, { stride: 2 });
    this.fc = new Linear(6, 3);
  }
  forward(x: Tensor): Tensor {
    const h = this.norm.forward(this.conv1.forward(x)).relu().maxPool2d(2);
    return this.fc.forward(this.conv2.forward(h).silu().mean([2, 3]));
  }
  loss(x: Tensor, y: Tensor): Tensor {
    return F.crossEntropy(this.forward(x), y, { labelSmoothing: 0.1 });
  }
}

class Mlp extends Trained {
  a: Linear;
  b: Linear;
  c: Linear;
  constructor() {
    super();
    this.a = new Linear(5, 12);
    this.b = new Linear(12, 12);
    this.c = new Linear(12, 2);
  }
  forward(x: Tensor): Tensor {
    return this.c.forward(this.b.forward(this.a.forward(x).elu()).tanh());
  }
  loss(x: Tensor, y: Tensor): Tensor {
    return F.mseLoss(this.forward(x), y);
  }
}

/** Each model by the name of its golden file. */
export const models: Readonly<Record<string, () => Trained>> = { gpt: () => new Gpt(), conv: () => new Conv(), mlp: () => new Mlp() };
