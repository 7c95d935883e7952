import { ArgumentError } from "../core/errors.js";

/**
 * What `autocast` does to a function's tensors: `low` functions compute in the short dtype, `wide` ones in f32. A function without a
 * policy takes what it is given.
 */
export type Precision = "low" | "wide";

type Fn = (...args: never[]) => unknown;
const policies = new Map<Fn, Precision>();

/** Declares the policy of functions, in the file that defines them. */
export function computesIn(precision: Precision, ...functions: readonly Fn[]): void {
  for (const f of functions) policies.set(f, precision);
}
/** The policy of a function. */
export const precisionOf = (f: Fn): Precision | undefined => policies.get(f);

/** How an f32 product may be computed: exactly as written, or from operands rounded to tf32's 10 bits, as matrix units do. */
export type Float32Precision = "highest" | "high";
let float32Precision: Float32Precision = "highest";
/**
 * What products of f32 tensors that are recorded from now on may do (torch.set_float32_matmul_precision). "highest": nothing; "high":
 * round their operands to tf32 where the device multiplies that faster; sums stay f32.
 */
export function setFloat32MatmulPrecision(precision: Float32Precision): void {
  if (precision !== "highest" && precision !== "high")
    throw new ArgumentError(`setFloat32MatmulPrecision: "${precision as string}" is neither "highest" nor "high"`);
  float32Precision = precision;
}
/** The precision in force (torch.get_float32_matmul_precision). */
export const float32MatmulPrecision = (): Float32Precision => float32Precision;
