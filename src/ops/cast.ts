import { roundValue } from "../core/convert.js";
import { type DType, isFloat } from "../core/dtype.js";
import { hostData, NdArray } from "../core/ndarray.js";
import { make, type Node, type Op, op, type Sample } from "../ir/node.js";

/** Converts to another dtype as PyTorch does: floats truncate towards zero, integers wrap, bool is x != 0 (torch.Tensor.to). */
export function cast(x: Node, dtype: DType): Node {
  return x.type.dtype === dtype ? x : make(castOp, [x], { dtype });
}
const castSamples = (["bool", "u8", "i8", "i32", "i64", "f16", "bf16", "f32", "f64"] as const).map(
  (to): Sample => ({
    shapes: [[3, 4]],
    range: [0, 100],
    grid: 1 / 8,
    test: ["bool", "u8", "u16", "u32", "u64", "i8", "i16", "i32", "i64", "f16", "bf16", "f32", "f64"],
    ...(isFloat(to) ? {} : { noGrad: "piecewise constant" }),
    call: (x) => cast(x!, to),
  }),
);
/** The op of `cast`. */
export const castOp: Op<[Node], { dtype: DType }> = op({
  name: "cast",
  kind: "elementwise",
  scalar: "cast",
  infer: ([x], { dtype }) => ({ shape: x.shape, dtype }),
  vjp: (ct, y) => {
    const from = y.inputs[0]!.type.dtype;
    return [isFloat(from) && isFloat(y.type.dtype) ? cast(ct, from) : null];
  },
  reference: ([x], _, out) => castArray(x, out.dtype),
  samples: castSamples,
});
/** Floats stay unrounded here: the interpreter rounds them, unless it is exact. */
function castArray(x: NdArray, dtype: DType): NdArray {
  const data = hostData(dtype, x.data.length);
  for (let i = 0; i < data.length; i++) data[i] = isFloat(dtype) ? Number(x.data[i]!) : roundValue(dtype, x.data[i]!);
  return new NdArray(dtype, x.shape, data);
}
