/** What callers hand over: plain JavaScript can pass anything, and says so here rather than deep inside. */
import { type DType, dtypes } from "../core/dtype.js";
import { DTypeError, ShapeError } from "../core/errors.js";
import type { Shape } from "../core/type.js";

/** A dtype that somebody wrote; `DTypeError` where it is none. */
export function dtypeGiven(dtype: DType): DType {
  if (!(dtype in dtypes)) throw new DTypeError(`${dtype} is no dtype; these are: ${Object.keys(dtypes).join(", ")}`);
  return dtype;
}
/** A shape that somebody wrote; `ShapeError` where it is no array. What its sizes may be is checked where they are used. */
export function shapeGiven(name: string, shape: Shape): Shape {
  if (!Array.isArray(shape)) throw new ShapeError(`${name}: ${String(shape)} is no shape; a shape is an array, as in [2, 3]`);
  return shape;
}
