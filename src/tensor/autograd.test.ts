import { beforeAll, expect, test } from "vitest";
import { useDevice } from "../../test/support/devices.js";
import { ArgumentError, ShapeError } from "../core/errors.js";
import { grad, gradients, noGrad, ones, type Tensor, tensor, valueAndGrad, zeros } from "./index.js";

beforeAll(() => useDevice());
const values = async (t: Tensor | null): Promise<number[]> => Array.from((await t!.data()) as Float32Array, Number);
const leaf = (x: number[]): Tensor => tensor(x, { dtype: "f64", requiresGrad: true });

test("gradients accumulate until they are set to null", async () => {
  const w = leaf([1, 2]);
  w.mul(w).sum().backward();
  expect(await values(w.grad)).toEqual([2, 4]);
  w.mul(3).sum().backward();
  expect(await values(w.grad)).toEqual([5, 7]);
  w.grad = null;
  w.sum().backward();
  expect(await values(w.grad)).toEqual([1, 1]);
  expect(w.grad!.requiresGrad).toBe(false);
});
test("detach and noGrad cut gradients", async () => {
  const w = leaf([3]);
  w.mul(w.detach()).sum().backward();
  expect(await values(w.grad)).toEqual([3]);
  w.grad = null;
  const c = noGrad(() => w.mul(5));
  expect(c.requiresGrad).toBe(false);
  w.mul(c).sum().backward();
  expect(await values(w.grad)).toEqual([15]);
  w.grad = null;
  const h = w.mul(2);
  noGrad(() => h.mul(4))
    .mul(w)
    .sum()
    .backward();
  expect(await values(w.grad)).toEqual([24]);
  expect(() => w.detach().sum().backward()).toThrow(ArgumentError);
});
test("in-place changes of results and of parts of them carry gradients", async () => {
  const w = leaf([1, 2, 3]);
  const h = w.mul(2);
  h.mul_(3);
  h.at(1).mul_(10);
  h.sum().backward();
  expect(await values(w.grad)).toEqual([6, 60, 6]);
  w.grad = null;
  const buffer = zeros([2, 3], { dtype: "f64" });
  buffer.at(0).copy_(w);
  buffer.at(1).copy_(w.mul(w));
  buffer.sum().backward();
  expect(await values(w.grad)).toEqual([3, 5, 7]);
});
test("a second backward works; so does one after the value was read", async () => {
  const w = leaf([2]);
  const loss = w.mul(w).sum();
  loss.backward();
  expect(await loss.item()).toBe(4);
  loss.backward();
  expect(await values(w.grad)).toEqual([8]);
});
test("gradients of gradients", async () => {
  const x = tensor([1, 2, 3], { dtype: "f64" });
  const cube = (t: Tensor): Tensor => t.mul(t).mul(t).sum();
  expect(await values(grad(cube)(x))).toEqual([3, 12, 27]);
  expect(await values(grad((t: Tensor) => grad(cube)(t).sum())(x))).toEqual([6, 12, 18]);
  expect(await values(grad((t: Tensor) => grad((s: Tensor) => grad(cube)(s).sum())(t).sum())(x))).toEqual([6, 6, 6]);
  const w = leaf([2]);
  w.mul(w).mul(w).sum().backward({ createGraph: true });
  const first = w.grad!;
  w.grad = null;
  first.sum().backward();
  expect(await values(w.grad)).toEqual([12]);
});
test("functional forms", async () => {
  const f = valueAndGrad((a: Tensor, b: Tensor) => a.mul(b).sum(), { argnums: [0, 1] });
  const { value, grad: g } = f(tensor([1, 2], { dtype: "f64" }), tensor([3, 4], { dtype: "f64" }));
  expect(await value.item()).toBe(11);
  expect(await Promise.all(g.map(values))).toEqual([
    [3, 4],
    [1, 2],
  ]);
  const w = leaf([1, 2]);
  const h = w.mul(w);
  expect(await Promise.all(gradients(h.sum(), [w, h]).map(values))).toEqual([
    [2, 4],
    [1, 1],
  ]);
  expect(w.grad).toBeNull();
});
test("retainGrad, gradient seeds, views of leaves", async () => {
  const w = leaf([1, 2]);
  const h = w.mul(3).retainGrad();
  h.mul(h).backward({ gradient: tensor([1, 10], { dtype: "f64" }) });
  expect(await values(h.grad)).toEqual([6, 120]);
  expect(await values(w.grad)).toEqual([18, 360]);
  w.grad = null;
  w.at(1).mul(4).backward();
  expect(await values(w.grad)).toEqual([0, 4]);
  expect(() => w.mul(2).backward()).toThrow(ShapeError);
  expect(() => tensor([1], { requiresGrad: true })).toThrow();
  expect(() => ones([1]).backward()).toThrow(ArgumentError);
});
test("two leaves of one value have gradients of their own", async () => {
  const w = leaf([2]);
  const v = w.detach().requiresGrad_();
  w.mul(v).mul(v).sum().backward();
  expect([await values(w.grad), await values(v.grad)]).toEqual([[4], [8]]);
});
