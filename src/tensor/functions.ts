/** Ops as functions of tensors: the same list that gives Tensor its methods. */
import * as ops from "../ops/index.js";
import type { IsRecorded, OpFunction } from "./methods.js";
import { record } from "./record.js";

type Recorded = {
  readonly [K in keyof typeof ops as (typeof ops)[K] extends (...args: never[]) => infer R
    ? IsRecorded<R> extends true
      ? K
      : never
    : never]: (typeof ops)[K];
};
/** Every op as a function: `F.softmax(x, -1)`, `F.cat([a, b])`. */
export type Functions = { readonly [K in keyof Recorded]: OpFunction<Recorded[K]> };

/** Every op as a function of tensors (torch.nn.functional and torch in one). */
export const F: Functions = Object.fromEntries(
  Object.entries(ops as unknown as Record<string, unknown>)
    .filter(([name, f]) => typeof f === "function" && !/^[A-Z]/.test(name))
    .map(([name, f]) => [name, (...args: unknown[]) => record(name, f as (...args: never[]) => unknown, args)]),
) as unknown as Functions;

/** Joins tensors along an axis that they have (torch.cat). */
export const cat: Functions["cat"] = F.cat;
/** Joins tensors along a new axis (torch.stack). */
export const stack: Functions["stack"] = F.stack;
/** One of two values, element by element (torch.where). */
export const where: Functions["where"] = F.where;
/** Sums of products, as an equation names them (torch.einsum). */
export const einsum: Functions["einsum"] = F.einsum;
/** The matrix product (torch.matmul). */
export const matmul: Functions["matmul"] = F.matmul;
/** The greater of two values, element by element (torch.maximum). */
export const maximum: Functions["maximum"] = F.maximum;
/** The lesser of two values, element by element (torch.minimum). */
export const minimum: Functions["minimum"] = F.minimum;
