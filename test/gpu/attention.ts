/** Attention that kernels for GPUs take: tiles of queries on matrix units, few queries on threads; masks, offsets, grouped queries, derivatives. */
import { vjp } from "../../src/autodiff/grad.js";
import type { DType } from "../../src/core/dtype.js";
import { NdArray } from "../../src/core/ndarray.js";
import type { Node } from "../../src/ir/node.js";
import { picks } from "../../src/ir/pick.js";
import * as o from "../../src/ops/index.js";
import { setFloat32MatmulPrecision } from "../../src/ops/precision.js";
import type { Case } from "../conformance/cases.js";
import { draw, stream } from "../conformance/inputs.js";

export interface Shape {
  readonly batch?: number;
  readonly heads?: number;
  readonly keyHeads?: number;
  readonly queries: number;
  readonly keys: number;
  readonly depth?: number;
  readonly width?: number;
  readonly isCausal?: boolean;
  readonly scale?: number;
  readonly mask?: "bool" | "float" | "keys";
  readonly dtype?: DType;
  /** Where the queries of each batch stand. */
  readonly offset?: readonly number[];
  readonly derivatives?: boolean;
  /** Derivatives are read with heads beside each other, as a model's products do. */
  readonly turned?: boolean;
}

/** Prompts and training. */
const many: readonly Shape[] = [
  { queries: 64, keys: 64 },
  { queries: 130, keys: 130, isCausal: true },
  { queries: 17, keys: 201, depth: 32, width: 48 },
  { queries: 40, keys: 70, depth: 128, isCausal: true, dtype: "f16" },
  { heads: 6, keyHeads: 2, queries: 100, keys: 100, isCausal: true },
  { queries: 33, keys: 90, mask: "bool" },
  { queries: 33, keys: 90, mask: "float", isCausal: true },
  { batch: 2, queries: 20, keys: 64, mask: "keys" },
  { batch: 2, heads: 4, keyHeads: 2, queries: 40, keys: 192, offset: [5, 100] },
  { queries: 40, keys: 192, offset: [-7] },
  { queries: 16, keys: 64, scale: -0.3 },
];
/** Tokens. */
const few: readonly Shape[] = (["f32", "bf16", "f16"] as const).flatMap((dtype): Shape[] => [
  { heads: 4, keyHeads: 2, queries: 1, keys: 300, offset: [120], dtype },
  { heads: 8, keyHeads: 2, queries: 1, keys: 100, offset: [99], dtype, depth: 128 },
  { queries: 1, keys: 40, dtype },
  { queries: 3, keys: 77, isCausal: true, dtype, depth: 32 },
  { heads: 4, keyHeads: 2, batch: 2, queries: 2, keys: 600, offset: [3, 599], dtype },
  { queries: 2, keys: 130, mask: "bool", dtype },
  { heads: 2, keyHeads: 1, queries: 1, keys: 5000, offset: [4500], dtype },
  { heads: 2, keyHeads: 1, queries: 1, keys: 5000, offset: [3], dtype },
]);
const training: readonly Shape[] = [
  { queries: 64, keys: 64, derivatives: true },
  { queries: 130, keys: 130, isCausal: true, derivatives: true },
  { heads: 4, keyHeads: 2, queries: 70, keys: 90, derivatives: true, mask: "bool" },
  { heads: 2, queries: 20, keys: 33, depth: 128, derivatives: true, dtype: "f16" },
  { heads: 6, keyHeads: 2, queries: 150, keys: 150, isCausal: true, derivatives: true },
  { queries: 40, keys: 100, isCausal: true, derivatives: true, dtype: "f16" },
  { queries: 100, keys: 40, isCausal: true, derivatives: true },
  { batch: 2, heads: 4, keyHeads: 2, queries: 70, keys: 90, derivatives: true, turned: true },
  { queries: 33, keys: 90, depth: 32, width: 48, mask: "float", derivatives: true, scale: -0.3 },
  { batch: 2, queries: 70, keys: 64, depth: 128, mask: "keys", derivatives: true },
  { batch: 3, heads: 22, queries: 70, keys: 65, isCausal: true, derivatives: true },
];

/** f32 whose products round their operands. */
const tf32: readonly Shape[] = [
  { queries: 64, keys: 64, derivatives: true },
  { queries: 40, keys: 90, isCausal: true, depth: 32, width: 48, derivatives: true },
  { heads: 4, keyHeads: 2, queries: 70, keys: 70, isCausal: true, derivatives: true },
  { queries: 20, keys: 33, depth: 128, mask: "bool", derivatives: true },
];

export function attentionCase(s: Shape): Case {
  const { batch = 1, heads = 2, keyHeads = heads, dtype = "bf16", depth = 64, width = depth } = s;
  const name = `attention ${JSON.stringify(s)}`;
  const next = stream(name);
  const feeds = new Map<Node, NdArray>();
  const leaf = (shape: readonly number[], type: DType): Node => {
    const node = o.input({ shape, dtype: type });
    feeds.set(node, draw(next, type, shape, type === "bool" ? [0, 1] : [-2, 2]));
    return node;
  };
  const q = leaf([batch, heads, s.queries, depth], dtype);
  const k = leaf([batch, keyHeads, s.keys, depth], dtype);
  const v = leaf([batch, keyHeads, s.keys, width], dtype);
  const mask = s.mask && leaf(s.mask === "keys" ? [batch, 1, 1, s.keys] : [s.queries, s.keys], s.mask === "float" ? "f32" : "bool");
  const offset = s.offset && o.input({ shape: [s.offset.length], dtype: "i64" });
  if (offset)
    feeds.set(
      offset,
      NdArray.of("i64", [s.offset!.length], (at) => BigInt(s.offset![at.at(-1) ?? 0]!)),
    );
  const y = o.scaledDotProductAttention(q, k, v, mask, {
    isCausal: s.isCausal ?? offset !== undefined,
    enableGqa: true,
    ...(s.scale !== undefined && { scale: s.scale }),
    ...(offset && { offset }),
  });
  if (!s.derivatives) return { name, op: "attention", roots: picks(y.inputs[0]!), feeds };
  const ct = leaf(y.type.shape as number[], dtype);
  const grads = vjp([y], [ct], [q, k, v]) as Node[];
  return { name, op: "attention", roots: [y, ...(s.turned ? grads.map((x) => o.permute(x, [0, 2, 1, 3])) : grads)], feeds };
}

/** The cases. */
export const attentionCases = (): Case[] => [
  ...[...many, ...few, ...training].map(attentionCase),
  ...inTf32(() => tf32.map((s) => attentionCase({ ...s, dtype: "f32" }))),
];
function inTf32<T>(f: () => T): T {
  setFloat32MatmulPrecision("high");
  try {
    return f();
  } finally {
    setFloat32MatmulPrecision("highest");
  }
}
