/** Samples joined to a batch. */
import { ArgumentError } from "../core/errors.js";
import { stack, Tensor, tensor } from "../tensor/index.js";

/** What a batch of samples of type T is: tensors are stacked, numbers become a tensor, lists and objects are joined part by part. */
export type Batch<T> = T extends Tensor | number | bigint | boolean
  ? Tensor
  : T extends ArrayBufferView
    ? Tensor
    : T extends string
      ? string[]
      : T extends readonly unknown[]
        ? { -readonly [K in keyof T]: Batch<T[K]> }
        : T extends object
          ? { [K in keyof T]: Batch<T[K]> }
          : T[];

/** Joins samples of one form (torch.utils.data.default_collate). */
export function collate<T>(samples: readonly T[]): Batch<T> {
  return join(samples, "a sample") as Batch<T>;
}
function join(xs: readonly unknown[], what: string): unknown {
  const first = xs[0];
  if (first instanceof Tensor) return stack(xs as Tensor[]);
  if (typeof first === "number" || typeof first === "boolean" || typeof first === "bigint") return tensor(xs as number[]);
  if (typeof first === "string") return xs;
  if (ArrayBuffer.isView(first)) return joinTyped(xs as Float32Array[], what);
  if (Array.isArray(first)) {
    if (!xs.every((x) => Array.isArray(x) && x.length === first.length))
      throw new ArgumentError(`collate: ${what} is a list whose length differs between samples`);
    return first.map((_, i) =>
      join(
        xs.map((x) => (x as unknown[])[i]),
        `${what}[${i}]`,
      ),
    );
  }
  if (first !== null && typeof first === "object")
    return Object.fromEntries(
      Object.keys(first).map((k) => [
        k,
        join(
          xs.map((x) => (x as Record<string, unknown>)[k]),
          `${what}.${k}`,
        ),
      ]),
    );
  throw new ArgumentError(`collate: ${what} is ${first === null ? "null" : typeof first}; pass a collate function of your own`);
}
/** Rows of typed arrays, copied into one. */
function joinTyped(xs: readonly Float32Array[], what: string): Tensor {
  const n = xs[0]!.length;
  if (xs.some((x) => x.length !== n)) throw new ArgumentError(`collate: ${what} is an array whose length differs between samples`);
  const all = new (xs[0]!.constructor as new (n: number) => Float32Array)(n * xs.length);
  xs.forEach((x, i) => void all.set(x, i * n));
  return tensor(all, [xs.length, n]);
}
