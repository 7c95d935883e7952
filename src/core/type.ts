import type { DType } from "./dtype.js";
import { type Dim, mul, show } from "./expr.js";

export type Shape = readonly Dim[];

/** Shape and element type of a value. */
export interface TensorType {
  readonly shape: Shape;
  readonly dtype: DType;
}

/** Number of elements. */
export const numel = (shape: Shape): Dim => shape.reduce<Dim>(mul, 1);

export const sameShape = (a: Shape, b: Shape): boolean => a.length === b.length && a.every((d, i) => d === b[i]);

/** `[2, n, 3]`. */
export const showShape = (shape: Shape): string => `[${shape.map(show).join(", ")}]`;

/** `f32[2, n, 3]`. */
export const showType = (t: TensorType): string => `${t.dtype}${showShape(t.shape)}`;

/** True when every dim is a number. */
export const isStatic = (shape: Shape): shape is readonly number[] => shape.every((d) => typeof d === "number");
