/** Attention, and what language models put around it. */
import { ArgumentError } from "../core/errors.js";
import { quietly } from "../tensor/fields.js";
import { arange, dropoutMask, F, Tensor, tensor, zeros } from "../tensor/index.js";
import { traceGuard } from "../tensor/record.js";
import { constant_, xavierUniform_ } from "./init.js";
import { Linear } from "./linear.js";
import { type Buffer, buffer, Module, type Parameter, parameter } from "./module.js";

/** [batch, length, heads * size] as [batch, heads, length, size]. */
export const splitHeads = (x: Tensor, heads: number): Tensor => x.unflatten(-1, [heads, x.size(-1) / heads]).transpose(1, 2);
/** [batch, heads, length, size] as [batch, length, heads * size]. */
export const joinHeads = (x: Tensor): Tensor => x.transpose(1, 2).flatten(2, 3);

/** Options of multi-head attention. */
export interface AttentionOptions {
  readonly dropout?: number;
  readonly bias?: boolean;
  readonly kdim?: number;
  readonly vdim?: number;
}
/** Options of one call. */
export interface AttendOptions {
  /** Added to the scores, or bool: true where a key may be seen. */
  readonly mask?: Tensor | null;
  readonly isCausal?: boolean;
}
/** Multi-head attention over [batch, length, features] (torch.nn.MultiheadAttention with batchFirst). */
export class MultiheadAttention extends Module {
  readonly embedDim: number;
  readonly numHeads: number;
  dropout: number;
  inProjWeight: Parameter | null;
  qProjWeight: Parameter | null = null;
  kProjWeight: Parameter | null = null;
  vProjWeight: Parameter | null = null;
  inProjBias: Parameter | null;
  outProj: Linear;

  constructor(embedDim: number, numHeads: number, options: AttentionOptions = {}) {
    super();
    if (embedDim % numHeads) throw new ArgumentError(`MultiheadAttention: ${embedDim} features do not split into ${numHeads} heads`);
    this.embedDim = embedDim;
    this.numHeads = numHeads;
    this.dropout = options.dropout ?? 0;
    const same = (options.kdim ?? embedDim) === embedDim && (options.vdim ?? embedDim) === embedDim;
    const weight = (n: number, m: number): Parameter => {
      const w = parameter(zeros([n, m]));
      xavierUniform_(w);
      return w;
    };
    this.inProjWeight = same ? weight(3 * embedDim, embedDim) : null;
    if (!same) {
      this.qProjWeight = weight(embedDim, embedDim);
      this.kProjWeight = weight(embedDim, options.kdim ?? embedDim);
      this.vProjWeight = weight(embedDim, options.vdim ?? embedDim);
    }
    const bias = options.bias ?? true;
    this.inProjBias = bias ? parameter(zeros([3 * embedDim])) : null;
    this.outProj = new Linear(embedDim, embedDim, { bias });
    if (this.outProj.bias) constant_(this.outProj.bias, 0);
  }
  private project(x: Tensor, i: 0 | 1 | 2): Tensor {
    const own = [this.qProjWeight, this.kProjWeight, this.vProjWeight][i];
    const w = own ?? this.inProjWeight!.narrow(0, i * this.embedDim, this.embedDim);
    return F.linear(x, w, this.inProjBias?.narrow(0, i * this.embedDim, this.embedDim) ?? null);
  }
  forward(query: Tensor, key: Tensor = query, value: Tensor = key, options: AttendOptions = {}): Tensor {
    const together = query === key && key === value && this.inProjWeight;
    const [q, k, v] = together
      ? (F.linear(query, this.inProjWeight!, this.inProjBias).chunk(3, -1) as [Tensor, Tensor, Tensor])
      : [this.project(query, 0), this.project(key, 1), this.project(value, 2)];
    const drops =
      this.training &&
      quietly(() => {
        traceGuard(() => this.dropout > 0);
        return this.dropout > 0;
      });
    const y = attend(splitHeads(q, this.numHeads), splitHeads(k, this.numHeads), splitHeads(v, this.numHeads), {
      ...options,
      ...(drops && { dropout: () => quietly(() => this.dropout) }),
    });
    return this.outProj.forward(joinHeads(y));
  }
}
/** Scaled dot-product attention with dropout whose probability is asked for with each call; [batch, heads, length, size]. */
export function attend(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  options: AttendOptions & {
    readonly dropout?: () => number;
    readonly scale?: number;
    readonly enableGqa?: boolean;
    /** With `isCausal`: where the first query stands among the keys. */
    readonly offset?: Tensor;
  } = {},
): Tensor {
  const mask = options.dropout && dropoutMask([...q.shape.slice(0, -1), k.size(-2)], options.dropout, q.dtype);
  return F.scaledDotProductAttention(q, k, v, options.mask ?? null, {
    isCausal: options.isCausal ?? false,
    ...(options.scale !== undefined && { scale: options.scale }),
    ...(options.enableGqa !== undefined && { enableGqa: options.enableGqa }),
    ...(mask && { dropoutMask: mask }),
    ...(options.offset && { offset: options.offset }),
  });
}

/** Rotary position embedding as Llama's: the halves of a head are the two coordinates that turn. */
export class RotaryEmbedding extends Module {
  readonly dim: number;
  readonly base: number;
  invFreq: Buffer;
  constructor(dim: number, options: { readonly base?: number } = {}) {
    super();
    this.dim = dim;
    this.base = options.base ?? 10000;
    const freq = Float32Array.from({ length: dim / 2 }, (_, i) => 1 / this.base ** ((2 * i) / dim));
    this.invFreq = buffer(tensor(freq), { persistent: false });
  }
  /** Turns x, [batch, heads, length, dim], by its positions: a tensor of them, or the number of the first one. */
  forward(x: Tensor, positions: Tensor | number = 0): Tensor {
    const at = positions instanceof Tensor ? positions : arange(x.size(-2)).add(positions);
    return rope(x, at, this.invFreq);
  }
}
/** Turns the two halves of the last axis of x by position times frequency. */
export function rope(x: Tensor, positions: Tensor, invFreq: Tensor): Tensor {
  const angle = positions.to("f32").unsqueeze(-1).mul(invFreq);
  const [cos, sin] = [F.cat([angle, angle], -1).cos(), F.cat([angle, angle], -1).sin()];
  const half = x.size(-1) / 2;
  const turned = F.cat([x.narrow(-1, half, half).neg(), x.narrow(-1, 0, half)], -1);
  return x.mul(cos).add(turned.mul(sin)).to(x.dtype);
}
