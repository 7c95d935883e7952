/** Attention in tiles: memory for scores is that of a tile, whatever the lengths are. On CPUs lanes are queries, on GPUs matrix units multiply. */
import { bytesOf, computeDType, isHalf } from "../../../core/dtype.js";
import { type Dim, div, hi } from "../../../core/expr.js";
import { numel } from "../../../core/type.js";
import { is, type Node } from "../../../ir/node.js";
import { attentionBackwardOp, attentionOp } from "../../../ops/attention.js";
import { cachedAttentionOp } from "../../../ops/cached-attention.js";
import type { Target, Template } from "../../codegen.js";
import { attentionOf } from "../../library/attention.js";
import { fitsScratch, lowerBackward } from "./backward.js";
import { lowerBackwardPairs } from "./backwardPairs.js";
import { isDecoding, lowerDecode } from "./decode.js";
import { lowerForward } from "./forward.js";
import { lowerForwardPairs } from "./forwardPairs.js";
import { lowerBackground } from "./gpu/background.js";
import { lowerBackwardMatrix } from "./gpu/backward.js";
import { lowerFew } from "./gpu/few.js";
import { lowerMatrix } from "./gpu/forward.js";
import { tileDerivatives, tileFew, tileMatrix, unitFor } from "./gpu/tiling.js";
import { sizesOf } from "./setup.js";
import { tileAttention } from "./tiling.js";

const common: Pick<Template, "views" | "epilogue"> = { views: () => true, epilogue: () => "it has several results" };
/** Kernels and what is fused into them stay what they are where a library may stand in for them. */
const byLibrary: Pick<Template, "attention"> = { attention: (group, target) => target.attention && attentionOf(group, target.attention) };
const tiled = "each element is read once for every tile";

/** Forward: a running softmax over tiles of keys, for tiles of queries or for few of them. */
export const attentionTemplate: Template = {
  name: "attention",
  match: (node, target) => (is(node, attentionOp) ? (whyNot(node, target) ?? true) : "not attention"),
  ...common,
  ...byLibrary,
  // Few queries read each key and value once; masks and offsets are read where they are used.
  prologue: (node, input, target) => input > 2 || isOnce(node, target) || (isCpu(target) && isWidening(node.inputs[input]!)) || tiled,
  readsOnce: (node, input, target) => input === 0 && !isCpu(target) && isFew(node, target),
  lower(group, target) {
    if (!isCpu(target))
      return isFew(group.root!, target) ? lowerFew(group, target) : [lowerBackground(group, target) ?? lowerMatrix(group, target)];
    return isDecoding(group.root!) ? lowerDecode(group, target) : [lowerForwardPairs(group, target) ?? lowerForward(group, target)];
  },
};
const isCpu = (target: Target): boolean => target.threads === 1;
/** Half floats and f32: sums of weights are f32. */
const isFew = (node: Node, target: Target): boolean =>
  computeDType(node.inputs[0]!.type.dtype) === "f32" && tileFew(node, target) !== undefined;
/** Whether each key and value is read once. */
const isOnce = (node: Node, target: Target): boolean => (isCpu(target) ? isDecoding(node) : isFew(node, target));

/** A step of decoding on a GPU: caches are written and read in one kernel. */
export const cachedAttentionTemplate: Template = {
  name: "cachedAttention",
  match(node, target) {
    if (!is(node, cachedAttentionOp)) return "not a step of decoding";
    if (isCpu(target) || !isFew(node, target)) return "its sizes do not suit few queries on a GPU";
    const missing = node.inputs.find((x) => !target.dtypes.has(x.type.dtype));
    return missing === undefined || `the target has no ${missing.type.dtype}`;
  },
  ...common,
  prologue: (_, input) => input === 0 || input > 2 || "it is a cache",
  readsOnce: (_, input) => input === 0 || input > 2,
  overwrites: (_, input) => input === 1 || input === 2,
  lower: lowerFew,
};

/** Backward: probabilities are computed again, tile by tile. */
export const attentionBackwardTemplate: Template = {
  name: "attentionBackward",
  match: (node, target) =>
    is(node, attentionBackwardOp) ? (whyNot(node, target) ?? whyNotBackward(node, target) ?? true) : "not the derivative of attention",
  ...common,
  ...byLibrary,
  prologue: (node, input, target) =>
    (node.attrs.mask === true && input === 3) || (isCpu(target) && isWidening(node.inputs[input]!)) || tiled,
  lower: (group, target) =>
    isCpu(target) ? [lowerBackwardPairs(group, target) ?? lowerBackward(group, target)] : lowerBackwardMatrix(group, target),
};

/** Half floats that are read as f32: that is what reading them takes anyway. */
function isWidening(x: Node): boolean {
  let from = x;
  while (from.op.kind === "movement" && from.inputs.length === 1) from = from.inputs[0]!;
  return from.op.name === "cast" && from.type.dtype === "f32" && isHalf(from.inputs[0]!.type.dtype);
}
const sides = ["queries", "keys"] as const;
function whyNot(node: Node, target: Target): string | undefined {
  if (node.attrs.rows && isCpu(target)) return "results leave head by head";
  if (isCpu(target) && target.vectors !== "native") return "it is written for processors with vector registers, and for GPUs";
  if (node.attrs.dropout) return "dropped probabilities are computed whole";
  const { depth, width } = sizesOf(node);
  if (typeof depth !== "number" || typeof width !== "number" || depth < 1 || width < 1) return "the size of a head is not fixed";
  if (!isCpu(target) && (!is(node, attentionOp) || !isFew(node, target))) {
    const { dtype } = node.inputs[0]!.type;
    if (!unitFor(target, node)) return `no matrix unit has fragments of ${dtype} in registers`;
    if (depth % 16 || width % 16 || depth > 128 || width > 128)
      return `heads of ${depth} and ${width} are not in whole fragments, or too wide`;
    const tiles = is(node, attentionOp) ? [tileMatrix(node, target)] : sides.map((side) => tileDerivatives(node, target, side));
    if (tiles.includes(undefined)) return `tiles of heads of ${depth} and ${width} do not fit ${target.sharedBytes} bytes of shared memory`;
  }
  const missing = node.inputs.find((x) => !target.dtypes.has(x.type.dtype));
  return missing && `the target has no ${missing.type.dtype}`;
}
function whyNotBackward(node: Node, target: Target): string | undefined {
  if (!isCpu(target))
    return node.attrs.shares || node.attrs.result ? undefined : "the rows' sums of results times cotangents are not given";
  const { batch, keyHeads, heads, queries, keys, depth, width } = sizesOf(node);
  const shared: Dim = keyHeads === heads ? 1 : div(heads, keyHeads);
  const points = div(numel(batch), shared);
  // Idle threads are better than matrices of scores that grow with the square of the length, once those are large.
  if (typeof points === "number" && points < target.parallel && hi(queries) * hi(keys) <= 1 << 20)
    return `${points} heads of keys for ${target.parallel} threads`;
  const dtype = computeDType(node.inputs[0]!.type.dtype);
  if (!fitsScratch(tileAttention(dtype, target), target, keys, depth as number, width as number, bytesOf(dtype)))
    return "the sums of a head of keys do not fit a thread's scratch";
  return undefined;
}
