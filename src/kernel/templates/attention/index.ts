/** Attention in tiles on CPUs: memory for scores is that of a tile, whatever the lengths are. */
import { bytesOf, computeDType } from "../../../core/dtype.js";
import { type Dim, div } from "../../../core/expr.js";
import { numel } from "../../../core/type.js";
import { is, type Node } from "../../../ir/node.js";
import { attentionBackwardOp, attentionOp } from "../../../ops/attention.js";
import type { Target, Template } from "../../codegen.js";
import { fitsScratch, lowerBackward } from "./backward.js";
import { lowerForward } from "./forward.js";
import { sizesOf } from "./setup.js";
import { tileAttention } from "./tiling.js";

const isMask = (node: Node, input: number): boolean => node.attrs.mask === true && input === 3;
const common: Pick<Template, "prologue" | "views" | "epilogue"> = {
  prologue: (node, input) => isMask(node, input) || "each element is read once for every tile",
  views: true,
  epilogue: () => "it has several results",
};

/** Forward: a running softmax over tiles of keys. */
export const attentionTemplate: Template = {
  name: "attention",
  match: (node, target) => (is(node, attentionOp) ? (whyNot(node, target) ?? true) : "not attention"),
  ...common,
  lower: (group, target) => [lowerForward(group, target)],
};

/** Backward: probabilities are computed again, tile by tile. */
export const attentionBackwardTemplate: Template = {
  name: "attentionBackward",
  match: (node, target) =>
    is(node, attentionBackwardOp) ? (whyNot(node, target) ?? whyNotBackward(node, target) ?? true) : "not the derivative of attention",
  ...common,
  lower: (group, target) => [lowerBackward(group, target)],
};

function whyNot(node: Node, target: Target): string | undefined {
  if (target.threads !== 1 || target.vectors !== "native") return "it is written for processors with vector registers";
  if (node.attrs.dropout) return "dropped probabilities are computed whole";
  const { depth, width, queries } = sizesOf(node);
  if (typeof depth !== "number" || typeof width !== "number" || depth < 1 || width < 1) return "the size of a head is not fixed";
  if (queries === 1) return "one query is a matrix-vector product";
  const missing = node.inputs.find((x) => !target.dtypes.has(x.type.dtype));
  return missing && `the target has no ${missing.type.dtype}`;
}
function whyNotBackward(node: Node, target: Target): string | undefined {
  const { batch, keyHeads, heads, keys, depth, width } = sizesOf(node);
  const shared: Dim = keyHeads === heads ? 1 : div(heads, keyHeads);
  const points = div(numel(batch), shared);
  if (typeof points === "number" && points < target.parallel) return `${points} heads of keys for ${target.parallel} threads`;
  const dtype = computeDType(node.inputs[0]!.type.dtype);
  if (dtype !== node.inputs[0]!.type.dtype) return "the rows' sums come from a result that was rounded to half a float";
  if (!fitsScratch(tileAttention(dtype, target), target, keys, depth as number, width as number, bytesOf(dtype)))
    return "the sums of a head of keys do not fit a thread's scratch";
  return undefined;
}
