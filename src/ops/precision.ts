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
