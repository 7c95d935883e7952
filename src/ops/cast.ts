import { fromBytes, roundValue, toBytes } from "../core/convert.js";
import { bytesOf, type DType, isFloat } from "../core/dtype.js";
import { DTypeError, UnsupportedError } from "../core/errors.js";
import { hostData, NdArray } from "../core/ndarray.js";
import { showType } from "../core/type.js";
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

const bitcastDTypes: readonly DType[] = ["f32", "i32", "u32", "f64", "i64", "u64"];
/** The same bits read as another dtype of the same size (torch.Tensor.view with a dtype); 4- and 8-byte dtypes. */
export function bitcast(x: Node, dtype: DType): Node {
  return x.type.dtype === dtype ? x : make(bitcastOp, [x], { from: x.type.dtype, dtype });
}
/** The op of `bitcast`. */
export const bitcastOp: Op<[Node], { from: DType; dtype: DType }> = op<[Node], { from: DType; dtype: DType }>({
  name: "bitcast",
  kind: "elementwise",
  scalar: "bitcast",
  infer: ([x], { dtype }) => {
    if (bytesOf(x.dtype) !== bytesOf(dtype)) throw new DTypeError(`bitcast: ${showType(x)} and ${dtype} differ in size`);
    if (!bitcastDTypes.includes(dtype) || !bitcastDTypes.includes(x.dtype))
      throw new UnsupportedError(`bitcast: ${showType(x)} to ${dtype}: only ${bitcastDTypes.join(", ")} are read as one another`);
    return { shape: x.shape, dtype };
  },
  vjp: () => [null],
  reference: ([x], { from, dtype }, out) => new NdArray(out.dtype, x.shape, fromBytes(dtype, toBytes(from, x.data))),
  samples: [
    {
      shapes: [[7]],
      noGrad: "bits have no derivative",
      test: ["i32", "u32", "f32"],
      range: [0, 1e9],
      call: (x) => [bitcast(x!, "u32"), bitcast(x!, "f32")],
    },
    {
      shapes: [[7]],
      noGrad: "bits have no derivative",
      test: ["i64", "u64", "f64"],
      range: [0, 1e18],
      call: (x) => [bitcast(x!, "i64"), bitcast(x!, "f64")],
    },
  ],
});
