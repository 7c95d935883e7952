import { beforeAll, expect, test } from "vitest";
import { useDevice } from "../../test/support/devices.js";
import { ArgumentError } from "../core/errors.js";
import { arange, Tensor, tensor } from "../tensor/index.js";
import { ConcatDataset, collate, DataLoader, datasetOf, randomOrder, randomSplit, Subset, TensorDataset } from "./index.js";

beforeAll(() => useDevice());
const numbers = datasetOf(Array.from({ length: 10 }, (_, i) => i));
const all = async <B>(loader: AsyncIterable<B>): Promise<B[]> => {
  const out: B[] = [];
  for await (const b of loader) out.push(b);
  return out;
};
const lists = (batches: Tensor[]): Promise<unknown[]> =>
  Promise.all(batches.map(async (b) => Array.from((await b.data()) as BigInt64Array, Number)));

test("batches in order, with and without the last one", async () => {
  const loader = new DataLoader(numbers, { batchSize: 4 });
  expect(loader.length).toBe(3);
  expect(await lists(await all(loader))).toEqual([
    [0, 1, 2, 3],
    [4, 5, 6, 7],
    [8, 9],
  ]);
  expect(await all(new DataLoader(numbers, { batchSize: 4, dropLast: true }))).toHaveLength(2);
  expect(await all(new DataLoader(datasetOf<number>([]), { batchSize: 4 }))).toEqual([]);
});
test("shuffled by seed and epoch, each sample once", async () => {
  const make = (): DataLoader<number, number[]> => new DataLoader(numbers, { batchSize: 3, shuffle: true, seed: 7, collate: (x) => x });
  const [a, b] = [make(), make()];
  const first = (await all(a)).flat();
  expect((await all(b)).flat()).toEqual(first);
  const second = (await all(a)).flat();
  expect(second).not.toEqual(first);
  expect([...second].sort((x, y) => x - y)).toEqual(Array.from({ length: 10 }, (_, i) => i));
  expect((await all(new DataLoader(numbers, { shuffle: true, seed: 8, collate: (x) => x[0]! }))).flat()).not.toEqual(first);
  const counts = new Array<number>(4).fill(0);
  for (let s = 0; s < 4000; s++) counts[randomOrder(4, s, 0)[0]!]!++;
  for (const c of counts) expect(Math.abs(c - 1000)).toBeLessThan(150);
});
test("a saved loader goes on where it stood", async () => {
  const options = { batchSize: 2, shuffle: true, seed: 3, collate: (x: number[]) => x };
  const a = new DataLoader(numbers, options);
  await all(a);
  const seen: number[][] = [];
  let state = a.state();
  for await (const b of a) {
    seen.push(b);
    state = a.state();
    if (seen.length === 2) break;
  }
  const whole = new DataLoader(numbers, options);
  await all(whole);
  const epoch = await all(whole);
  const resumed = new DataLoader(numbers, options);
  resumed.loadState(state);
  expect([...seen, ...(await all(resumed))]).toEqual(epoch);
  expect(resumed.state()).toEqual({ epoch: 2, batch: 0 });
});
test("samples are made ahead of use, and no more than asked for", async () => {
  let made = 0;
  const slow = datasetOf({
    length: 10,
    get: async (i: number) => {
      await new Promise((r) => setTimeout(r, 1));
      made++;
      return i;
    },
  });
  const loader = new DataLoader(slow, { prefetch: 2 });
  const it = loader[Symbol.asyncIterator]();
  await it.next();
  await new Promise((r) => setTimeout(r, 60));
  expect(made).toBe(4);
  await it.return();
  await new Promise((r) => setTimeout(r, 10));
  expect(made).toBe(4);
});
test("failures and aborts reach the caller", async () => {
  const bad = datasetOf({ length: 3, get: (i: number) => (i === 1 ? Promise.reject(new Error("sample 1")) : i) });
  const got: unknown[] = [];
  await expect(
    (async () => {
      for await (const b of new DataLoader(bad)) got.push(b);
    })(),
  ).rejects.toThrow("sample 1");
  expect(got).toHaveLength(1);
  const control = new AbortController();
  control.abort(new Error("enough"));
  await expect(all(new DataLoader(numbers, { signal: control.signal }))).rejects.toThrow("enough");
  expect(() => new DataLoader(numbers, { batchSize: 0 })).toThrow(ArgumentError);
  expect(await all(new DataLoader([1, 2], { collate: (x: number[]) => x[0], shuffle: true, seed: 4 }))).toHaveLength(2);
  expect(() => new DataLoader(new Set([1, 2]), { shuffle: true })).toThrow(ArgumentError);
});
test("rows of tensors, iterables, collate", async () => {
  const rows = new TensorDataset(arange(8).reshape([4, 2]), tensor([1, 0, 1, 0]));
  const [batch] = await all(new DataLoader(rows, { batchSize: 3 }));
  expect(batch!.map((t) => t.shape)).toEqual([[3, 2], [3]]);
  expect(await batch![0]!.toArray()).toEqual([
    [0n, 1n],
    [2n, 3n],
    [4n, 5n],
  ]);
  expect(() => new TensorDataset(arange(2), arange(3))).toThrow(ArgumentError);
  async function* words(): AsyncGenerator<string> {
    yield* ["a", "b", "c"];
  }
  expect(await all(new DataLoader(words(), { batchSize: 2 }))).toEqual([["a", "b"], ["c"]]);
  const joined = collate([
    { x: new Float32Array([1, 2]), y: [1, true], name: "p" },
    { x: new Float32Array([3, 4]), y: [2, false], name: "q" },
  ]);
  expect(joined.x.shape).toEqual([2, 2]);
  expect(joined.x.dtype).toBe("f32");
  expect(joined.name).toEqual(["p", "q"]);
  expect((joined.y as unknown as Tensor[]).map((t) => t.dtype)).toEqual(["i64", "bool"]);
  expect(() => collate([null])).toThrow(ArgumentError);
  expect(collate([tensor([1]), tensor([2])])).toBeInstanceOf(Tensor);
});
test("splits and joins of data sets", async () => {
  const parts = randomSplit(numbers, [0.7, 0.3], { seed: 1 });
  expect(parts.map((p) => p.length)).toEqual([7, 3]);
  const seen = parts.flatMap((p) => [...p.indices]);
  expect(seen.sort((a, b) => a - b)).toEqual(Array.from({ length: 10 }, (_, i) => i));
  expect(randomSplit(numbers, [4, 6]).map((p) => p.length)).toEqual([4, 6]);
  expect(() => randomSplit(numbers, [4, 5])).toThrow(ArgumentError);
  expect(() => new Subset(numbers, [10])).toThrow(ArgumentError);
  const both = new ConcatDataset([numbers, new Subset(numbers, [3])]);
  expect([both.length, await both.get(9), await both.get(10)]).toEqual([11, 9, 3]);
});
