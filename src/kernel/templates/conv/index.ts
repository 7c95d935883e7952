/** Convolutions on CPUs with vector registers, without columns in memory. */
import type { Dim } from "../../../core/expr.js";
import type { Shape } from "../../../core/type.js";
import { is, type Node } from "../../../ir/node.js";
import { convolveOp, isPointwise } from "../../../ops/conv.js";
import { winogradOp } from "../../../ops/winograd.js";
import type { Target, Template } from "../../codegen.js";
import { lowerDirect } from "./direct.js";
import type { ConvSizes, Pair } from "./setup.js";
import { lowerWinograd } from "./winograd.js";

/** Direct convolution: any stride, padding, dilation and groups. */
export const convTemplate: Template = {
  name: "conv",
  match(node, target) {
    if (!is(node, convolveOp)) return "not a convolution";
    const sizes = whyNot(node, target) ?? sizesOf(node);
    return typeof sizes === "string" ? sizes : true;
  },
  prologue: () => true,
  epilogue: () => true,
  lower: (group, target) => lowerDirect(group, target, sizesOf(group.root!) as ConvSizes),
};

/** Convolution of 3 x 3 weights that were formed ahead. */
export const winogradTemplate: Template = {
  name: "winograd",
  match(node, target) {
    if (!is(node, winogradOp)) return "not a convolution by Winograd";
    const sizes = whyNot(node, target) ?? winogradSizes(node);
    return typeof sizes === "string" ? sizes : true;
  },
  prologue: () => true,
  epilogue: () => true,
  lower: (group, target) => lowerWinograd(group, target, winogradSizes(group.root!) as ConvSizes),
};

function whyNot(node: Node, target: Target): string | undefined {
  if (target.threads !== 1 || target.vectors !== "native") return "it is written for processors with vector registers";
  if (is(node, convolveOp) && isPointwise(node)) return "with a kernel of size 1 it is a product of matrices";
  const missing = node.inputs.find((x) => !target.dtypes.has(x.type.dtype));
  return missing && `the target has no ${missing.type.dtype}`;
}

/** Sizes as numbers, or why the template does not take them. */
function sizesOf(node: Node): ConvSizes | string {
  if (!is(node, convolveOp)) return "not a convolution";
  const { attrs: a } = node;
  const [x, w] = node.inputs.map((i) => i.type.shape) as [Shape, Shape];
  const n = a.stride.length;
  if (n > 2) return `${n} spatial axes`;
  if (a.spread.some((s) => s !== 1)) return "zeros between the elements of its input would be multiplied";
  const spatial = (s: Shape): Shape => (a.last ? s.slice(1, -1) : s.slice(2));
  const [size, out] = [spatial(x), spatial(node.type.shape)];
  const all = [...size, ...out, ...w, ...a.low, ...a.high];
  if (!all.every((d) => typeof d === "number")) return "its sizes, but for the batch, are not fixed";
  if ([...size, ...out, ...w].some((d) => d === 0)) return "it is empty";
  const pair = (list: readonly Dim[], fill: number): Pair => (n === 1 ? [fill, list[0] as number] : (list as Pair));
  const outputs = (w[0] as number) / a.groups;
  if (outputs < least) return `${outputs} output channels in a group leave most lanes of a vector unused`;
  const [height, width] = pair(size, 1);
  const [rows, columns] = pair(out, 1);
  return {
    batch: x[0]!,
    height,
    width,
    channels: w[1] as number,
    outputs,
    groups: a.groups,
    kernel: pair(w.slice(2), 1),
    stride: pair(a.stride, 1),
    dilation: pair(a.dilation, 1),
    low: pair(a.low, 0),
    rows,
    columns,
    last: a.last,
    spatial: n as 1 | 2,
  };
}
function winogradSizes(node: Node): ConvSizes | string {
  if (!is(node, winogradOp)) return "not a convolution by Winograd";
  const [batch, height, width, channels] = node.inputs[0]!.type.shape as readonly [Dim, Dim, Dim, Dim];
  const [, rows, columns, outputs] = node.type.shape as readonly [Dim, Dim, Dim, Dim];
  const all = [height, width, channels, rows, columns, outputs];
  if (!all.every((d) => typeof d === "number")) return "its sizes, but for the batch, are not fixed";
  if (all.some((d) => d === 0)) return "it is empty";
  const [h, w, c, r, s, o] = all as [number, number, number, number, number, number];
  const ones: Pair = [1, 1];
  const space = { height: h, width: w, rows: r, columns: s, low: node.attrs.low as Pair };
  return { batch, ...space, channels: c, outputs: o, groups: 1, kernel: [3, 3], stride: ones, dilation: ones, last: true, spatial: 2 };
}
/** Fewest output channels of a group that are worth a vector of them. */
const least = 8;
