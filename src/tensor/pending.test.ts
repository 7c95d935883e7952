/** What runs when something is read, and what is left recorded. */
import { beforeAll, describe, expect, test } from "vitest";
import { useDevice } from "../../test/support/devices.js";
import * as nn from "../nn/index.js";
import { engineOf } from "./device.js";
import { compile, currentDevice, engineCounters, memory, noGrad, ones, randn, ready, type Tensor, tensor, zeros } from "./index.js";
import { pendingCount } from "./pending.js";

beforeAll(async () => {
  useDevice();
  await ready();
});
const values = async (t: Tensor): Promise<number[]> => Array.from((await t.data()) as Float32Array, Number);
async function heldBytes(): Promise<number> {
  await memory.collect();
  return engineOf(currentDevice()).device!.counters.bytes;
}

/** Runs `turn` for some turns and says, for each, what was compiled and submitted. */
async function counted(turns: number, turn: (i: number) => unknown): Promise<{ compiles: number[]; submissions: number[] }> {
  const out = { compiles: [] as number[], submissions: [] as number[] };
  for (let i = 0; i < turns; i++) {
    const { compiles, submissions } = engineCounters;
    await turn(i);
    out.compiles.push(engineCounters.compiles - compiles);
    out.submissions.push(engineCounters.submissions - submissions);
  }
  return out;
}
const sum = (xs: readonly number[]): number => xs.reduce((a, b) => a + b, 0);

describe("loops that change variables by hand", () => {
  const descend = (w: Tensor, rate: number): Tensor => {
    const loss = w.mul(w).sum();
    w.grad = null;
    loss.backward();
    noGrad(() => w.copy_(w.sub(w.grad!.mul(rate))));
    return loss;
  };
  test("with the loss read in each turn: one submission a turn, two programs in all, memory flat", async () => {
    const w = nn.parameter(tensor([1, 2, 3], { dtype: "f32" }));
    const losses: number[] = [];
    let early = 0;
    const n = await counted(40, async (i) => {
      losses.push(await descend(w, 0.1).item());
      if (i === 9) early = await heldBytes();
    });
    losses.forEach((l, i) => void expect(l).toBeCloseTo(14 * 0.64 ** i, 4));
    expect(sum(n.compiles)).toBeLessThanOrEqual(2);
    expect(n.submissions.slice(2)).toEqual(new Array(38).fill(1));
    expect(await heldBytes()).toBeLessThanOrEqual(early);
    (await values(w)).forEach((x, i) => void expect(x).toBeCloseTo((i + 1) * 0.8 ** 40, 6));
  });
  test("with the loss never read: what is pending stays bounded, and few programs serve all", async () => {
    const w = nn.parameter(tensor([1, 2, 3], { dtype: "f32" }));
    let most = 0;
    const n = await counted(600, () => {
      descend(w, 0.001);
      most = Math.max(most, pendingCount());
    });
    expect(most).toBeLessThan(600);
    expect(sum(n.compiles)).toBeLessThanOrEqual(4);
    (await values(w)).forEach((x, i) => void expect(x).toBeCloseTo((i + 1) * 0.998 ** 600, 5));
  });
  test("with momentum in a variable that another one reads", async () => {
    const w = nn.parameter(tensor([1], { dtype: "f32" }));
    const m = zeros([1]);
    const n = await counted(30, async () => {
      const loss = w.mul(w).sum();
      w.grad = null;
      loss.backward();
      noGrad(() => {
        m.copy_(m.mul(0.9).add(w.grad!));
        w.sub_(m.mul(0.01));
      });
      await loss.item();
    });
    let [p, v] = [1, 0];
    for (let i = 0; i < 30; i++) {
      v = 0.9 * v + 2 * p;
      p -= 0.01 * v;
    }
    expect(await w.item()).toBeCloseTo(p, 5);
    expect(await m.item()).toBeCloseTo(v, 4);
    expect(sum(n.compiles)).toBeLessThanOrEqual(4);
    expect(sum(n.submissions.slice(5))).toBe(25);
  });
  test("with new tensors in place of changed ones, one read by another", async () => {
    let w = randn([4]);
    const first = await values(w);
    let v = zeros([4]);
    const n = await counted(30, async () => {
      w = w.mul(0.9);
      v = w.add(1);
      await v.data();
    });
    expect(sum(n.compiles.slice(4))).toBe(0);
    (await values(w)).forEach((x, i) => void expect(x).toBeCloseTo(first[i]! * 0.9 ** 30, 5));
  });
});

describe("reading", () => {
  test("gradients that are pending run with the loss that is read", async () => {
    const w = nn.parameter(tensor([3], { dtype: "f32" }));
    const loss = w.mul(w).sum();
    loss.backward();
    const n = await counted(1, () => loss.item());
    expect(n.submissions).toEqual([1]);
    const later = await counted(1, async () => void expect(await w.grad!.item()).toBe(6));
    expect(later.submissions).toEqual([0]);
  });
  test("a value that is being read is not written over", async () => {
    const w = tensor([1, 2], { dtype: "f32" });
    const step = compile(() => w.add_(1));
    for (let i = 0; i < 3; i++) step();
    const reads: Promise<number[]>[] = [];
    for (let i = 0; i < 5; i++) {
      reads.push(values(w));
      step();
    }
    expect(await Promise.all(reads)).toEqual([4, 5, 6, 7, 8].map((x) => [x, x + 1]));
    expect(await values(w)).toEqual([9, 10]);
  });
  test("a view of state shows each new value", async () => {
    const w = tensor([1, 2], { dtype: "f32" });
    const view = w.at(1);
    const step = compile(() => w.mul_(2));
    for (let i = 1; i < 6; i++) {
      step();
      expect(await view.item()).toBe(2 * 2 ** i);
      expect(w.dataSync()[0]).toBe(2 ** i);
    }
  });
  test("a lazy reader of state that is updated in place again and again", async () => {
    const w = tensor([1, 2], { dtype: "f32" });
    const step = compile(() => w.mul_(2));
    const readers: Tensor[] = [];
    for (let i = 0; i < 4; i++) {
      readers.push(w.add(0.5), w.detach().mul(3));
      step();
    }
    expect(await Promise.all(readers.map((r) => r.at(0).item()))).toEqual([1.5, 3, 2.5, 6, 4.5, 12, 8.5, 24]);
  });
});

test("making a model compiles a program for each kind of value, not for each shape", async () => {
  const model = new nn.Sequential(
    ...[3, 5, 8, 13, 40, 64].map((n) => new nn.Linear(n, 70 + n)),
    new nn.LayerNorm([2000]),
    new nn.Embedding(11, 200),
  );
  const n = await counted(1, () => Promise.all(model.parameters().map((p) => p.data())));
  expect(n.compiles[0]).toBeLessThanOrEqual(3);
  const w = model.parameters()[0]!;
  const data = await values(w);
  const bound = 1 / Math.sqrt(3);
  expect(data.every((x) => Math.abs(x) <= bound)).toBe(true);
  expect(new Set(data).size).toBeGreaterThan(200);
  expect(await values(ones([1030]))).toEqual(new Array(1030).fill(1));
});
