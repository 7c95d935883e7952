/** Batches of a data set, made ready while earlier ones are used. */
import { ArgumentError } from "../core/errors.js";
import { tensor } from "../tensor/index.js";
import { type Batch, collate } from "./collate.js";
import { type Dataset, datasetOf, type IterableDataset, TensorDataset } from "./dataset.js";
import { randomOrder } from "./order.js";

/** How a DataLoader makes batches. */
export interface LoaderOptions<T, B> {
  readonly batchSize?: number;
  /** A new order for each epoch, from the seed. */
  readonly shuffle?: boolean;
  readonly seed?: number;
  /** Leave out a last batch that is not full. */
  readonly dropLast?: boolean;
  /** How many batches are made ahead of use. */
  readonly prefetch?: number;
  /** Joins samples; default: `collate`. */
  readonly collate?: (samples: T[]) => B;
  readonly signal?: AbortSignal;
}
/** Where a loader stands, to be saved with a checkpoint. */
export interface LoaderState {
  readonly epoch: number;
  /** Batches of this epoch that were given out. */
  readonly batch: number;
}

/** Iterates over batches (torch.utils.data.DataLoader): `for await (const [x, y] of loader)`. Each iteration is one epoch. */
export class DataLoader<T, B = Batch<T>> implements AsyncIterable<B> {
  readonly dataset: Dataset<T> | IterableDataset<T>;
  readonly batchSize: number;
  private readonly options: LoaderOptions<T, B>;
  private epoch = 0;
  private given = 0;
  /** Batches of the next epoch to leave out, after `loadState`. */
  private skip = 0;

  /** A data set, a list of samples, or samples that come in an order of their own. */
  constructor(dataset: Dataset<T> | IterableDataset<T>, options: LoaderOptions<T, B> = {}) {
    const size = options.batchSize ?? 1;
    if (!Number.isInteger(size) || size < 1) throw new ArgumentError(`DataLoader: a batch size of ${size}`);
    if (options.shuffle && !("get" in dataset || Array.isArray(dataset)))
      throw new ArgumentError("DataLoader: samples that come in an order of their own cannot be shuffled");
    this.dataset = Array.isArray(dataset) ? datasetOf(dataset as T[]) : dataset;
    this.batchSize = size;
    this.options = options;
  }
  /** Batches of one epoch. */
  get length(): number {
    if (!("get" in this.dataset)) throw new ArgumentError("DataLoader: how many samples an iterable gives is not known");
    const n = this.dataset.length / this.batchSize;
    return this.options.dropLast ? Math.floor(n) : Math.ceil(n);
  }
  state(): LoaderState {
    return { epoch: this.epoch, batch: this.given };
  }
  /** The next iteration goes on where the saved one stood. */
  loadState(s: LoaderState): void {
    this.epoch = s.epoch;
    this.skip = s.batch;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<B, void, undefined> {
    const { signal, prefetch = 2 } = this.options;
    const source = this.batches(this.skip);
    this.given = this.skip;
    this.skip = 0;
    const ahead: Promise<IteratorResult<B>>[] = [];
    const ask = (): void => {
      const p = source.next();
      p.catch(() => {}); // a failure belongs to the turn that it is for
      ahead.push(p);
    };
    try {
      for (let i = 0; i <= prefetch; i++) ask();
      for (;;) {
        signal?.throwIfAborted();
        const { value, done } = await ahead.shift()!;
        if (done) break;
        ask();
        this.given++;
        yield value as B;
      }
      this.epoch++;
      this.given = 0;
    } finally {
      await source.return(undefined);
    }
  }

  private async *batches(skip: number): AsyncGenerator<B, void, undefined> {
    const { dataset, batchSize } = this;
    const { shuffle, seed = 0, dropLast, collate: own } = this.options;
    if (!("get" in dataset)) {
      let samples: T[] = [];
      let at = 0;
      const give = (): B => this.join(samples);
      for await (const x of dataset) {
        samples.push(x);
        if (samples.length < batchSize) continue;
        if (at++ >= skip) yield give();
        samples = [];
      }
      if (samples.length && !dropLast && at >= skip) yield give();
      return;
    }
    const order = shuffle ? randomOrder(dataset.length, seed, this.epoch) : undefined;
    for (let b = skip; b < this.length; b++) {
      const from = b * batchSize;
      const indices = Array.from({ length: Math.min(batchSize, dataset.length - from) }, (_, i) => (order ? order[from + i]! : from + i));
      if (dataset instanceof TensorDataset && !own) yield dataset.rows(tensor(indices, { dtype: "i64" })) as B;
      else yield this.join(await Promise.all(indices.map((i) => dataset.get(i))));
    }
  }
  private join(samples: T[]): B {
    return this.options.collate ? this.options.collate(samples) : (collate(samples) as unknown as B);
  }
}
