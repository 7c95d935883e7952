/** Data sets: samples by number. */
import { ArgumentError } from "../core/errors.js";
import type { Tensor } from "../tensor/index.js";
import { randomOrder } from "./order.js";

/** Samples by number (torch.utils.data.Dataset). `get` may be asynchronous. */
export interface Dataset<T> {
  readonly length: number;
  get(index: number): T | Promise<T>;
}
/** Samples that come in an order of their own (torch.utils.data.IterableDataset). */
export type IterableDataset<T> = AsyncIterable<T> | Iterable<T>;

/** Rows of tensors, together (torch.utils.data.TensorDataset). */
export class TensorDataset implements Dataset<Tensor[]> {
  readonly tensors: readonly Tensor[];
  readonly length: number;
  constructor(...tensors: readonly Tensor[]) {
    const first = tensors[0];
    if (!first) throw new ArgumentError("TensorDataset: there are no tensors");
    for (const t of tensors)
      if (t.ndim === 0 || t.shape[0] !== first.shape[0])
        throw new ArgumentError(
          `TensorDataset: all tensors need as many rows, not ${tensors.map((x) => x.shape[0] ?? "none").join(" and ")}`,
        );
    this.tensors = tensors;
    this.length = first.shape[0]!;
  }
  get(index: number): Tensor[] {
    return this.tensors.map((t) => t.at(index));
  }
  /** Several rows at once, as one gather from each tensor. */
  rows(index: Tensor): Tensor[] {
    return this.tensors.map((t) => t.indexSelect(0, index));
  }
}
/** The samples of a data set that a list names (torch.utils.data.Subset). */
export class Subset<T> implements Dataset<T> {
  readonly dataset: Dataset<T>;
  readonly indices: readonly number[];
  constructor(dataset: Dataset<T>, indices: readonly number[]) {
    const wrong = indices.find((i) => !Number.isInteger(i) || i < 0 || i >= dataset.length);
    if (wrong !== undefined) throw new ArgumentError(`Subset: there is no sample ${wrong} among ${dataset.length}`);
    this.dataset = dataset;
    this.indices = indices;
  }
  get length(): number {
    return this.indices.length;
  }
  get(index: number): T | Promise<T> {
    return this.dataset.get(this.indices[index]!);
  }
}
/** Data sets one after another (torch.utils.data.ConcatDataset). */
export class ConcatDataset<T> implements Dataset<T> {
  readonly datasets: readonly Dataset<T>[];
  constructor(datasets: readonly Dataset<T>[]) {
    this.datasets = datasets;
  }
  get length(): number {
    return this.datasets.reduce((n, d) => n + d.length, 0);
  }
  get(index: number): T | Promise<T> {
    let i = index;
    for (const d of this.datasets) {
      if (i < d.length) return d.get(i);
      i -= d.length;
    }
    throw new ArgumentError(`ConcatDataset: there is no sample ${index} among ${this.length}`);
  }
}
/** A data set from a list, or from a function of the number. */
export const datasetOf = <T>(
  samples: readonly T[] | { readonly length: number; readonly get: (i: number) => T | Promise<T> },
): Dataset<T> => ("get" in samples ? samples : { length: samples.length, get: (i) => samples[i]! });

/** Disjoint random parts: of these sizes, or of these fractions (torch.utils.data.random_split). */
export function randomSplit<T>(dataset: Dataset<T>, sizes: readonly number[], options: { readonly seed?: number } = {}): Subset<T>[] {
  const n = dataset.length;
  const total = sizes.reduce((a, b) => a + b, 0);
  let counts = [...sizes];
  if (Math.abs(total - 1) < 1e-9 && sizes.some((s) => !Number.isInteger(s))) {
    counts = sizes.map((s) => Math.floor(s * n));
    let left = n - counts.reduce((a, b) => a + b, 0);
    for (let i = 0; left > 0; i = (i + 1) % counts.length, left--) counts[i]!++;
  } else if (total !== n) throw new ArgumentError(`randomSplit: sizes of ${sizes.join(", ")} do not add up to ${n} samples, nor to 1`);
  const order = randomOrder(n, options.seed ?? 0, 0);
  let at = 0;
  return counts.map((c) => new Subset(dataset, order.slice(at, (at += c))));
}
