import { computeDType, type DType, dtypes, isFloat, isWide } from "../core/dtype.js";
import { type Combiner, constant, type Value } from "./kernel.js";

/** What a reduction starts with: the value that changes nothing. */
export function startOf(op: Combiner, dtype: DType): Value {
  const d = computeDType(dtype);
  const number = (x: number | bigint): Value => constant(isWide(d) ? BigInt(x) : Number(x), d);
  const { bytes, kind } = dtypes[d];
  const top = kind === "uint" ? (1n << BigInt(8 * bytes)) - 1n : (1n << BigInt(8 * bytes - 1)) - 1n;
  switch (op) {
    case "add":
    case "or":
      return number(0);
    case "mul":
      return number(1);
    case "and":
      return d === "bool" ? number(1) : number(kind === "uint" ? top : -1);
    case "max":
      return isFloat(d) ? constant(-Infinity, d) : d === "bool" ? number(0) : number(kind === "uint" ? 0n : -top - 1n);
    case "min":
      return isFloat(d) ? constant(Infinity, d) : d === "bool" ? number(1) : number(top);
    default:
      return op satisfies never;
  }
}
