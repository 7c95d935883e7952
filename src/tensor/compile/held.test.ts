import { afterEach, beforeAll, expect, test, vi } from "vitest";
import { useDevice } from "../../../test/support/devices.js";
import { ArgumentError } from "../../core/errors.js";
import * as nn from "../../nn/index.js";
import { engineOf } from "../device.js";
import { compile, evaluate, memory, noGrad, ones, type Tensor, tensor, zeros } from "../index.js";
import { Held } from "./held.js";

beforeAll(() => useDevice());
afterEach(() => void vi.restoreAllMocks());

class Scaled extends nn.Module {
  scale: number | undefined = 2;
  sizes: number[] = [1];
  readonly weight = nn.parameter(ones([4]));
  forward(x: Tensor): Tensor {
    return x
      .mul(this.weight)
      .mul(this.scale ?? 1)
      .mul(this.sizes[0]!)
      .sum();
  }
}

test("values are looked for once, and again only after one of them has changed", async () => {
  const find = vi.spyOn(Held.prototype, "find");
  const net = new Scaled();
  const count = zeros([]).clone();
  const f = compile((x: Tensor) => {
    count.add_(1);
    return net.forward(x);
  });
  const x = ones([4]);
  const call = (): Promise<number> => noGrad(() => f(x)).item();
  expect(await call()).toBe(8);
  const looked = async (): Promise<number> => {
    const before = find.mock.calls.length;
    for (let i = 0; i < 3; i++) await call();
    return find.mock.calls.length - before;
  };
  await looked();
  expect(await looked()).toBe(0);
  zeros([4]).add_(1).dispose();
  net.scale = 2;
  expect(await looked()).toBe(0);

  // The new value does not exist yet: it is looked for again once it is on its way.
  noGrad(() => void net.weight.mul_(2));
  expect(await looked()).toBe(2);
  expect(await call()).toBe(16);

  // Another program writes over it.
  const step = compile(() => noGrad(() => void net.weight.add_(1)));
  for (let i = 0; i < 3; i++) {
    step();
    expect(await call()).toBe(8 * (3 + i));
  }
  await looked();
  expect(await looked()).toBe(0);
  const { traces } = f;

  net.weight.requiresGrad_(false);
  net.weight.requiresGrad_(true);
  expect(await looked()).toBe(1);
  expect(f.traces).toBe(traces);
  net.scale = 3;
  expect(await call()).toBe(60);
  net.sizes[0] = 2;
  expect(await call()).toBe(120);
  net.sizes = [1];
  expect(await call()).toBe(60);
  net.scale = undefined;
  expect(await call()).toBe(20);
  expect(() => delete (net as { scale?: number }).scale).toThrow(TypeError);
  expect(await count.item()).toBeGreaterThan(20);

  net.weight.dispose();
  expect(call).toThrow(ArgumentError);
});

test("a variable that its own writer gives another storage is not looked for again", async () => {
  const find = vi.spyOn(Held.prototype, "find");
  const [count, weight] = [zeros([]).clone(), ones([]).clone()];
  const step = compile(() => {
    count.add_(weight);
    return count.mul(1);
  });
  for (let i = 0; i < 3; i++) await noGrad(() => step()).item();
  const before = find.mock.calls.length;
  const [seen, results]: [Tensor[], Tensor[]] = [[], []];
  for (let i = 0; i < 5; i++) {
    // What was recorded reads the old value, which survives.
    seen.push(noGrad(() => count.mul(2)));
    results.push(noGrad(() => step()));
  }
  expect(await Promise.all(results.map((r) => r.item()))).toEqual([4, 5, 6, 7, 8]);
  expect(find.mock.calls.length - before).toBe(0);
  expect(await Promise.all(seen.map((r) => r.item()))).toEqual([6, 8, 10, 12, 14]);
  // Others are told, and so is the writer of what others write.
  const read = compile(() => count.mul(2));
  expect(await read().item()).toBe(16);
  await noGrad(() => step()).item();
  expect(await read().item()).toBe(18);
  noGrad(() => void weight.add_(1));
  expect(await noGrad(() => step()).item()).toBe(11);
});

test("a value of the host goes to the device with the first call, and stays there", async () => {
  const [table, x] = [tensor([1, 2, 3]), tensor([0, 0, 0]).add(ones([3]))];
  await evaluate(x);
  const f = compile((y: Tensor) => y.mul(table).sum());
  const write = vi.spyOn(engineOf(x.device).device!, "write");
  expect(await f(x).item()).toBe(6);
  const first = write.mock.calls.length;
  expect(first).toBe(1);
  for (let i = 0; i < 3; i++) expect(await f(x).item()).toBe(6);
  expect(write.mock.calls.length - first).toBe(0);
});

test("a value that was replaced is let go", async () => {
  const bytes = (): number => memory.report().devices.reduce((n, d) => n + d.valueBytes, 0);
  const size = 1 << 20;
  const large = zeros([size]).clone();
  const f = compile((x: Tensor) => large.sum().add(x));
  const x = zeros([]);
  expect(await f(x).item()).toBe(0);
  await memory.collect();
  const before = bytes();
  const turn = async (value: number): Promise<void> => {
    noGrad(() => void large.copy_(ones([size]).mul(value)));
    expect(await f(x).item()).toBe(size * value);
  };
  for (let i = 1; i <= 4; i++) await turn(i);
  // The collector may need more than one turn of the event loop.
  for (let i = 0; i < 20 && bytes() > before + size; i++) {
    await new Promise((r) => setTimeout(r, 5));
    await memory.collect();
  }
  expect(bytes()).toBeLessThanOrEqual(before + size);
});
