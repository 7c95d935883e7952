/** Where extremes stand. */
import { isFloat } from "../core/dtype.js";
import type { Dim } from "../core/expr.js";
import type { Node } from "../ir/node.js";
import { dimValue } from "./composite.js";
import { eq, isNaN, logicalOr, where } from "./elementwise.js";
import { expand, reshape } from "./movement.js";
import { amin, broadcastBack } from "./reduce.js";

/** The least of `places` (each below `end`, or of no element that counts) at which an axis of `x` has its extreme `top`, or a NaN. */
export function firstPlace(x: Node, axis: number, top: Node, places: Node, end: Dim): Node {
  const equal = eq(x, broadcastBack(top, x, [axis]));
  const hit = isFloat(x.type.dtype) ? logicalOr(equal, isNaN(x)) : equal;
  return amin(where(hit, places, expand(dimValue(end, places.type.dtype), x.type.shape)), [axis]);
}
/** A row of values along one axis of a shape. */
export const alongAxis = (row: Node, axis: number, like: Node): Node =>
  expand(
    reshape(
      row,
      like.type.shape.map((d, i) => (i === axis ? d : 1)),
    ),
    like.type.shape,
  );
