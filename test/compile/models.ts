/** Graphs that tests of the compiler share. */

import type { DType } from "../../src/core/dtype.js";
import type { Dim } from "../../src/core/expr.js";
import type { Node } from "../../src/ir/node.js";
import {
  add,
  div,
  dropout,
  expand,
  gelu,
  input,
  layerNorm,
  linear,
  mul,
  permute,
  pow,
  reshape,
  scalar,
  scaledDotProductAttention,
  slice,
  sqrt,
  sub,
} from "../../src/ops/index.js";

export const leaf = (name: string, shape: readonly Dim[], dtype: DType = "f32"): Node => input({ shape, dtype }, name);

export interface BlockSizes {
  readonly batch: Dim;
  readonly time: Dim;
  readonly channels: number;
  readonly heads: number;
}
/** What dropout reads: a probability and the generator's state. */
export interface Drop {
  readonly p: Node;
  readonly state: Node;
}

/** A pre-norm transformer block; its parameters are appended to `params`. */
export function transformerBlock(x: Node, params: Node[], { batch: B, time: T, channels: C, heads: H }: BlockSizes, drop?: Drop): Node {
  const param = (name: string, shape: readonly number[]): Node => {
    const p = leaf(name, shape);
    params.push(p);
    return p;
  };
  const dense = (y: Node, name: string, from: number, to: number): Node =>
    linear(y, param(`${name}.weight`, [to, from]), param(`${name}.bias`, [to]));
  const norm = (y: Node, name: string): Node => layerNorm(y, [C], param(`${name}.weight`, [C]), param(`${name}.bias`, [C]));
  const dropped = (y: Node, stream: number): Node => (drop ? dropout(y, drop.p, drop.state, stream) : y);
  const qkv = dense(norm(x, "ln1"), "qkv", C, 3 * C);
  const head = (k: number): Node => permute(reshape(slice(qkv, [0, 0, k * C], [B, T, C]), [B, T, H, C / H]), [0, 2, 1, 3]);
  const attention = scaledDotProductAttention(head(0), head(1), head(2), undefined, { isCausal: true });
  const mixed = reshape(permute(attention, [0, 2, 1, 3]), [B, T, C]);
  const middle = add(x, dropped(dense(mixed, "proj", C, C), 1));
  const hidden = gelu(dense(norm(middle, "ln2"), "fc1", C, 4 * C), { approximate: "tanh" });
  return add(middle, dropped(dense(hidden, "fc2", 4 * C, C), 2));
}

/** One AdamW step: new values of the parameter and of its moments. */
export function adamW(p: Node, m: Node, v: Node, g: Node, lr: Node, step: Node): readonly [Node, Node, Node] {
  const like = (x: Node | number): Node => expand(typeof x === "number" ? scalar(x, "f32") : x, p.type.shape);
  const m2 = add(mul(m, like(0.9)), mul(g, like(0.1)));
  const v2 = add(mul(v, like(0.999)), mul(mul(g, g), like(0.001)));
  const correction = (beta: number): Node => sub(scalar(1, "f32"), pow(scalar(beta, "f32"), step));
  const change = div(div(m2, like(correction(0.9))), add(sqrt(div(v2, like(correction(0.999)))), like(1e-8)));
  const decayed = mul(p, like(sub(scalar(1, "f32"), mul(lr, scalar(0.01, "f32")))));
  return [sub(decayed, mul(change, like(lr))), m2, v2];
}
