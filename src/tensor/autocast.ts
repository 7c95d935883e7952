/** Mixed precision: products in a short float dtype, what needs range and precision in f32. */
import type { DType } from "../core/dtype.js";
import { DTypeError } from "../core/errors.js";
import { mode, scoped } from "./mode.js";

/** The short dtypes that `autocast` computes products in. */
export type AutocastDType = "bf16" | "f16";

/**
 * Runs `fn` with products (linear, matmul, convolution, attention) in `dtype`, and norms, softmax, losses and reductions in f32
 * (torch.autocast). Parameters stay as they are, and so do their gradients; call `backward()` and the optimizer outside. Nests;
 * `enabled: false` turns it off for a part.
 */
export function autocast<T>(dtype: AutocastDType, fn: () => T, options: { readonly enabled?: boolean } = {}): T {
  if (dtype !== "bf16" && dtype !== "f16") throw new DTypeError(`autocast: products in ${dtype as DType} are not short; use bf16 or f16`);
  return scoped("autocast", { autocast: options.enabled === false ? undefined : dtype }, fn);
}
/** The dtype of products inside `autocast`, null outside. */
export const autocastDType = (): AutocastDType | null => mode.autocast ?? null;
