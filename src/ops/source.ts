import type { DType } from "../core/dtype.js";
import { ArgumentError } from "../core/errors.js";
import type { Dim } from "../core/expr.js";
import { NdArray } from "../core/ndarray.js";
import type { Shape, TensorType } from "../core/type.js";
import { make, type Node, type Op, op } from "../ir/node.js";
import { expand } from "./movement.js";

/** A leaf with an identity: its value is supplied from outside (an argument, a parameter, a cache). */
export function input(type: TensorType, name = ""): Node {
  return make(inputOp, [], { name, shape: type.shape, dtype: type.dtype });
}
export const inputOp: Op<[], { name: string; shape: Shape; dtype: DType }> = op({
  name: "input",
  kind: "leaf",
  infer: (_, { shape, dtype }) => ({ shape, dtype }),
});

/** One number, rank 0. 64-bit integers are bigint, bool is 0 or 1. */
export function scalar(value: number | bigint, dtype: DType): Node {
  return make(constantOp, [], { value, dtype });
}
export const constantOp: Op<[], { value: number | bigint; dtype: DType }> = op({
  name: "constant",
  kind: "leaf",
  infer: (_, { dtype }) => ({ shape: [], dtype }),
  reference: (_, { value }, out) => NdArray.of(out.dtype, [], () => value),
  samples: [{ shapes: [], call: () => scalar(1.5, "f32") }],
});

/** A tensor of one repeated number (torch.full). */
export function full(shape: Shape, value: number | bigint, dtype: DType = "f32"): Node {
  return expand(scalar(value, dtype), shape);
}

/** 0, 1, 2, ... along one axis: the position itself, as a value. */
export function iota(size: Dim, dtype: DType = "i64"): Node {
  return make(iotaOp, [], { size, dtype });
}
export const iotaOp: Op<[], { size: Dim; dtype: DType }> = op({
  name: "iota",
  kind: "leaf",
  infer: (_, { size, dtype }) => {
    if (dtype === "bool") throw new ArgumentError("iota: bool cannot count");
    return { shape: [size], dtype };
  },
  reference: (_, __, out) => NdArray.of(out.dtype, out.shape as readonly number[], ([i]) => i!),
  samples: [{ shapes: [], call: () => iota(5, "i32") }],
});
