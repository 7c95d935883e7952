import type { DType } from "../core/dtype.js";

/**
 * Which dtypes a node may have. float: integers and bool convert to the default float. number: not bool. any: all. bits: integers
 * and bool.
 */
export type Domain = "float" | "number" | "any" | "bits";

const floats: readonly DType[] = ["f16", "bf16", "f32", "f64"];
const integers: readonly DType[] = ["u8", "u16", "u32", "u64", "i8", "i16", "i32", "i64"];
/** The dtypes that a domain's samples run with. */
export const domainDTypes: Readonly<Record<Domain, readonly DType[]>> = {
  float: floats,
  number: [...floats, ...integers],
  any: [...floats, ...integers, "bool"],
  bits: [...integers, "bool"],
};
