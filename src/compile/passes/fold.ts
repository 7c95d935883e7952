import { roundTo } from "../../core/convert.js";
import { NdArray } from "../../core/ndarray.js";
import { is, type Node } from "../../ir/node.js";
import { expandOp, reshapeOp } from "../../ops/movement.js";
import { constantOp, scalar } from "../../ops/source.js";

/** The number that every element of a node is, where that is known. */
export function splat(n: Node): number | bigint | undefined {
  while (is(n, expandOp) || is(n, reshapeOp)) n = n.inputs[0]!;
  return is(n, constantOp) ? n.attrs.value : undefined;
}

/** A scalar operation on rank-0 constants is a constant: computed by the op's own reference, rounded to its dtype. */
export function foldConstant(n: Node): Node | undefined {
  const { reference } = n.op;
  if (!reference || n.type.shape.length > 0 || n.inputs.length === 0 || n.type.dtype === "complex64") return undefined;
  for (const x of n.inputs) if (!is(x, constantOp) || x.type.dtype === "complex64") return undefined;
  const values = n.inputs.map((x) => NdArray.of(x.type.dtype, [], () => x.attrs.value as number | bigint));
  const out = reference(values, n.attrs, n.type, [n.type]) as NdArray;
  return scalar(roundTo(n.type.dtype, out.data)[0]!, n.type.dtype);
}
